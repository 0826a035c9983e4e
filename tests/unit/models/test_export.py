"""What is exported answers as its model does, alone and in company; what cannot be exported is refused by name."""

import json
from dataclasses import replace

import onnx
import pytest
import torch

from speechxfer.data import Vocabulary
from speechxfer.decoding import classify, ctc_log_probs
from speechxfer.errors import ModelError
from speechxfer.models import collate, export_onnx, for_inference, load_model, new_head
from speechxfer.models.split import Features

KINDS = [
    ("whisper", "ctc", "linear"),
    ("whisper", "ctc", "blstm"),
    ("whisper", "classification", "linear"),
    ("wav2vec2-group", "ctc", "linear"),
    ("wav2vec2-group", "classification", "linear"),
    ("wav2vec2-layer", "ctc", "linear"),
    ("wav2vec2-layer", "ctc", "blstm"),
]


def make(directory, task, head):
    torch.manual_seed(1)
    vocabulary = Vocabulary.from_texts(["a b ț"]) if task == "ctc" else None
    labels = ("yes", "0", "no") if task == "classification" else ()
    made = new_head(directory, task, vocabulary=vocabulary, labels=labels, head=head, head_hidden_size=16, normaliser="basic")
    made.model.eval()
    return made


def exported(made, directory, precision="fp32"):
    directory.mkdir()
    export_onnx(made, directory, precision)
    return load_model(directory)


def answers(speech_model, clips, batch):
    """Give log-probabilities or probabilities of each clip, so many in one forward."""
    model, _ = for_inference(speech_model, "cpu", "auto" if speech_model.is_exported else "fp32")
    inputs = [speech_model.frontend(clip) for clip in clips]
    features = []
    for first in range(0, len(inputs), batch):
        features += model.prefix(collate([Features(one, len(one)) for one in inputs[first : first + batch]]))
    return ctc_log_probs(model, features) if speech_model.task == "ctc" else [*classify(model, features)]


@pytest.mark.parametrize(("name", "task", "head"), KINDS)
def test_answers_are_the_models_alone_and_in_company(small_models, clips, tmp_path, name, task, head):
    made = make(small_models[name], task, head)
    loaded = exported(made, tmp_path / "out")
    expected = answers(made, clips, batch=1)
    for batch in (1, len(clips)):
        for one, other in zip(answers(loaded, clips, batch), expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    spread = torch.stack([one.mean(dim=0) if task == "ctc" else one for one in expected]).std(dim=0).max()
    assert spread > 1e-3  # clips are told apart, so that equal answers mean something
    for samples in (1, 399, 400, 401, 16_000, 40_321):
        assert loaded.num_frames(samples) == made.num_frames(samples)


def test_all_that_is_needed_comes_along(small_models, tmp_path):
    made = make(small_models["whisper"], "ctc", "linear")
    loaded = exported(made, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("config.json", "model.onnx", "preprocessor_config.json", "tokenizer_config.json", "vocab.json")
    ]
    assert loaded.is_exported and not made.is_exported
    assert (loaded.task, loaded.vocabulary, loaded.normaliser) == ("ctc", made.vocabulary, "basic")
    assert loaded.frontend.settings() == made.frontend.settings()
    graph = onnx.load(tmp_path / "out" / "model.onnx")
    assert [one.name for one in graph.graph.input] == ["input_features", "attention_mask"]
    assert next(one.version for one in graph.opset_import if not one.domain) == 18
    labels = exported(make(small_models["wav2vec2-layer"], "classification", "linear"), tmp_path / "labels").labels
    assert labels == ("yes", "0", "no")


def test_integers_are_in_the_encoder_only(small_models, clips, tmp_path):
    made = make(small_models["wav2vec2-layer"], "ctc", "linear")
    loaded = exported(made, tmp_path / "out", "int8")
    nodes = onnx.load(tmp_path / "out" / "model.onnx").graph.node
    assert sum(node.op_type == "MatMulInteger" for node in nodes) == 1 + 3 * 5  # the projection, and five in each layer
    assert [node.name for node in nodes if "lm_head" in node.name and node.op_type == "MatMul"] == ["/model/lm_head/MatMul"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.onnx")) == ["model.onnx"]
    expected, found = answers(made, clips, 1), answers(loaded, clips, 1)
    assert not torch.equal(found[-1], expected[-1])
    assert (found[-1].exp() - expected[-1].exp()).abs().mean() < 0.02


def test_it_runs_as_it_was_exported_only(small_models, tmp_path):
    loaded = exported(make(small_models["wav2vec2-layer"], "ctc", "linear"), tmp_path / "out")
    with pytest.raises(ModelError, match="exported as fp32; take auto, or export it"):
        for_inference(loaded, "cpu", "int8")
    with pytest.raises(ModelError, match="'cuda': an exported model runs on the CPU"):
        for_inference(loaded, "cuda")
    with pytest.raises(ModelError, match="no weights to train; take the model it was exported from"):
        new_head(tmp_path / "out", "classification", labels=("a", "b"))
    (tmp_path / "again").mkdir()
    with pytest.raises(ModelError, match="exported already"):
        export_onnx(loaded, tmp_path / "again")
    (tmp_path / "out" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"model\.onnx: ONNX Runtime cannot open it"):
        load_model(tmp_path / "out")


def test_a_family_whose_answers_depend_on_padding_is_refused_by_name(small_models, tmp_path):
    made = make(small_models["wav2vec2-layer"], "ctc", "linear")
    sensitive = replace(made, family=replace(made.family, name="sew", padding="equal_length"))
    with pytest.raises(ModelError, match="a sew model cannot be exported"):
        export_onnx(sensitive, tmp_path)


def test_the_configuration_says_how(small_models, tmp_path):
    exported(make(small_models["wav2vec2-group"], "ctc", "linear"), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["Wav2Vec2ForCTC"]
    assert config["speechxfer"]["exported"] == {"to": "onnx", "precision": "fp32", "opset": 18}
