"""Transcripts in, the text of an output file out."""

from __future__ import annotations

import json

from speechxfer.transcript import Transcript

FORMATS = ("txt", "json")


def render(transcript: Transcript, output_format: str) -> str:
    """Write a transcript in a format.

    Parameters
    ----------
    transcript
        What was said.
    output_format
        `txt`: a line per segment; `json`: everything, with word times in seconds.

    Returns
    -------
    str
        Ending in a newline.

    Raises
    ------
    ValueError
        If the format is unknown.
    """
    if output_format == "txt":
        return "".join(f"{segment.text}\n" for segment in transcript.segments)
    if output_format == "json":
        return json.dumps(transcript.to_dict(), ensure_ascii=False, indent=1) + "\n"
    raise ValueError(f"unknown format {output_format!r}: expected {' or '.join(FORMATS)}")
