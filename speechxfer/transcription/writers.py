"""A transcript in, the text of an output file out, in the formats that players, scorers and scripts read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from speechxfer.transcript import Segment, Transcript

_CUE_CHARACTERS = 80  # two lines on a screen
_CUE_SECONDS = 7.0
_CUE_PAUSE_SECONDS = 1.0


def render(transcript: Transcript, output_format: str) -> str:
    """Write a transcript in a format.

    Parameters
    ----------
    transcript
        What was said.
    output_format
        One of `FORMATS`. `txt`: a line per segment; `json`: everything; `jsonl`: the same on one line; `srt`, `vtt`: subtitles;
        `tsv`: start and end in milliseconds, role or channel, text; `ctm`: a line per word, for scorers.

    Returns
    -------
    str
        Ending in a newline unless it is empty.

    Raises
    ------
    ValueError
        If the format is unknown.
    """
    if output_format not in FORMATS:
        raise ValueError(f"unknown format {output_format!r}: expected {', '.join(FORMATS)}")
    return FORMATS[output_format](transcript)


def _txt(transcript: Transcript) -> str:
    return "".join(f"{_said(segment)}\n" for segment in transcript.segments if segment.text)


def _json(transcript: Transcript) -> str:
    return json.dumps(transcript.to_dict(), ensure_ascii=False, indent=1) + "\n"


def _jsonl(transcript: Transcript) -> str:
    return json.dumps(transcript.to_dict(), ensure_ascii=False) + "\n"


def _srt(transcript: Transcript) -> str:
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_said(cue)}\n\n"
        for number, cue in enumerate(_cues(transcript), start=1)
    )


def _vtt(transcript: Transcript) -> str:
    cues = ["WEBVTT\n"]
    for cue in _cues(transcript):
        voice = f"<v {escape(who)}>" if (who := _speaker(cue)) else ""
        cues.append(f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{voice}{escape(cue.text)}\n")
    return "\n".join(cues)


def _tsv(transcript: Transcript) -> str:
    rows = (
        f"{round(1000 * segment.start)}\t{round(1000 * segment.end)}\t{_speaker(segment)}\t{segment.text}\n"
        for segment in transcript.segments
        if segment.text
    )
    return "start\tend\tspeaker\ttext\n" + "".join(rows)


def _ctm(transcript: Transcript) -> str:
    name = "_".join(Path(transcript.audio).stem.split()) or "recording"
    return "".join(
        f"{name} {(segment.channel or 0) + 1} {word.start:.3f} {word.end - word.start:.3f} {word.text} {word.confidence:.3f}\n"
        for segment in transcript.segments
        for word in segment.words
    )


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": _txt,
    "json": _json,
    "jsonl": _jsonl,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
    "ctm": _ctm,
}


@dataclass(frozen=True)
class _Cue:
    """What is on the screen at once."""

    text: str
    start: float
    end: float
    channel: int | None
    role: str | None


def _cues(transcript: Transcript) -> Iterator[_Cue]:
    for segment in transcript.segments:
        if not segment.words and segment.text:
            yield _Cue(segment.text, segment.start, segment.end, segment.channel, segment.role)
        first = 0
        for last in range(1, len(segment.words) + 1):
            if last == len(segment.words) or _is_full(segment, first, last):
                words = segment.words[first:last]
                text = " ".join(word.text for word in words)
                yield _Cue(text, words[0].start, words[-1].end, segment.channel, segment.role)
                first = last


def _is_full(segment: Segment, first: int, last: int) -> bool:
    """Whether the word at `last` should go onto the next screen."""
    words = segment.words[first : last + 1]
    return (
        sum(len(word.text) + 1 for word in words) > _CUE_CHARACTERS
        or words[-1].end - words[0].start > _CUE_SECONDS
        or words[-1].start - words[-2].end > _CUE_PAUSE_SECONDS
    )


def _speaker(part: Segment | _Cue) -> str:
    if part.role:
        return part.role
    return "" if part.channel is None else f"channel {part.channel}"


def _said(part: Segment | _Cue) -> str:
    who = _speaker(part)
    return f"{who}: {part.text}" if who else part.text


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"
