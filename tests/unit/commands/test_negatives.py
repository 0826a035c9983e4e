"""Negatives for a classification head: how many, from where, how long, and that sets stay apart."""

import csv
from collections import Counter

import numpy as np
import pytest
import soundfile

from speechxfer.commands import add_negatives
from speechxfer.data import check_sets, load_audio, parse_manifest, sift_sets
from speechxfer.errors import DataError

RATE = 16_000


@pytest.fixture
def table(tmp_path):
    """Write a manifest of so many seconds of sound for each row; gives it checked."""
    random = np.random.default_rng(0)

    def write(name, rows):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            lines = csv.DictWriter(file, ["audio", "label", "speaker", "split"])
            lines.writeheader()
            for number, (seconds, label, speaker, split) in enumerate(rows):
                soundfile.write(tmp_path / f"{name}{number}.wav", random.normal(0, 0.2, int(seconds * RATE)), RATE)
                lines.writerow({"audio": f"{name}{number}.wav", "label": label, "speaker": speaker, "split": split})
        return sift_sets({"set": parse_manifest(tmp_path / f"{name}.csv")}, None)[0]["set"]

    return write


@pytest.fixture
def commands(table, sound_is_speech):
    """Return eight commands of each of two words to train with, and two of each to test with."""
    sets = [("train", 8), ("test", 2)]
    rows = [
        (0.3 + n / 100, word, f"{split} caller", split) for split, count in sets for word in ("go", "stop") for n in range(count)
    ]
    return table("commands", rows)


def test_every_set_gets_as_much_that_is_no_command_and_from_its_own_set_only(commands, table, tmp_path):
    talk = table("talk", [(5.0, "", "talker", "train"), (0.1, "", "short", "train"), (5.0, "", "tester", "test")])
    noise = table("noise", [(3.0, "", "", "train"), (3.0, "", "", "test")])
    made = add_negatives(commands, tmp_path / "made", unknown=talk, silence=noise)
    assert [made.columns["label"][row] for row in range(20)] == commands.columns["label"]
    counts = Counter(zip(made.columns["split"], made.columns["label"], strict=True))
    wanted = {"go": 8, "stop": 8, "unknown": 16, "silence": 8}
    assert counts == {("train", name): count for name, count in wanted.items()} | {
        ("test", name): count // 4 for name, count in wanted.items()
    }
    made.write(tmp_path / "made.csv")
    sets, _ = check_sets({"set": parse_manifest(tmp_path / "made.csv")}, "classification")  # all of it can be read
    speakers = {"train": {"train caller", "talker", "short", ""}, "test": {"test caller", "tester", ""}}
    for utterance in sets["set"]:
        assert utterance.fields["speaker"] in speakers[utterance.fields["split"]]
    stretches = [utterance for utterance in sets["set"] if utterance.start and utterance.label == "unknown"]
    lengths = {round(float(seconds), 3) for seconds in commands.columns["duration"]}
    assert len(stretches) >= 8
    assert {round(utterance.end - utterance.start, 3) for utterance in stretches} <= lengths
    assert len({utterance.start for utterance in stretches}) == len(stretches)


def test_without_talk_all_are_made_of_the_commands_and_repeat_by_seed(commands, tmp_path):
    made = add_negatives(commands.where(split="test"), tmp_path / "one", seed=3)
    misses = [utterance for utterance in made if utterance.label == "unknown"]
    assert len(misses) == 4 and "silence" not in made.columns["label"]
    originals = [load_audio(utterance, RATE) for utterance in made if utterance.label != "unknown"]
    for miss in misses:
        heard = load_audio(miss, RATE)
        parts = [part for one in originals for part in (one[::-1], one[: len(one) // 2], one[len(one) // 2 :])]
        assert any(
            len(heard) <= len(part) and np.abs(part - heard[: len(part)]).max() < 1e-3
            for part in parts
            if len(part) == len(heard)
        )
    again = add_negatives(commands.where(split="test"), tmp_path / "two", seed=3)
    for first, second in zip(misses, [one for one in again if one.label == "unknown"], strict=True):
        np.testing.assert_array_equal(load_audio(first, RATE), load_audio(second, RATE))


def test_sets_that_are_lacking_and_labels_that_are_taken_are_named_at_once(commands, table, tmp_path):
    talk = table("talk", [(1.0, "", "", "train")])
    odd = table("odd", [(1.0, "silence", "", "train"), (1.0, "go", "", "dev")])
    with pytest.raises(DataError) as raised:
        add_negatives(odd, tmp_path / "made", unknown=talk)
    said = str(raised.value)
    assert "talk.csv" in said and "no rows of split 'dev' for 'unknown'" in said and "the label 'silence' already" in said


def test_the_verb_writes_one_manifest_of_all(speechxfer, commands, tmp_path):
    code, printed, _ = speechxfer("commands", "negatives", tmp_path / "commands.csv", "--out", tmp_path / "out")
    assert code == 0 and "40 utterances, 20 of unknown" in printed
    assert Counter(parse_manifest(tmp_path / "out/manifest.csv").columns["label"]) == {"go": 10, "stop": 10, "unknown": 20}
