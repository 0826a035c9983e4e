"""New symbols for a fine-tuned model: output rows copied against output rows begun anew, on digits and on Romanian letters.

    python scripts/benchmarks/head_surgery.py --model runs/dialect --shared ../shared --out runs/surgery [--quick]

The model of `configs/dialect.yaml` learns (i) the digits 0 to 9 on an4, whose number words are rewritten by `with_digits`,
and (ii) ă â î ș ț on synthetic Romanian and the 30 training sentences of extra_romanian. Both arms keep encoder and BLSTM;
the rows of the output layer are copied (`model.vocabulary=extend`) or all drawn anew. The last line printed is one JSON
object; the exit code is 1 if a bar is missed.
"""

import argparse
import csv
import json
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

import soundfile
import torch

from speechxfer import finetune, load_model, read_manifest, read_recipe
from speechxfer.data import SPOKEN_RATE, SpeechRequest, speak
from speechxfer.models import extend_vocabulary

ROOT = Path(__file__).resolve().parents[2]
ARMS = ("copied", "anew")
DIGITS = "0123456789"
ROMANIAN = "ăâîșț"

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_UNITS += "seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NUMBERS = {word: str(number) for number, word in enumerate(_UNITS)}
NUMBERS |= {word: str(10 * number) for number, word in enumerate(_TENS, start=2)} | {"oh": "0"}

_WHO = (
    "clientul,vecina mea,mătușa,bătrânul,fata,băiatul,domnul din față,colega noastră,învățătorul,șoferul,țăranul,copilul".split(
        ","
    )
)
_DOES = (
    "a plătit factura,așteaptă răspunsul,vrea să știe prețul,a închis telefonul,întreabă de comandă,nu găsește adresa,și-a "
    "schimbat părerea,trimite pachetul,ține minte parola,cumpără pâine și brânză,citește ziarul,învață să înoate,a văzut știrile,"
    "stă în grădină,cântă la pian,a uitat umbrela acasă"
).split(",")
_WHEN = (
    "astăzi,mâine dimineață,la sfârșitul lunii,în fiecare săptămână,după prânz,înainte de sărbători,toată ziua,de două ori pe an,"
    "când începe ploaia,fără să spună nimănui,împreună cu prietenii,în stația de autobuz"
).split(",")
_VARIANTS = "f1 f2 f3 f4 m1 m3 m4 m7 max linda steph pablo".split()
_DEV_VARIANTS = "m2 f5 paul".split()


Row = tuple[str, str, str, str]


def with_digits(text: str) -> str:
    """Write each number word by itself as its digits: `oh one twenty five b` becomes `0 1 20 5 b`; letters and ordinals stay."""
    return " ".join(NUMBERS.get(word, word) for word in text.split())


def write_manifest(path: Path, rows: Iterable[Row]) -> Path:
    """Write audio, text, split and speaker of each row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "split", "speaker"))
        table.writerows(rows)
    return path


def rows_of(manifest: Path) -> list[Row]:
    """Read audio, text, split and speaker of each row."""
    columns = read_manifest(manifest).columns
    audio = [str((manifest.parent / name).resolve()) for name in columns["audio"]]
    return list(zip(audio, columns["text"], columns["split"], columns["speaker"], strict=True))


def digits_manifest(shared: Path, out: Path) -> Path:
    """Rewrite an4's numbers."""
    rows = rows_of(shared / "data/an4/manifest.csv")
    return write_manifest(out / "an4.csv", [(audio, with_digits(text), split, speaker) for audio, text, split, speaker in rows])


def romanian_manifest(shared: Path, out: Path, count: int) -> Path:
    """Speak Romanian; dev has voices that train has not, test is one natural voice, whose other sentences train has."""
    chance = random.Random(0)
    (out / "audio").mkdir(parents=True, exist_ok=True)
    requests, rows = [], []
    for number in range(count):
        split = "dev" if number % 8 == 0 else "train"
        text = " ".join(chance.choice(part) for part in (_WHO, _DOES, _WHEN)).replace("-", " ")
        variant = chance.choice(_DEV_VARIANTS if split == "dev" else _VARIANTS)
        requests.append(SpeechRequest(text, f"ro+{variant}", chance.randint(130, 190), chance.randint(35, 65)))
        rows.append((str((out / f"audio/{number}.flac").resolve()), text, split, variant))
    for (audio, *_), samples in zip(rows, speak(requests), strict=True):
        soundfile.write(audio, samples, SPOKEN_RATE)
    return write_manifest(out / "romanian.csv", rows + rows_of(shared / "data/extra_romanian/manifest.csv"))


def starting_point(model: Path, symbols: str, arm: str, seed: int, directory: Path) -> Path:
    """Save the model with the larger output layer with which an arm begins."""
    extended = extend_vocabulary(load_model(model), symbols)
    if arm == "anew":
        torch.manual_seed(seed)
        head: Any = extended.model.head
        head.output.reset_parameters()
    extended.save(directory)
    return directory


def run(start: Path, manifest: Path, seed: int, epochs: int, directory: Path) -> tuple[float, float]:
    """Fine-tune an arm; give dev CER after the first epoch and test CER at the end."""
    given = [f"model.path={start}", "model.vocabulary=keep", "augment.views=1", "augment.speed=1.0"]
    given += [f"data.{name}={manifest}[split={name}]" for name in ("train", "dev", "test")]
    given += [f"training.seed={seed}", f"training.epochs={epochs}"]
    report = finetune(read_recipe(ROOT / "configs/vocabulary.yaml", given), directory)
    events = map(json.loads, (directory / "log.jsonl").read_text(encoding="utf-8").splitlines())
    first = next(event["dev_cer"] for event in events if event["event"] == "epoch")
    return first, report["sets"]["test"]["cer"]


def main() -> int:
    """Run both arms with each seed on both sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch, digits only")
    arguments = parser.parse_args()
    seeds, epochs = (1, 1) if arguments.quick else (arguments.seeds, arguments.epochs)
    sets = {"digits": (digits_manifest(arguments.shared, arguments.out), DIGITS)}
    if not arguments.quick:
        sets["romanian"] = (romanian_manifest(arguments.shared, arguments.out, 800), ROMANIAN)
    figures: dict[str, float] = {}
    better = 0
    for name, (manifest, symbols) in sets.items():
        scores: dict[str, list[tuple[float, float]]] = {arm: [] for arm in ARMS}
        for seed in range(seeds):
            for arm in ARMS:
                place = arguments.out / f"{name}-{arm}-{seed}"
                start = starting_point(arguments.model, symbols, arm, seed, place / "start")
                scores[arm].append(run(start, manifest, seed, epochs, place / "run"))
                first, end = scores[arm][-1]
                print(
                    f"{name}, {arm}, seed {seed}: dev CER {first:.3f} after an epoch, test CER {end:.3f} at the end", flush=True
                )
        for arm in ARMS:
            figures[f"{name}_{arm}_first_epoch_dev_cer"] = round(mean(first for first, _ in scores[arm]), 4)
            figures[f"{name}_{arm}_test_cer"] = round(mean(end for _, end in scores[arm]), 4)
        if name == "digits":
            better = sum(copied[0] < anew[0] for copied, anew in zip(scores["copied"], scores["anew"], strict=True))
    bars = {"copied_better_in_first_epoch": [better, seeds, better == seeds]}
    print(json.dumps({"benchmark": "head_surgery", "figures": figures, "bars": bars}))
    return 0 if better == seeds else 1


if __name__ == "__main__":
    sys.exit(main())
