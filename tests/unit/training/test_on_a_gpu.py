"""On a GPU: the same results as on a CPU, with and without the store, whose features stay in the GPU's memory."""

import json

import pytest
import torch

from speechxfer import evaluate, finetune, load_model
from speechxfer.data import read_manifest
from speechxfer.decoding import answers
from speechxfer.errors import RunStoppedError
from speechxfer.evaluation import as_items
from speechxfer.features import FeatureSource, MemoryStore
from speechxfer.models import Features, SplitModel, collate
from speechxfer.recipe import Recipe
from tests.unit.training.test_resume import StopAt, weights

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use")
GPU = torch.device("cuda")


def made_up(count):
    return {bytes([number]): Features(torch.full((10, 4), float(number)), 10) for number in range(count)}


def kept(store, keys):
    return [store.get(key).frames.device.type for key in keys]


@pytest.mark.parametrize(
    ("room", "expected"), [(0, ["cpu"] * 3), pytest.param(2, ["cuda", "cuda", "cpu"], marks=needs_gpu)], ids=["no room", "some"]
)
def test_features_take_half_of_what_is_free_on_the_gpu(monkeypatch, room, expected):
    one = 10 * 4 * 2  # bytes, in fp16
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * room * one + one, 0))
    store, features = MemoryStore("float16", GPU), made_up(3)
    store.put(features)
    assert kept(store, features) == expected
    assert store.num_bytes == 3 * one
    batch = collate([store.get(key) for key in features]).frames
    assert batch.dtype == torch.float32 and batch[:, 0, 0].tolist() == [0, 1, 2]


def tree(model, manifest, **training):
    return {
        "model": {"path": str(model)},
        "data": {"train": str(manifest)},
        "augment": {"views": 2, "speed": [0.9, 1.1], "time_masks_per_second": 2.0},
        "training": {"batch_seconds": 2, "precision": "fp32", "device": "cuda"} | training,
    }


def losses(run):
    events = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [event["loss"] for event in events if event["event"] == "epoch"]


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@needs_gpu
@pytest.mark.parametrize("kind", ["wav2vec2-layer", "whisper"])
def test_features_are_those_of_the_cpu(small_models, small_whisper, tones, exact, kind):
    speech_model = load_model(small_whisper if kind == "whisper" else small_models[kind])
    items = as_items(read_manifest(f"{tones}[split=dev]"))
    made = {}
    for device in ("cpu", "cuda"):
        split = SplitModel(speech_model.model.to(device).eval(), speech_model.family)
        made[device] = FeatureSource(split, speech_model.frontend, None, "fp32").features(items)
    for there, here in zip(made["cuda"], made["cpu"], strict=True):
        assert there.frames.device.type == "cpu"
        torch.testing.assert_close(there.frames, here.frames, atol=1e-4, rtol=1e-4)


@needs_gpu
@pytest.mark.parametrize("store", ["none", "memory", "disk"])
def test_training_is_that_of_the_cpu_whatever_the_store(small_models, tones, tmp_path, exact, store):
    stages = [{"train": "head", "epochs": 2}, {"train": "top:1", "epochs": 2}]
    recipe = {"task": "ctc"} | tree(small_models["wav2vec2-layer"], tones, stages=stages)
    recipe["store"] = {"dtype": "float32", "enabled": store != "none"}
    if store == "disk":
        recipe["store"]["directory"] = str(tmp_path / "store")
    finetune(Recipe.model_validate(recipe), tmp_path / "gpu")
    recipe["training"]["device"] = "cpu"
    report = finetune(Recipe.model_validate(recipe), tmp_path / "cpu")
    assert losses(tmp_path / "gpu") == pytest.approx(losses(tmp_path / "cpu"), rel=1e-3)
    scores = evaluate(tmp_path / "gpu", f"{tones}[split=test]", precision="fp32", device="cpu").scores
    assert scores["cer"] == pytest.approx(report["sets"]["test"]["cer"], abs=0.02)


@needs_gpu
@pytest.mark.parametrize("train", ["decoder", "lora:2", "all"])
def test_a_decoder_learns(small_writer, tones, tmp_path, monkeypatch, train):
    monkeypatch.setattr(answers, "_TEMPERATURES", ())
    rates = {"encoder_learning_rate": 1e-3, "head_learning_rate": 3e-3}
    recipe = {"task": "seq2seq"} | tree(small_writer, tones, epochs=3, precision="auto", **rates)
    recipe["model"]["train"] = train
    report = finetune(Recipe.model_validate(recipe), tmp_path / "run")
    assert losses(tmp_path / "run")[-1] < losses(tmp_path / "run")[0]
    again = evaluate(tmp_path / "run", f"{tones}[split=test]", device="cuda").scores
    assert again["cer"] == pytest.approx(report["sets"]["test"]["cer"])


@needs_gpu
def test_it_goes_on_after_a_stop(small_models, tones, tmp_path):
    """Generators of the GPU are saved and put back."""
    recipe = {"task": "ctc"} | tree(small_models["wav2vec2-layer"], tones, epochs=2)
    recipe["model"]["train"] = "top:1"
    made = Recipe.model_validate(recipe)
    finetune(made, tmp_path / "whole")
    with pytest.raises(RunStoppedError):
        finetune(made, tmp_path / "stopped", StopAt(5))
    finetune(made, tmp_path / "stopped", resume=True)
    for name, tensor in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "stopped")[name], tensor, atol=1e-5, rtol=1e-3)
