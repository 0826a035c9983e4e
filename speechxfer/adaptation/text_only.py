"""Sentences in; a manifest of synthetic speech that says them, out.

So a model can learn words of which there is no recording: fine-tuned on it with `data.mix` of real speech beside it, so that it
does not learn to hear synthetic voices only, and with `data.guard`. What it is worth must be measured on people.
"""

from __future__ import annotations

import csv
import itertools
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from speechxfer.data import SPOKEN_RATE, SpeechRequest, Utterance, load_audio, resample, speak
from speechxfer.errors import DataError, Problem, SynthesisError

ENGLISH_VOICES = tuple(
    f"{accent}+{variant}"
    for variant in ("m1", "f1", "m3", "f2", "m7", "f4", "klatt2", "f5", "steph", "Andy", "Alicia", "max")
    for accent in ("en-us", "en", "en-gb-x-rp", "en-gb-scotland")
)
"""Of eSpeak NG: four accents of English by twelve voices."""

GAP = "{}"
"""Where a term stands in a sentence."""

_RATE = 16_000
_AT_ONCE = 100  # requests that one process speaks
_FIELDS = ("{text}", "{voice}", "{file}")


@dataclass(frozen=True)
class _Spoken:
    text: str
    voice: str
    file: Path
    place: str  # where the sentence stands, for messages


def read_sentences(sentences: Path, terms: Path | None = None) -> list[tuple[str, str]]:
    """Read what is to be said.

    Parameters
    ----------
    sentences
        One a line. One with `{}` in it is said with each term there.
    terms
        One a line; said alone too.

    Returns
    -------
    list of tuple of str
        Texts, each once, and where they come from.

    Raises
    ------
    DataError
        If a file cannot be read, or there is nothing to say, or a gap and no term for it.
    """
    lines = [(line, f"{sentences}:{number}") for number, line in _lines(sentences)]
    words = [(line, f"{terms}:{number}") for number, line in _lines(terms)] if terms else []
    gaps = [place for line, place in lines if GAP in line]
    if gaps and not words:
        what = f"{GAP} stands for a term, and there is no --terms"
        raise DataError([Problem(str(sentences), int(place.rpartition(":")[2]), what) for place in gaps])
    said = [*words]
    for line, place in lines:
        said += [(line.replace(GAP, term), place) for term, _ in words] if GAP in line else [(line, place)]
    if not said:
        raise DataError([Problem(str(sentences), None, "empty: there is nothing to say", skippable=False)])
    first = dict[str, str]()
    for text, place in said:
        first.setdefault(text, place)
    return [*first.items()]


def speak_texts(
    texts: Sequence[tuple[str, str]],
    out: Path,
    *,
    times: int = 2,
    voices: Sequence[str] = ENGLISH_VOICES,
    command: str | None = None,
    seed: int = 0,
) -> Path:
    """Speak texts by voices in turn.

    Parameters
    ----------
    texts
        See `read_sentences`.
    out
        Directory for `manifest.csv` and `audio/`; 16 kHz.
    times
        How often each text is said, each time by another voice, rate and pitch.
    voices
        Of eSpeak NG, or whatever `command` calls so.
    command
        Another synthesis: a command line with `{text}`, `{file}` (the WAV file it is to write) and, if it has voices, `{voice}`.
    seed
        Of voices, rates and pitches.

    Returns
    -------
    pathlib.Path
        The manifest, written last: `audio`, `text`, `speaker` (the voice).

    Raises
    ------
    SynthesisError
        If a text cannot be spoken; it is named. If `command` does not say where text and file go.
    AudioError
        If what `command` wrote cannot be read.
    """
    words = _words_of(command) if command else []
    if command and "{voice}" not in command:
        voices = [Path(words[0]).name]  # one for all, since nothing tells it otherwise
    random = np.random.default_rng(seed)
    audio = out / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    order = random.permutation(len(voices))
    turns = itertools.cycle([voices[number] for number in order])
    jobs = [
        _Spoken(text, next(turns), audio / f"{number}.flac", place)
        for number, (text, place) in enumerate(itertools.chain.from_iterable([texts] * times))
    ]
    groups = [jobs[start : start + _AT_ONCE] for start in range(0, len(jobs), _AT_ONCE)]
    seeds = random.integers(2**32, size=len(groups))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = [
            pool.submit(_by_command, group, words) if words else pool.submit(_by_espeak, group, int(one))
            for group, one in zip(groups, seeds, strict=True)
        ]
        for future in made:
            future.result()
    manifest = out / "manifest.csv"
    part = manifest.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "speaker"))
        table.writerows((job.file.relative_to(out), job.text, job.voice) for job in jobs)
    part.replace(manifest)
    return manifest


def _by_espeak(jobs: Sequence[_Spoken], seed: int) -> None:
    random = np.random.default_rng(seed)
    requests = [
        SpeechRequest(job.text, job.voice, int(random.integers(120, 200)), *(int(one) for one in random.integers(25, 76, 2)))
        for job in jobs
    ]
    for job, samples in zip(jobs, speak(requests), strict=True):
        if not samples.size:
            raise SynthesisError(f"{job.place}: eSpeak NG says nothing for {job.text!r}; leave the line out")
        soundfile.write(job.file, resample(samples.astype(np.float32) / np.float32(32768), SPOKEN_RATE, _RATE), _RATE)


def _words_of(command: str) -> list[str]:
    """Part a command line, which must say where the text and the file's name go."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SynthesisError(f"--command {command}: {error}") from None
    missing = [field for field in ("{text}", "{file}") if not any(field in word for word in words)]
    if missing:
        raise SynthesisError(
            f"--command {command}: {' and '.join(missing)} is missing, so that it would not know what to say or where"
        )
    return words


def _by_command(jobs: Sequence[_Spoken], command: Sequence[str]) -> None:
    for job in jobs:
        with tempfile.TemporaryDirectory() as folder:
            spoken = Path(folder) / "spoken.wav"
            values = dict(zip(_FIELDS, (job.text, job.voice, str(spoken)), strict=True))
            words = [_filled(word, values) for word in command]
            try:
                done = subprocess.run(words, capture_output=True, check=False)
            except OSError as error:
                raise SynthesisError(f"--command {words[0]}: {error.strerror}") from None
            if done.returncode or not spoken.is_file():
                said = done.stderr.decode(errors="replace").strip().splitlines()
                why = (
                    said[-1]
                    if said
                    else f"it ended with code {done.returncode} and wrote {'a' if spoken.is_file() else 'no'} file"
                )
                raise SynthesisError(f"{job.place}: --command could not say {job.text!r}: {why}")
            soundfile.write(job.file, load_audio(Utterance(job.place, str(spoken)), _RATE), _RATE)


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DataError([Problem(str(path), None, f"cannot be read: {why}", skippable=False)]) from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, " ".join(line.split())
