"""An export that answers otherwise is found out, and gets no directory."""

import pytest
import torch

from speechxfer.data import Vocabulary, read_manifest
from speechxfer.errors import ModelError
from speechxfer.evaluation import export, exporting
from speechxfer.models import export_onnx, new_head


@pytest.fixture
def model(small_models):
    torch.manual_seed(2)
    made = new_head(small_models["whisper"], "ctc", vocabulary=Vocabulary.from_texts(["a b"]))
    made.model.eval()
    return made


def test_equal_answers_make_a_directory(model, tones, tmp_path):
    parity = export(model, tmp_path / "out", read_manifest(tones))
    assert (parity.utterances, parity.difference, parity.holds) == (20, 0.0, True)
    assert parity.words > 0 and parity.largest_logit_difference < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out" / "model.onnx").is_file()
    with pytest.raises(ModelError, match="exists already"):
        export(model, tmp_path / "out", read_manifest(tones))


def test_other_answers_do_not(model, tones, tmp_path, monkeypatch):
    def spoiled(speech_model, directory, precision):
        weight = speech_model.model.head.output.weight
        before = weight.clone()
        with torch.no_grad():
            weight.copy_(before.flip(0))
            export_onnx(speech_model, directory, precision)
            weight.copy_(before)

    monkeypatch.setattr(exporting, "export_onnx", spoiled)
    parity = export(model, tmp_path / "out", read_manifest(tones))
    assert parity.difference > 0.5 and not parity.holds and parity.largest_logit_difference > 0.1
    assert [*tmp_path.iterdir()] == []


def test_few_utterances_are_all_compared(model, tones, tmp_path):
    assert export(model, tmp_path / "out", read_manifest(tones).select([0, 1, 2])).utterances == 3
