"""sherpa-onnx itself transcribes what was exported for it as the model does; what it cannot feed is refused by name."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from jiwer import wer

import speechxfer
from speechxfer.data import Vocabulary, load_audio, read_manifest
from speechxfer.decoding import ctc_log_probs, greedy
from speechxfer.errors import ModelError
from speechxfer.evaluation import export
from speechxfer.models import Features, collate, export_sherpa_onnx, for_inference, load_model, new_head, sherpa_texts
from speechxfer.models.heads import output_layer

sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed: pip install 'speechxfer[sherpa]'")

CALL = Path(speechxfer.__file__).parent / "assets" / "demo" / "call.csv"


@pytest.fixture(scope="module")
def tiny():
    return load_model("tiny")


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("sherpa") / "out"
    return out, export(tiny, out, read_manifest(CALL), to="sherpa-onnx")


@pytest.fixture(scope="module")
def turns():
    """Return the first turns of the call, 16 kHz."""
    return [load_audio(turn, 16_000) for turn in read_manifest(CALL).select([0, 1, 2])]


def texts(model, clips):
    """Give the model's own greedy texts, each clip alone."""
    split, _ = for_inference(model, "cpu", "fp32")
    inputs = [model.frontend(clip) for clip in clips]
    features = [one for x in inputs for one in split.prefix(collate([Features(x, len(x))]))]
    return [greedy(one, model.vocabulary, 1.0).text for one in ctc_log_probs(split, features)]


def test_its_texts_are_the_models(exported):
    out, parity = exported
    assert parity.holds and parity.difference == 0 and parity.words > 100 and parity.largest_logit_difference is None
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx", "tokens.txt"]
    assert [one.name for one in onnx.load(out / "model.onnx").graph.input] == ["samples"]


@pytest.mark.parametrize("gain", [1.0, 2e-3], ids=["as it is", "very quiet"])
def test_loudness_does_not_matter(exported, tiny, turns, gain):
    clips = [clip * np.float32(gain) for clip in turns]
    found, expected = sherpa_texts(exported[0], clips), texts(tiny, clips)
    # Two spaces with a blank between them are two for sherpa-onnx, and one for us.
    assert [text.split() for text in found] == [text.split() for text in expected]


def test_company_does_not_matter(exported, turns):
    files = (str(exported[0] / name) for name in ("model.onnx", "tokens.txt"))
    recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(*files)
    streams = [recognizer.create_stream() for _ in turns]
    for stream, clip in zip(streams, turns, strict=True):
        stream.accept_waveform(16_000, clip)
    recognizer.decode_streams(streams)
    assert [stream.result.text for stream in streams] == sherpa_texts(exported[0], turns)


@pytest.mark.parametrize(("name", "head"), [("wav2vec2-group", "linear"), ("wav2vec2-layer", "blstm")])
def test_other_stems_heads_and_symbols(small_models, turns, tmp_path, name, head):
    torch.manual_seed(3)
    vocabulary = Vocabulary((" ", "ț", "ab", "a", "b"), (("a", "b"),))
    made = new_head(small_models[name], "ctc", vocabulary=vocabulary, head=head, head_hidden_size=16)
    output_layer(made.model)[1].bias.data.zero_()  # so that it says something
    made.model.eval()
    export_sherpa_onnx(made, tmp_path)
    expected = texts(made, turns)
    assert any(expected) and [text.strip() for text in sherpa_texts(tmp_path, turns)] == [text.strip() for text in expected]


def test_integers_hear_nearly_the_same(tiny, turns, tmp_path):
    export_sherpa_onnx(tiny, tmp_path, "int8")
    assert any(node.op_type == "MatMulInteger" for node in onnx.load(tmp_path / "model.onnx").graph.node)
    assert wer(texts(tiny, turns), sherpa_texts(tmp_path, turns)) < 0.1


def test_what_it_cannot_feed_is_refused(small_models, tiny, tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="a normalised waveform, and this is a whisper model of task ctc"):
        export_sherpa_onnx(new_head(small_models["whisper"], "ctc", vocabulary=Vocabulary(("a",))), tmp_path)
    with pytest.raises(ModelError, match="a wav2vec2 model of task classification"):
        export_sherpa_onnx(new_head(small_models["wav2vec2-layer"], "classification", labels=("a", "b")), tmp_path)
    plain = new_head(small_models["wav2vec2-layer"], "ctc", vocabulary=Vocabulary(("a",)))
    monkeypatch.setattr(plain.frontend._extractor, "do_normalize", False)
    with pytest.raises(ModelError, match="take --to onnx"):
        export_sherpa_onnx(plain, tmp_path)
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    with pytest.raises(ModelError, match=r"speechxfer\[sherpa\]"):
        sherpa_texts(tmp_path, [])
