"""Score the pretrained `tiny` on speech it never met, and put it into the package with its card.

    python scripts/export_tiny.py --run runs/tiny3 --seed 30 --shared ../shared --out speechxfer/assets/tiny

What it learned from before stands in `pretraining.json` beside it, to which the run is added.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from tiny_corpus import ACCENTS, HELD_OUT_ACCENTS, HELD_OUT_VARIANTS, VARIANTS

from speechxfer import evaluate, load_model
from speechxfer.data import read_manifest
from speechxfer.models import SpeechModel

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: automatic-speech-recognition
---
# tiny

A wav2vec2 of {parameters:.1f} million parameters that reads English letter by letter. It comes with speechxfer so that demo and
tests have something real to fine-tune. **It is no recogniser for real speech**: it never heard a human being, and the table says
what becomes of that.

| speech it never met | utterances | CER | WER |
|---|---|---|---|
{rows}

Greedy CTC, normaliser `basic`; 95 % bootstrap intervals over voices or speakers.

- *Pretraining:* {hours:.0f} hours of speech that eSpeak NG 1.52 spoke in {accents} English accents by {voices} voices, at many
  rates and pitches, in synthetic rooms, over a telephone's band, with synthetic noise and, since the second run, silence around;
  {epochs} epochs, {steps} steps, in runs with the seeds {seeds}.
  Dev CER after each epoch: {curve}. `scripts/pretrain_tiny.py` makes it all.
- *Texts:* those usage examples and definitions of WordNet 3.0 (Princeton University, WordNet licence) that are made of its 7,000
  most frequent words, call-centre sentences, numbers, spelled names, word lists.
- *Held out:* the accents {held_out_accents}, {held_out_voices} voices, a tenth of WordNet's sentences, the product names and all
  sentences of the demo.
- *Frames:* one each {frame_ms:.0f} ms.
- *Licence:* Apache-2.0. eSpeak NG (GPL-3.0) spoke; none of it is inside.
- *Format:* 16-bit floats. transformers keeps them: give `dtype=torch.float32` on a CPU.
"""


def main() -> None:
    """Score, halve, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="of the pretraining")
    parser.add_argument("--seed", type=int, required=True, help="of the run")
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    run, shared = arguments.run, arguments.shared
    speech_model = load_model(run / "run")
    sets = {
        "synthetic, unknown voices of known accents": run / "test/manifest.csv",
        "the same in rooms and on the telephone": run / "places/manifest.csv",
        "synthetic, unknown voices of unknown accents": run / "accents/manifest.csv",
        "speechocean762 test (Mandarin accent, children too)": f"{shared / 'data/speechocean762/manifest.csv'}[split=test]",
        "an4 test (spelling and numbers, 1991)": f"{shared / 'data/an4/manifest.csv'}[split=test]",
    }
    rows = [row(name, speech_model, manifest) for name, manifest in sets.items()]
    print("\n".join(rows))
    history = add_run(arguments.out / "pretraining.json", run, arguments.seed)
    card = CARD.format(
        rows="\n".join(rows),
        parameters=sum(parameter.numel() for parameter in speech_model.model.parameters()) / 1e6,
        hours=history["hours"],
        epochs=len(history["dev_cer"]),
        steps=history["steps"],
        seeds=", ".join(map(str, history["seeds"])),
        accents=len(ACCENTS),
        voices=len(VARIANTS),
        held_out_accents=" and ".join(HELD_OUT_ACCENTS),
        held_out_voices=len(HELD_OUT_VARIANTS),
        frame_ms=1000 * speech_model.family.samples_per_frame / speech_model.family.sampling_rate,
        curve=", ".join(f"{cer:.3f}" for cer in history["dev_cer"]),
    )
    speech_model.model.to(torch.float16)  # type: ignore[arg-type]
    speech_model.save(arguments.out)
    (arguments.out / "README.md").write_text(card, encoding="utf-8")
    (arguments.out / "pretraining.json").write_text(json.dumps(history) + "\n", encoding="utf-8")


def add_run(history: Path, run: Path, seed: int) -> dict[str, Any]:
    """Add a run to what was learned from before, if anything was."""
    known: dict[str, Any] = {"seeds": [], "hours": 0.0, "steps": 0, "dev_cer": []}
    if history.is_file():
        known = json.loads(history.read_text(encoding="utf-8"))
    report = json.loads((run / "run/report.json").read_text(encoding="utf-8"))
    events = map(json.loads, (run / "run/log.jsonl").read_text(encoding="utf-8").splitlines())
    seconds = sum(map(float, read_manifest(run / "train/manifest.csv").columns["duration"]))
    return {
        "seeds": [*known["seeds"], seed],
        "hours": round(known["hours"] + seconds / 3600, 1),
        "steps": known["steps"] + sum(stage["steps"] for stage in report["training"]["stages"]),
        "dev_cer": [*known["dev_cer"], *(round(event["dev_cer"], 3) for event in events if event["event"] == "epoch")],
    }


def row(name: str, speech_model: SpeechModel, manifest: Path | str) -> str:
    """Score a set for the card's table."""
    scores = evaluate(speech_model, manifest, precision="fp32").scores
    cells = []
    for measure in ("cer", "wer"):
        lower, upper = scores[f"{measure}_interval"]
        cells.append(f"{scores[measure]:.3f} ({lower:.3f}–{upper:.3f})")
    return f"| {name} | {scores['utterances']} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
