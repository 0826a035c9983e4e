"""Long recordings in, stretches of given lengths out, each second of the recordings as likely as the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechxfer.data.manifest import Manifest, from_anywhere


def draw_stretches(recordings: Manifest, lengths: Sequence[float], count: int, random: np.random.Generator) -> Manifest:
    """Draw stretches.

    Parameters
    ----------
    recordings
        Checked, with durations.
    lengths
        In seconds, of which each stretch gets one; a recording that is shorter is taken whole.
    count
        How many.
    random
        Draws recordings, lengths and places.

    Returns
    -------
    Manifest
        Audio by names that hold anywhere, with start, end, duration, channel and speaker; no texts, no labels.
    """
    seconds = np.array([float(text) for text in recordings.columns["duration"]])
    rows = random.choice(len(recordings), size=count, p=seconds / seconds.sum())
    columns: dict[str, list[str]] = {name: [] for name in ("id", "audio", "start", "end", "duration", "channel", "speaker")}
    for number, row in enumerate(map(int, rows)):
        recording = recordings[row]
        length = min(float(random.choice(lengths)), seconds[row])
        start = recording.start + random.uniform(0.0, seconds[row] - length)
        channel = "" if recording.channel is None else str(recording.channel)
        name = from_anywhere(str(recording.audio))
        made = (f"{recording.id}-{number}", name, f"{start:.3f}", f"{start + length:.3f}", f"{length:.3f}")
        for column, value in zip(columns.values(), (*made, channel, recording.fields.get("speaker", "")), strict=True):
            column.append(value)
    return Manifest(columns, recordings.source, [recordings.lines[row] for row in map(int, rows)])
