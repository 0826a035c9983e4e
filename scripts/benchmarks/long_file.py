"""Times in a long recording: in order, over all of it, and as far from its clips' beginnings as when each clip is heard alone.

    python scripts/benchmarks/long_file.py --model runs/whisper/model --shared ../shared [--quick]

Clips of speechocean762's test set with pauses of half a second to two between them make the recording, so that it is known where
each begins. A word's drift is the difference between its time in the recording, from its clip's beginning, and its time in
the clip alone, for words that both transcripts have.
The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import difflib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechxfer import Transcriber, read_manifest
from speechxfer.data import load_audio
from speechxfer.transcript import Word

RATE = 16_000
MINUTES, QUICK_MINUTES = 30.0, 1.0
MAX_DRIFT = 0.3


@dataclass(frozen=True)
class Clip:
    """A clip in the recording."""

    start: float
    end: float
    words: Sequence[Word]  # as heard alone, in its own time


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_MINUTES:.0f} minute instead of {MINUTES:.0f}")
    arguments = parser.parse_args()
    transcriber = Transcriber(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "long.flac"
        clips = write_recording(recording, arguments.shared, QUICK_MINUTES if arguments.quick else MINUTES, transcriber)
        transcript = transcriber.transcribe(recording)
    segments = transcript.segments
    words = [word for segment in segments for word in segment.words]
    starts = ([word.start for word in words], [segment.start for segment in segments])
    in_order = all(word.start <= word.end for word in words) and all(times == sorted(times) for times in starts)
    spoken = [clip for clip in clips if clip.words]
    covered = [clip for clip in spoken if any(one.start < clip.end and clip.start < one.end for one in segments)]
    drifts = np.abs([drift for clip in spoken for drift in drifts_of(clip, words)])
    figures = {
        "minutes": round(transcript.duration / 60, 1),
        "clips": len(spoken),
        "covered_share": round(len(covered) / len(spoken), 4),
        "words": len(words),
        "words_compared": len(drifts),
        "in_order": in_order,
        "drift_median": round(float(np.median(drifts)), 3),
        "drift_p95": round(float(np.quantile(drifts, 0.95)), 3),
        "drift_max": round(float(drifts.max()), 3),
        "within_bar_share": round(float((drifts <= MAX_DRIFT).mean()), 4),
    }
    bars: dict[str, list[Any]] = {
        "in_order": [in_order, True, in_order],
        "covered_share": [figures["covered_share"], 1.0, figures["covered_share"] == 1.0],
        "drift_max": [figures["drift_max"], MAX_DRIFT, figures["drift_max"] <= MAX_DRIFT],
    }
    print(json.dumps({"benchmark": "long_file", "figures": figures, "bars": bars}))
    sys.exit(not all(met for _, _, met in bars.values()))


def write_recording(path: Path, shared: Path, minutes: float, transcriber: Transcriber) -> list[Clip]:
    """Write clips with pauses between them until it is long enough, and hear each of them alone."""
    manifest = read_manifest(f"{shared / 'data/speechocean762/manifest.csv'}[split=test]")
    chance, clips, written = np.random.default_rng(0), [], 0
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for utterance in manifest:
            samples = load_audio(utterance, RATE)
            pause = 1e-4 * chance.standard_normal(round(chance.uniform(0.5, 2) * RATE))
            alone = transcriber.transcribe(str(utterance.audio))
            start = written / RATE
            clips.append(Clip(start, start + len(samples) / RATE, [word for segment in alone.segments for word in segment.words]))
            file.write(np.concatenate([samples, pause]))
            written += len(samples) + len(pause)
            if written >= minutes * 60 * RATE:
                break
    return clips


def drifts_of(clip: Clip, words: Sequence[Word]) -> list[float]:
    """Give how far the words of a clip have moved, those that were heard both times."""
    inside = [word for word in words if clip.start <= (word.start + word.end) / 2 < clip.end]
    matcher = difflib.SequenceMatcher(None, [word.text for word in clip.words], [word.text for word in inside], autojunk=False)
    return [
        inside[other + offset].start - clip.start - clip.words[one + offset].start
        for one, other, size in matcher.get_matching_blocks()
        for offset in range(size)
    ]


if __name__ == "__main__":
    main()
