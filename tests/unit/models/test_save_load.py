"""Loading is strict and safe; what is saved comes back equal, here and in plain transformers."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForAudioClassification, AutoModelForCTC

import speechxfer.auto  # noqa: F401 (registers the pair)
from speechxfer.data import Vocabulary
from speechxfer.errors import ModelError
from speechxfer.models import load_model, new_head


@pytest.mark.parametrize(
    ("task", "head", "auto"),
    [
        ("ctc", "linear", AutoModelForCTC),
        ("ctc", "blstm", AutoModelForCTC),
        ("classification", "linear", AutoModelForAudioClassification),
    ],
)
def test_saved_model_reloads_with_equal_logits(small_whisper, clips, tmp_path, task, head, auto):
    vocabulary = Vocabulary.from_texts(["a b ț"]) if task == "ctc" else None
    labels = ("yes", "0", "no") if task == "classification" else ()
    made = new_head(small_whisper, task, vocabulary=vocabulary, labels=labels, head=head, normaliser="none")
    if task == "classification":
        made.model.head.standardise(torch.randn(10, 32))
    made.save(tmp_path)
    loaded = load_model(tmp_path)
    assert (loaded.task, loaded.vocabulary, loaded.labels, loaded.normaliser) == (task, vocabulary, labels, "none")
    inputs = made.frontend(clips[2]).T[None]
    made.model.eval()
    with torch.no_grad():
        expected = made.model(input_features=inputs).logits
        assert torch.equal(loaded.model(input_features=loaded.frontend(clips[2]).T[None]).logits, expected)
        assert torch.equal(auto.from_pretrained(tmp_path).eval()(input_features=inputs).logits, expected)


def test_run_directory_stands_for_its_model(small_whisper, tmp_path):
    new_head(small_whisper, "classification", labels=("a", "b")).save(tmp_path / "model")
    assert load_model(tmp_path).labels == ("a", "b")


def test_random_encoder_differs_from_the_pretrained_one(small_whisper):
    made = [new_head(small_whisper, "classification", labels=("a", "b"), random_encoder=random) for random in (False, True)]
    assert not torch.equal(made[0].model.encoder.layers[0].fc1.weight, made[1].model.encoder.layers[0].fc1.weight)
    # Whisper's positions are a fixed sinusoid, not learned: the control has them as well.
    torch.testing.assert_close(made[0].model.encoder.embed_positions.weight, made[1].model.encoder.embed_positions.weight)


def broken(small_whisper, tmp_path, change):
    directory = tmp_path / "broken"
    shutil.copytree(small_whisper, directory)
    change(directory)
    return directory


def truncate(directory):
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def widen(directory):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "encoder_ffn_dim": 96, "encoder_layers": 4}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "config.json is missing"),
        (lambda d: (d / "config.json").write_text("{"), "not readable as JSON"),
        (lambda d: (d / "config.json").write_text('{"model_type": "bert"}'), "model_type is 'bert'"),
        (lambda d: (d / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda d: (d / "model.safetensors").rename(d / "pytorch_model.bin"), "pytorch_model.bin is a pickle"),
        (lambda d: (d / "preprocessor_config.json").unlink(), "preprocessor_config.json"),
        (truncate, "not a whole safetensors file"),
        (widen, "do not fit the configuration"),
    ],
)
def test_broken_directory_is_named(small_whisper, tmp_path, change, message):
    with pytest.raises(ModelError, match=message):
        new_head(broken(small_whisper, tmp_path, change), "classification", labels=("a", "b"))


def test_complaints_name_the_weights(small_whisper, tmp_path):
    with pytest.raises(ModelError) as caught:
        new_head(broken(small_whisper, tmp_path, widen), "classification", labels=("a", "b"))
    assert "layers.0.fc1.weight has shape (64, 32), expected (96, 32)" in str(caught.value)


def test_missing_directory_names_what_lies_beside_it(small_whisper):
    with pytest.raises(ModelError, match=f"no such model directory; beside it: .*{small_whisper.name}"):
        new_head(small_whisper.parent / "whispr", "classification", labels=("a",))


def test_pretrained_directory_is_no_finished_model(small_whisper):
    with pytest.raises(ModelError, match="speechxfer finetune"):
        load_model(small_whisper)
