"""Two manifests and a model: what is compared, what is left out, which words are new, and what is said about it."""

import csv
import re

import numpy as np
import pytest
import soundfile
from torch import nn

from speechxfer.data import Vocabulary, parse_manifest, resample
from speechxfer.errors import DataError
from speechxfer.evaluation import compare_recordings, unseen_words
from speechxfer.models import new_head

RATE = 16_000


def recordings(directory, count=24, pitch=300.0, noise=0.01, telephone=False, seed=0, texts=("ab",)):
    """Write tones in files of their own, of six speakers whose pitches differ a little."""
    directory.mkdir()
    random = np.random.default_rng(seed)
    rows = [("id", "audio", "text", "speaker")]
    for number in range(count):
        speaker = number % 6
        time = np.arange(int(random.uniform(0.5, 0.8) * RATE)) / RATE
        samples = 0.3 * np.sin(2 * np.pi * pitch * (1 + speaker / 50) * time) * (time > 0.2)
        samples = (samples + random.normal(0, noise, len(time))).astype(np.float32)
        if telephone:
            samples = resample(resample(samples, RATE, 8_000), 8_000, RATE)
        soundfile.write(directory / f"{number}.wav", samples, RATE)
        rows.append((f"{directory.name}{number}", f"{number}.wav", texts[number % len(texts)], f"{directory.name}{speaker}"))
    with (directory / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return parse_manifest(directory / "m.csv")


@pytest.fixture
def model(small_whisper):
    return new_head(small_whisper, "classification", labels=("any",))


def test_sets_of_one_kind_and_others(tmp_path, model):
    same = [recordings(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    alike = compare_recordings(*same, model)
    assert alike.features.over == "speaker" and alike.utterances == (24, 24) and alike.left_out == (0, 0)
    assert not alike.features.frechet.exceeds_halves or not alike.features.a_distance.exceeds_halves
    assert "more than two halves" in alike.sentences[0] and len(alike.sentences) == 1
    other = recordings(tmp_path / "c", pitch=1_500, noise=0.05, telephone=True, texts=("ab", "ab go"))
    apart = compare_recordings(same[0], other, model)
    assert apart.features.frechet.between > 3 * alike.features.frechet.between
    assert apart.features.frechet.exceeds_halves and apart.features.a_distance.exceeds_halves
    meaning, band, noise, words = apart.sentences
    assert meaning.startswith("These recordings differ more than two halves") and "do worse" in meaning
    assert re.search(r"4\.\d kHz in the second set, at 8.0 kHz", band)
    assert "noisier" in noise and words.startswith("33.3 %")
    first, second = apart.audio
    assert first.bandwidth_hz == pytest.approx(8_000, abs=200) and 4_000 < second.bandwidth_hz < 5_000
    assert second.noise_db - first.noise_db == pytest.approx(20 * np.log10(5) - 3, abs=1)  # half of the noise's band is left
    back = compare_recordings(other, same[0], model)
    assert back.audio == (second, first) and "in the first set" in back.sentences[1] and len(back.sentences) == 2


def test_order_of_rows_and_kind_of_head_change_nothing(tmp_path, model, small_whisper):
    one, other = recordings(tmp_path / "a"), recordings(tmp_path / "b", pitch=500, seed=1)
    gap = compare_recordings(one, other, model).to_dict()
    turned = one.select(range(len(one) - 1, -1, -1))
    assert compare_recordings(turned, other, model).to_dict() == gap
    heads = [
        new_head(small_whisper, "classification", labels=("any",), weighted_layer_sum=True),
        new_head(small_whisper, "ctc", vocabulary=Vocabulary("ab")),
    ]
    for headed in heads:
        found = compare_recordings(one, other, headed)
        assert found.features.frechet.between == pytest.approx(gap["features"]["frechet"]["between"], rel=1e-3)


def test_company_in_a_batch_changes_nothing(tmp_path, model, monkeypatch):
    one, other = recordings(tmp_path / "a"), recordings(tmp_path / "b", pitch=500, seed=1)
    together = compare_recordings(one, other, model).features
    monkeypatch.setattr("speechxfer.evaluation.domain_gap._BATCH_SECONDS", 0.01)
    alone = compare_recordings(one, other, model).features
    assert together.frechet.between == pytest.approx(alone.frechet.between, rel=1e-4)
    assert together.frechet.halves == pytest.approx(alone.frechet.halves, rel=1e-4)


def test_only_the_last_layer_counts(tmp_path, model):
    one, other = recordings(tmp_path / "a"), recordings(tmp_path / "b", pitch=500, seed=1)
    before = compare_recordings(one, other, model).features.frechet.between
    norm = model.model.base_model.layer_norm
    assert isinstance(norm, nn.LayerNorm)
    norm.weight.data[: len(norm.weight) // 2] = 0  # what is constant is no distance
    assert compare_recordings(one, other, model).features.frechet.between < 0.9 * before


def test_what_cannot_be_heard_is_left_out_and_too_little_is_refused(tmp_path, model):
    one, other = recordings(tmp_path / "a"), recordings(tmp_path / "b")
    (tmp_path / "b/3.wav").write_text("not audio")
    soundfile.write(tmp_path / "b/4.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "b/5.wav", np.random.default_rng(0).normal(0, 0.1, 31 * RATE), RATE)
    told = []
    gap = compare_recordings(one, other, model, lambda *counts: told.append(counts))
    assert (gap.utterances, gap.left_out) == ((24, 21), (0, 3))
    assert told[-1] == (45, 45)
    few = other.select(range(19))
    with pytest.raises(DataError, match=r"b/m.csv: 16 usable utterances, expected 20 or more"):
        compare_recordings(one, few, model)


def test_of_a_large_set_a_part_is_listened_to(tmp_path, model, monkeypatch):
    monkeypatch.setattr("speechxfer.evaluation.domain_gap._MOST", 21)
    gap = compare_recordings(recordings(tmp_path / "a"), recordings(tmp_path / "b"), model)
    assert (gap.utterances, gap.left_out) == ((21, 21), (0, 0))


def test_unseen_words_are_counted_as_often_as_they_occur():
    found = unseen_words(["We call it: bear!", "it is"], ["Call it  BEAR, or fox", "a fox", "", "or"])
    assert (found.rate, found.words, found.different) == (5 / 8, 8, 3)
    assert found.frequent == (("fox", 2), ("or", 2), ("a", 1))
    assert unseen_words(["a b"], ["B a"]).rate == 0
    assert unseen_words(["a"], ["..."]) is None and unseen_words([], ["a"]) is None
    assert len(unseen_words(["a"], [" ".join("bcdefghijklmnop")]).frequent) == 10
