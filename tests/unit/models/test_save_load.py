"""Loading is strict and safe; what is saved comes back equal, here and in plain transformers."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForAudioClassification, AutoModelForCTC

import speechxfer.auto  # noqa: F401 (registers the pair)
from speechxfer.data import Vocabulary
from speechxfer.errors import ModelError
from speechxfer.models import load_model, new_head, with_random_weights
from speechxfer.models.heads import output_layer


@pytest.mark.parametrize("name", ["whisper", "wav2vec2-group", "wav2vec2-layer"])
@pytest.mark.parametrize(
    ("task", "head", "auto"),
    [
        ("ctc", "linear", AutoModelForCTC),
        ("ctc", "blstm", AutoModelForCTC),
        ("classification", "linear", AutoModelForAudioClassification),
    ],
)
def test_saved_model_reloads_with_equal_logits(small_models, clips, tmp_path, name, task, head, auto):
    vocabulary = Vocabulary.from_texts(["a b ț"]) if task == "ctc" else None
    labels = ("yes", "0", "no") if task == "classification" else ()
    made = new_head(small_models[name], task, vocabulary=vocabulary, labels=labels, head=head, normaliser="none")
    if hasattr(made.model, "head") and task == "classification":
        made.model.head.standardise(torch.randn(10, 1, 32))
    made.save(tmp_path)
    loaded = load_model(tmp_path)
    assert (loaded.task, loaded.vocabulary, loaded.labels, loaded.normaliser) == (task, vocabulary, labels, "none")
    assert loaded.family == made.family
    for config in (made.model.config, loaded.model.config):  # or transformers warns of each
        numbers = [value for key, value in config.to_dict().items() if key.endswith("_token_id") and value is not None]
        assert all(number < config.vocab_size for number in numbers)
    inputs = made.frontend(clips[2])
    assert torch.equal(loaded.frontend(clips[2]), inputs)
    native = {made.model.main_input_name: inputs.T[None] if inputs.ndim == 2 else inputs[None]}
    elsewhere = auto.from_pretrained(tmp_path).eval()
    assert loaded.is_native == type(elsewhere).__module__.startswith("transformers.") == (name != "whisper" and head == "linear")
    made.model.eval()
    with torch.no_grad():
        expected = made.model(**native).logits
        assert torch.equal(loaded.model(**native).logits, expected)
        assert torch.equal(elsewhere(**native).logits, expected)


def test_weights_of_an_old_torch_are_read(small_models, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(small_models["wav2vec2-layer"], tmp_path / "old")
    weights = load_file(tmp_path / "old/model.safetensors")
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        path = "encoder.pos_conv_embed.conv."
        weights[path + old] = weights.pop(f"{path}parametrizations.weight.{new}")
    save_file(weights, tmp_path / "old/model.safetensors", {"format": "pt"})
    made = [
        new_head(directory, "classification", labels=("a",)) for directory in (small_models["wav2vec2-layer"], tmp_path / "old")
    ]
    first, second = (item.model.base_model.encoder.pos_conv_embed.conv.weight for item in made)
    assert torch.equal(first, second)


@pytest.mark.parametrize("num_symbols", [3, 4000])
@pytest.mark.parametrize(("name", "head"), [("whisper", "linear"), ("whisper", "blstm"), ("wav2vec2-group", "linear")])
def test_a_new_ctc_head_gives_the_blank_the_same_share_of_any_vocabulary(small_models, name, head, num_symbols):
    vocabulary = Vocabulary(tuple(map(chr, range(0x4E00, 0x4E00 + num_symbols))))
    made = new_head(small_models[name], "ctc", vocabulary=vocabulary, head=head)
    for model in (made.model, with_random_weights(made).model):
        _, output = output_layer(model)
        assert output.bias.softmax(dim=0)[0].item() == pytest.approx(0.2, abs=1e-5)
        assert not output.bias[1:].any() and output.weight.std() > 0


def test_a_head_that_is_there_is_replaced_and_the_encoder_kept(small_models, tmp_path):
    first = new_head(small_models["wav2vec2-group"], "ctc", vocabulary=Vocabulary(("a", "b")))
    first.save(tmp_path)
    second = new_head(tmp_path, "ctc", vocabulary=Vocabulary(("a", "b", "c", "d")))
    assert second.model.lm_head.out_features == 5
    kept, old = second.model.base_model.state_dict(), first.model.base_model.state_dict()
    assert kept.keys() == old.keys() and all(torch.equal(kept[key], old[key]) for key in kept)


def test_run_directory_stands_for_its_model(small_whisper, tmp_path):
    new_head(small_whisper, "classification", labels=("a", "b")).save(tmp_path / "model")
    assert load_model(tmp_path).labels == ("a", "b")
    assert new_head(tmp_path, "classification", labels=("c",)).labels == ("c",)


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


@pytest.mark.parametrize(
    "change",
    [
        {"conv_kernel": [10, 3]},
        {"conv_stride": "fast"},
        {"hidden_size": -8},
        {"num_attention_heads": 0},
        {"hidden_act": "no such function"},
        {"intermediate_size": None},
    ],
)
def test_a_configuration_that_makes_no_sense_is_named(small_models, tmp_path, change):
    saved = new_head(small_models["wav2vec2-layer"], "ctc", vocabulary=Vocabulary.from_texts(["ab"]))
    saved.save(tmp_path / "saved")
    for directory, load in (
        (tmp_path / "pretrained", lambda path: new_head(path, "classification", labels=("a",))),
        (tmp_path / "saved", load_model),
    ):
        if not directory.exists():
            shutil.copytree(small_models["wav2vec2-layer"], directory)
        config = json.loads((directory / "config.json").read_text()) | change
        (directory / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match=r"config\.json: no model can be built"):
            load(directory)
