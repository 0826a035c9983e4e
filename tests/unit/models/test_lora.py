"""LoRA: no effect at first, an effect once trained, the same model without a trace of peft once merged, and a small adapter."""

import json

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file

from speechxfer.data import Vocabulary
from speechxfer.models import Cut, Features, SplitModel, collate, inject_lora, merge_lora, new_head, save_head, set_trainable

each_model = pytest.mark.parametrize("name", ["whisper", "wav2vec2-group", "wav2vec2-layer"])
LOWEST = {"whisper": Cut("layer", 0)}


@pytest.fixture
def made(small_models, name):
    torch.manual_seed(0)
    return new_head(small_models[name], "ctc", vocabulary=Vocabulary(("a", "b")))


def logits_of(speech_model, clips):
    speech_model.model.requires_grad_(False)
    split = SplitModel(speech_model.model, speech_model.family).eval()
    inputs = [speech_model.frontend(clip) for clip in clips]
    return split(collate(split.prefix(collate([Features(part, len(part)) for part in inputs]))))


def train(speech_model, clips, steps=3):
    set_trainable(speech_model.model, speech_model.family, "lora:4")
    split = SplitModel(speech_model.model, speech_model.family)
    inputs = [speech_model.frontend(clip) for clip in clips]
    features = split.prefix(collate([Features(part, len(part)) for part in inputs]))
    optimizer = torch.optim.AdamW((p for p in split.parameters() if p.requires_grad), lr=1e-2)
    split.train_suffix()
    for _ in range(steps):
        optimizer.zero_grad()
        split(collate(features)).log_softmax(-1)[..., 0].sum().backward()
        optimizer.step()
    return split


@each_model
def test_adapters_train_and_nothing_else_in_the_encoder(made, clips, name):
    plain = logits_of(made, clips)
    before = {key: tensor.clone() for key, tensor in made.model.state_dict().items()}
    inject_lora(made.model, made.family, 4)
    torch.testing.assert_close(logits_of(made, clips), plain, atol=1e-6, rtol=1e-5)
    split = train(made, clips)
    assert split.cut == LOWEST.get(name, Cut("stem"))
    for key, tensor in made.model.state_dict().items():
        base = key.replace(".base_layer", "")
        trained = ".lora_" in key or not key.startswith(made.model.base_model_prefix)
        assert trained or torch.equal(tensor, before[base]), key
    moved = [tensor for key, tensor in made.model.state_dict().items() if ".lora_B" in key]
    assert moved and all(tensor.abs().max() > 0 for tensor in moved)


@each_model
def test_merging_keeps_the_logits_and_leaves_no_trace(made, clips, name):
    names = made.model.state_dict().keys()
    plain = logits_of(made, clips)
    inject_lora(made.model, made.family, 4)
    train(made, clips)
    tuned = logits_of(made, clips)
    assert (tuned - plain).abs().max() > 1e-2
    merge_lora(made.model)
    torch.testing.assert_close(logits_of(made, clips), tuned, atol=1e-5, rtol=1e-4)
    assert made.model.state_dict().keys() == names
    assert not any("peft" in type(module).__module__ for module in made.model.modules())


@each_model
def test_the_adapter_alone_turns_the_pretrained_model_into_the_tuned_one(made, small_models, clips, name, tmp_path):
    inject_lora(made.model, made.family, 4)
    train(made, clips)
    adapter = merge_lora(made.model)
    adapter.save(tmp_path)
    save_head(made.model, tmp_path)
    fresh = new_head(small_models[name], "ctc", vocabulary=Vocabulary(("a", "b")))
    encoder = inject_adapter_in_model(LoraConfig.from_pretrained(str(tmp_path)), fresh.model.base_model)
    set_peft_model_state_dict(encoder, load_file(tmp_path / "adapter_model.safetensors"))
    fresh.model.load_state_dict(load_file(tmp_path / "head.safetensors"), strict=False)
    torch.testing.assert_close(logits_of(fresh, clips), logits_of(made, clips), atol=1e-5, rtol=1e-4)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["r"] == 4
