"""Speak written sentences with flite's voices: a manifest of synthetic speech for `data.mix`.

A head that starts from nothing learns spelling from the training texts alone, and half an hour of speech holds few words. Read
speech of many other sentences shows it how English is spelled before and while it meets the accent.

    python scripts/speak_sentences.py --out runs/spoken --count 9000
    python scripts/speak_sentences.py --out runs/spoken --text my_sentences.txt

Without --text the sentences are WordNet's usage examples. Needs the programs `flite` and, for these, `wordnet-base` (both are
Debian packages).
"""

import argparse
import csv
import random
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
VOICES = {"awb": 3, "rms": 3, "slt": 3, "kal16": 1}  # with their weights; kal16 is the most robotic
SLOWER = (0.9, 1.35)  # flite reads faster than learners do
WORDS = range(3, 11)


def wordnet_examples() -> list[str]:
    """Give the distinct usage examples that are plain words, lower case."""
    sentences: set[str] = set()
    for part in ("adj", "adv", "noun", "verb"):
        for line in (WORDNET / f"data.{part}").read_text(encoding="utf-8").splitlines():
            gloss = line.partition("|")[2]
            sentences.update(clean(quoted) for quoted in re.findall(r'"([^"]+)"', gloss) if not re.search(r"\d", quoted))
    return sorted(sentence for sentence in sentences if len(sentence.split()) in WORDS)


def clean(sentence: str) -> str:
    """Keep letters, and apostrophes inside words."""
    letters = re.sub(r"[^a-z' ]", " ", sentence.lower().replace("`", "'"))
    return " ".join(re.sub(r"(?<![a-z])'|'(?![a-z])", " ", letters).split())


def speak(file: Path, sentence: str, voice: str, slower: float) -> None:
    """Write one sentence as a WAV file."""
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={slower:.2f}", "-t", sentence, "-o", str(file)]
    subprocess.run(command, check=True)


def main() -> None:
    """Speak, and write the manifest last, so that a manifest that exists is complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--text", type=Path, help="a sentence a line")
    parser.add_argument("--count", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not shutil.which("flite") or not (arguments.text or WORDNET.is_dir()):
        sys.exit("needs flite and, without --text, wordnet-base: apt-get install flite wordnet-base")
    sentences = arguments.text.read_text(encoding="utf-8").splitlines() if arguments.text else wordnet_examples()
    chance = random.Random(arguments.seed)
    chance.shuffle(sentences)
    audio = arguments.out / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    rows = [
        (audio / f"{number}.wav", sentence, chance.choices(list(VOICES), list(VOICES.values()))[0], chance.uniform(*SLOWER))
        for number, sentence in enumerate(sentences[: arguments.count])
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda row: speak(*row), rows))
    with (arguments.out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "speaker"))
        table.writerows((file.relative_to(arguments.out), sentence, voice) for file, sentence, voice, _ in rows)
    print(f"{len(rows)} sentences in {arguments.out / 'manifest.csv'}")


if __name__ == "__main__":
    main()
