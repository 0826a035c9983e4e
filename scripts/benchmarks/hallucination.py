"""What a model that writes text hears where nobody speaks, and what it misses where somebody does.

    python scripts/benchmarks/hallucination.py --model runs/whisper [--stock M/whisper-tiny-en] [--held-out] [--quick]

Words per hour, as `speechxfer transcribe` writes them, over the noise and music of noise_rir (babble is real speech and stays
out) and over generated minutes: silence, faint hiss, a dialling tone, hold music, with a fixed seed. Each rate with its exact
interval; beside it the share of words deleted on speech, transcribed alike and, for comparison, scored without the search for
speech.
The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from speechxfer import Transcriber, evaluate, read_manifest
from speechxfer.commands import poisson_interval
from speechxfer.data import Manifest, Samples, Waveform, load_audio, normalise
from speechxfer.evaluation import total, word_errors

RATE = 16_000
KINDS = ("silence", "hiss", "tone", "hold music")
NOTES = (261.6, 329.6, 392.0, 440.0, 523.3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--stock", type=Path, help="another model beside it, such as the one it was tuned from")
    parser.add_argument("--held-out", action="store_true", help="noise_rir's test set alone, if the model knows the others")
    parser.add_argument("--minutes", type=int, default=60, help="generated")
    parser.add_argument("--speech", type=int, default=100, help="utterances of the test set of speechocean762")
    parser.add_argument("--quick", action="store_true", help="4 generated minutes, 12 utterances")
    arguments = parser.parse_args()
    minutes, count = (4, 12) if arguments.quick else (arguments.minutes, arguments.speech)
    noises = read_manifest(arguments.shared / "data/noise_rir/manifest.csv")
    kept = [row for row, kind in enumerate(noises.columns["kind"]) if kind in ("noise", "music")]
    if arguments.held_out:
        kept = [row for row in kept if noises.columns["split"][row] == "test"]
    recorded = noises.select(kept)
    speech = read_manifest(f"{arguments.shared / 'data/speechocean762/manifest.csv'}[split=test]")
    speech = speech.select(list(range(0, len(speech), len(speech) // count))[:count])
    named = {"model": arguments.model} | ({"stock": arguments.stock} if arguments.stock else {})
    figures = {name: measure(Transcriber(model), recorded, minutes, speech) for name, model in named.items()}
    for name, found in figures.items():
        print(name, json.dumps(found), flush=True)
    ours = figures["model"]
    bars = {
        "hallucinated_words_per_hour": [ours["words_per_hour"], 1.0, ours["words_per_hour"] <= 1.0],
        "more_deletions": [ours["more_deletions"], 0.003, ours["more_deletions"] <= 0.003],
    }
    print(json.dumps({"benchmark": "hallucination", "figures": figures, "bars": bars}))
    sys.exit(not all(met for _, _, met in bars.values()))


def measure(transcriber: Transcriber, recorded: Manifest, minutes: int, speech: Manifest) -> dict[str, Any]:
    """Count words where there is no speech, and words that are missed where there is."""
    counts = {"recorded": [0.0, 0.0], "generated": [0.0, 0.0]}
    sources = [("recorded", load_audio(noise, RATE)) for noise in recorded]
    for kind, samples in [*sources, *(("generated", minute) for minute in generated(minutes))]:
        counts[kind][0] += len(transcriber.transcribe(Waveform(samples, RATE)).text.split())
        counts[kind][1] += len(samples) / RATE / 3600
    words, hours = (sum(count[part] for count in counts.values()) for part in (0, 1))
    found: dict[str, Any] = {"words_per_hour": round(words / hours, 3), "interval": poisson_interval(int(words), hours)}
    for kind, (own, own_hours) in counts.items():
        found[kind] = {"words": int(own), "hours": round(own_hours, 3), "interval": poisson_interval(int(own), own_hours)}
    gated, ungated = deletions(transcriber, speech)
    return found | {"deletions": round(gated, 4), "more_deletions": round(gated - ungated, 4)}


def deletions(transcriber: Transcriber, speech: Manifest) -> tuple[float, float]:
    """Give the share of words deleted with the search for speech, and without."""
    normaliser = transcriber.model.normaliser
    references = [normalise(text, normaliser) for text in speech.columns["text"]]
    answers = [normalise(transcriber.transcribe(str(utterance.audio)).text, normaliser) for utterance in speech]
    with_search = total(word_errors(references, answers))
    counts = evaluate(transcriber.model, speech).scores["counts"]["words"]
    spoken = counts["hits"] + counts["substitutions"] + counts["deletions"]
    return with_search.deletions / with_search.reference_length, counts["deletions"] / spoken


def generated(minutes: int) -> Iterator[Samples]:
    """Make minutes without speech, of each kind in turn; the same each time."""
    random, size = np.random.default_rng(0), 60 * RATE
    time = np.arange(size) / RATE
    for minute in range(minutes):
        kind = KINDS[minute % len(KINDS)]
        samples: Any = np.zeros(size)
        if kind == "hiss":
            samples = random.normal(0, 10 ** random.uniform(-4, -2), size)
        elif kind == "tone":
            samples = 0.2 * np.sin(2 * np.pi * random.uniform(300, 1000) * time) * (time % 1.5 < random.uniform(0.3, 1.5))
        elif kind == "hold music":
            beat = (time / random.uniform(0.25, 0.5)).astype(int)
            notes = random.choice(NOTES, beat[-1] + 1)[beat]
            phase = 2 * np.pi * np.cumsum(notes) / RATE
            samples = 0.1 * sum(np.sin(harmonic * phase) / harmonic for harmonic in (1, 2, 3))
        yield samples.astype(np.float32)


if __name__ == "__main__":
    main()
