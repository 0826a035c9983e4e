"""Commands from a few examples on real speech: digits in accents that were not enrolled, and a wake word in a stream."""

import numpy as np
import pytest

from speechxfer import CommandRecognizer
from speechxfer.commands import CommandSpotter, enrol
from speechxfer.data import load_audio, read_manifest

RATE = 16_000


@pytest.fixture(scope="module")
def digits(shared):
    return read_manifest(shared / "data/fsdd/manifest.csv")


@pytest.fixture(scope="module")
def recognizer(shared, digits):
    """Three recordings of each digit by each of two American speakers."""
    speakers, ids = digits.columns["speaker"], digits.columns["id"]
    chosen = [row for row in range(len(digits)) if speakers[row] in ("jackson", "theo") and int(ids[row].split("_")[-1]) < 3]
    return CommandRecognizer(enrol(digits.select(chosen), shared / "models/whisper-tiny-en", precision="fp32"), precision="fp32")


def test_accents_that_were_not_enrolled(recognizer, digits):
    speakers, ids = digits.columns["speaker"], digits.columns["id"]
    rows = [row for row in range(len(digits)) if speakers[row] not in ("jackson", "theo") and ids[row].endswith("_7")]
    heard = recognizer.recognise([digits[row] for row in rows])
    right = [one.likeliest == digits[row].label for one, row in zip(heard, rows, strict=True)]
    assert len(right) == 40 and np.mean(right) >= 0.8
    assert recognizer.enrolment.choice.accuracy >= 0.9


def test_a_saved_recogniser_answers_the_same(recognizer, digits, tmp_path):
    recognizer.save(tmp_path)
    clips = [digits[0], digits[700]]
    assert CommandRecognizer.from_pretrained(tmp_path, precision="fp32").recognise(clips) == recognizer.recognise(clips)


def test_a_wake_word_is_found_in_its_recording(shared):
    words = read_manifest(f"{shared / 'data/wake_words/manifest.csv'}[split=train]")
    labels = words.columns["label"]
    own = {name: [row for row, label in enumerate(labels) if label == name] for name in ("jarvis", "computer")}
    made = enrol(words.select([row for rows in own.values() for row in rows[:5]]), shared / "models/whisper-tiny-en")
    spotter = CommandSpotter(CommandRecognizer(made))
    events = [event for row in (own["jarvis"][0], own["computer"][0]) for event in spotter.push(load_audio(words[row], RATE))]
    assert [event.command for event in events + spotter.finish()] == ["jarvis", "computer"]
