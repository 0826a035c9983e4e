"""A run that trains a decoder: it learns, can be stopped anywhere, and says what it cannot take."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechxfer import evaluate, finetune, load_model
from speechxfer.data import Manifest, read_manifest
from speechxfer.decoding import answers
from speechxfer.errors import DataError, RunStoppedError
from speechxfer.evaluation import as_items
from speechxfer.recipe import Recipe
from speechxfer.training.preparation import prepare
from speechxfer.training.stages import make_augmenter, make_training_set
from tests.unit.training.test_resume import StopAt, assert_same, weights


@pytest.fixture(autouse=True)
def first_answers_only(monkeypatch):
    """Spare the test the second thoughts of a model that has not learned yet."""
    monkeypatch.setattr(answers, "_TEMPERATURES", ())


def recipe(model, manifest, **changes) -> Recipe:
    tree = {
        "task": "seq2seq",
        "model": {"path": str(model), "train": "all"},
        "data": {"train": str(manifest)},
        "training": {"epochs": 3, "batch_seconds": 4, "encoder_learning_rate": 1e-3, "head_learning_rate": 3e-3},
    }
    tree["training"]["precision"] = "fp32"
    for name, value in changes.items():
        section, _, key = name.partition("__")
        tree.setdefault(section, {})[key] = value
    return Recipe.model_validate(tree)


def test_it_learns_and_is_saved_as_it_was_scored(small_writer, tones, tmp_path, undocumented):
    events = []
    report = finetune(recipe(small_writer, tones, training__epochs=4), tmp_path / "run", events.append)
    losses = [event["loss"] for event in events if event["event"] == "epoch"]
    assert losses[-1] < 0.5 * losses[0]
    assert report["before"]["kind"] == "pretrained model" and not undocumented(report)
    again = evaluate(tmp_path / "run", f"{tones}[split=test]", precision="fp32")
    assert again.scores["cer"] == report["sets"]["test"]["cer"]
    assert load_model(tmp_path / "run").frontend.context == "adaptive"
    assert json.loads((tmp_path / "run/model/config.json").read_text())["architectures"] == ["WhisperForConditionalGeneration"]


def test_stopped_at_any_step_it_ends_with_the_same_weights(small_writer, tones, tmp_path):
    stages = [{"train": "decoder", "epochs": 1}, {"train": "lora:2", "epochs": 1}, {"train": "top:1", "epochs": 1}]
    changes = {"training__stages": stages, "augment__time_masks_per_second": 2.0, "training__average_decay": 0.9}
    made = recipe(small_writer, tones, **changes)
    finetune(made, tmp_path / "whole")
    for stop in (2, 9):
        with pytest.raises(RunStoppedError):
            finetune(made, tmp_path / str(stop), StopAt(stop))
        finetune(made, tmp_path / str(stop), resume=True)
        assert_same(weights(tmp_path / str(stop)), weights(tmp_path / "whole"))


def test_with_the_stock_context_thirty_seconds_are_computed(small_writer, tones):
    made = recipe(small_writer, tones, whisper__context="stock")
    prepared = prepare(made)
    training_set = make_training_set(made, prepared.speech_model, prepared.sets, make_augmenter(made, prepared))
    assert training_set.seconds(0, 0) == 30.0
    adaptive = replace(prepared.speech_model, frontend=prepared.speech_model.frontend.in_context("adaptive"))
    training_set = make_training_set(made, adaptive, prepared.sets, make_augmenter(made, prepared))
    assert training_set.seconds(0, 0) == training_set.views[0][0].seconds < 2


def test_a_share_of_the_targets_has_the_times_of_their_own_view(small_writer, tones):
    made = recipe(small_writer, tones, whisper__timed_share=0.5, augment__views=2, augment__speed=[1.0, 1.25])
    prepared = prepare(made)
    tokens = prepared.speech_model.tokens
    training_set = make_training_set(made, prepared.speech_model, prepared.sets, make_augmenter(made, prepared))
    timed = [row for row, targets in enumerate(training_set.targets) if targets[0].prompt == tokens.prompt(timed=True)]
    assert 0.25 < len(timed) / len(training_set.targets) < 0.75
    for row in timed:
        for item, target in zip(training_set.views[row], training_set.targets[row], strict=True):
            assert (target.answer[-2] - tokens.first_time) / 50 == pytest.approx(item.seconds, abs=0.011)
    assert make_training_set(made, prepared.speech_model, prepared.sets, make_augmenter(made, prepared)) == training_set


def test_a_text_the_decoder_has_no_room_for_is_refused_with_its_row(small_writer, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    rows = "".join(f"a.wav,{text},s{number}\n" for number, text in enumerate(["a", "b" * 70, "a", "a"]))
    (tmp_path / "m.csv").write_text(f"audio,text,speaker\n{rows}")
    with pytest.raises(DataError, match=r"m\.csv:3.*75 tokens of text, but this decoder takes 24"):
        prepare(recipe(small_writer, tmp_path / "m.csv"))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "whisper.language is None, expected one of de, en, ro"),
        ({"whisper__language": "xx"}, "whisper.language is 'xx'"),
        ({"whisper__language": "ro", "model__train": "head"}, "has no head"),
    ],
)
def test_what_a_multilingual_model_cannot_do_is_said_before_training(small_polyglot, tones, changes, complaint):
    with pytest.raises(DataError, match=complaint):
        prepare(recipe(small_polyglot, tones, **changes))


@pytest.fixture
def spoken_in(tones, tmp_path):
    """Return a function that writes `tones` with a language in each row, in turn."""

    def write(*languages: str) -> Path:
        manifest = read_manifest(tones)
        named = [languages[row % len(languages)] for row in range(len(manifest))]
        columns = {**manifest.columns, "language": named}
        Manifest(columns, manifest.source, manifest.lines).write(tmp_path / "named.csv")
        return tmp_path / "named.csv"

    return write


def test_each_row_is_learned_and_written_in_its_own_language(small_polyglot, spoken_in):
    manifest = spoken_in("de", "ro", "")
    made = recipe(small_polyglot, manifest, whisper__language="en", training__epochs=1)
    prepared = prepare(made)
    tokens, train = prepared.speech_model.tokens, prepared.sets["train"]
    training_set = make_training_set(made, prepared.speech_model, prepared.sets, make_augmenter(made, prepared))
    prompts = [targets[0].prompt for targets in training_set.targets]
    assert prompts == [tokens.prompt(named or "en") for named in train.columns["language"]]
    assert len({*map(tuple, prompts)}) == 3

    writer = prepared.speech_model
    heard = {language: evaluate(writer, manifest, language=language).rows.answers for language in ("de", "ro", "en")}
    assert heard["de"] != heard["ro"]
    own = read_manifest(manifest).columns["language"]
    expected = [heard[named or "en"][row] for row, named in enumerate(own)]
    assert evaluate(writer, manifest).rows.answers == expected


def test_rows_in_a_language_that_the_model_lacks_are_named(small_polyglot, spoken_in):
    with pytest.raises(DataError, match=r"named\.csv:3: language 'fr': this model knows de, en, ro"):
        prepare(recipe(small_polyglot, spoken_in("de", "fr"), whisper__language="en"))


def test_an_encoder_alone_cannot_write(small_whisper, tones):
    with pytest.raises(DataError, match="without a head of ours"):
        prepare(recipe(small_whisper, tones))


def test_the_scratch_control_begins_from_random_weights(small_writer, tones, tmp_path):
    report = finetune(recipe(small_writer, tones, training__epochs=1, proof__control="scratch"), tmp_path / "run")
    assert report["control"]["sets"]["test"]["utterances"] == len(as_items(prepare(recipe(small_writer, tones)).sets["test"]))


def test_rows_are_read_as_for_ctc(small_writer, tones):
    torch.manual_seed(0)
    prepared = prepare(recipe(small_writer, tones, data__on_bad_row="skip"))
    assert sum(map(len, prepared.sets.values())) == len(read_manifest(tones))
