"""How far real sets are apart for a real encoder: other speakers of one set are no domain, other recordings are."""

import pytest

from speechxfer.data import parse_manifest
from speechxfer.evaluation import compare_recordings
from speechxfer.models import new_head


@pytest.fixture(scope="module")
def gaps(shared):
    """Give the gaps from the training set of an4 to its test set and to fsdd, from few utterances of each."""
    model = new_head(shared / "models/whisper-tiny-en", "classification", labels=("any",))
    sets = {name: parse_manifest(shared / "data" / name / "manifest.csv") for name in ("an4", "fsdd")}
    train = sets["an4"].where(split="train")
    others = {"test": sets["an4"].where(split="test"), "fsdd": sets["fsdd"].select(range(0, len(sets["fsdd"]), 25))}
    return {name: compare_recordings(train.select(range(0, len(train), 5)), other, model) for name, other in others.items()}


def test_other_recordings_are_farther_apart_than_other_speakers(gaps):
    near, far = gaps["test"].features, gaps["fsdd"].features
    assert near.over == far.over == "speaker"
    assert far.frechet.between > 3 * near.frechet.between and far.a_distance.between > near.a_distance.between + 1
    assert far.frechet.exceeds_halves and far.a_distance.exceeds_halves
    assert not near.frechet.exceeds_halves or not near.a_distance.exceeds_halves


def test_what_is_said_is_true_of_these_sets(gaps):
    assert gaps["fsdd"].sentences[0].startswith("These recordings differ more than two halves")
    # Digits are most of what fsdd says and an4 spells; fsdd comes from the telephone band.
    assert gaps["fsdd"].audio[1].bandwidth_hz <= 4_000 < gaps["fsdd"].audio[0].bandwidth_hz
    assert any("kHz in the second set" in sentence for sentence in gaps["fsdd"].sentences)
    assert gaps["fsdd"].unseen.rate < 0.2 and gaps["test"].unseen.rate < 0.2
