"""A Whisper with its decoder: the cut changes nothing, company changes nothing, and what is saved is a plain Whisper."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import WhisperForConditionalGeneration

from speechxfer.errors import ModelError
from speechxfer.models import (
    Cut,
    Features,
    SplitModel,
    collate,
    inject_lora,
    load_model,
    merge_lora,
    set_trainable,
    with_random_weights,
)
from tests.unit.conftest import save_complete_whisper

TRAINS = ("decoder", "top:1", "encoder", "all")
CUTS = {"decoder": Cut("end"), "top:1": Cut("layer", 2), "encoder": Cut("layer", 0), "all": Cut("input")}
GIVEN = torch.tensor([[257, 259, 72, 101, 105]])

each_train = pytest.mark.parametrize("train", TRAINS)


@pytest.fixture(scope="module", params=["as published", "distilled"])
def writer(request, small_writer, tmp_path_factory):
    """Return a complete small Whisper, or one of which, as of Distil-Whisper, little is left of the decoder."""
    if request.param == "as published":
        return small_writer
    directory = tmp_path_factory.mktemp("distilled")
    save_complete_whisper(directory, decoder_layers=1)
    return directory


def make(directory, train, context, decoder="trained"):
    speech_model = load_model(directory)
    speech_model = replace(speech_model, frontend=speech_model.frontend.in_context(context))
    if train.startswith("lora:"):
        inject_lora(speech_model.model, speech_model.family, int(train[5:]), decoder)
    set_trainable(speech_model.model, speech_model.family, train, decoder)
    return speech_model, SplitModel(speech_model.model, speech_model.family)


def inputs_of(speech_model, clips):
    inputs = [speech_model.frontend(clip) for clip in clips]
    return [Features(part, len(part)) for part in inputs]


@each_train
def test_with_the_stock_context_it_is_the_native_model(writer, clips, train):
    speech_model, split = make(writer, train, "stock")
    assert split.cut == CUTS[train]
    native = WhisperForConditionalGeneration.from_pretrained(writer).eval()
    inputs = inputs_of(speech_model, clips[2:])
    given = GIVEN.expand(2, -1)
    with torch.no_grad():
        logits = split.eval()(collate(split.prefix(collate(inputs))), given)
        mel = torch.stack([item.frames.T for item in inputs])
        torch.testing.assert_close(logits, native(mel, decoder_input_ids=given).logits, atol=1e-4, rtol=1e-4)


@each_train
def test_with_the_adaptive_context_a_clip_alone_is_a_clip_in_a_batch(writer, clips, train):
    speech_model, split = make(writer, train, "adaptive")
    split.eval()
    inputs = inputs_of(speech_model, clips)
    assert len({item.input_length for item in inputs}) == len(clips)
    with torch.no_grad():
        together = split(collate(split.prefix(collate(inputs))), GIVEN.expand(len(clips), -1))
        for clip, logits in zip(inputs, together, strict=True):
            alone = split(collate(split.prefix(collate([clip]))), GIVEN)
            torch.testing.assert_close(logits, alone[0], atol=1e-4, rtol=1e-4)


def test_how_long_the_padding_is_would_matter_to_a_decoder_without_mask(small_writer, clips):
    speech_model, split = make(small_writer, "decoder", "adaptive")
    short, long = inputs_of(speech_model, clips[2:])
    with torch.no_grad():
        features = collate(split.eval().prefix(collate([short, long])))
        unmasked = split.model(encoder_outputs=(split.encode(features),), decoder_input_ids=GIVEN.expand(2, -1)).logits
        masked = split(features, GIVEN.expand(2, -1))
    assert (unmasked[0] - masked[0]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("train", "decoder", "moving"),
    [
        ("decoder", "trained", ("model.decoder",)),
        ("top:1", "trained", ("model.decoder", "model.encoder.layers.2", "model.encoder.layer_norm")),
        ("top:1", "frozen", ("model.encoder.layers.2", "model.encoder.layer_norm")),
        ("encoder", "frozen", ("model.encoder.layers", "model.encoder.layer_norm")),
        ("lora:2", "trained", ("model.encoder.layers", "model.decoder.layers")),
        ("lora:2", "frozen", ("model.encoder.layers",)),
        ("all", "trained", ("model.encoder", "model.decoder")),
    ],
)
def test_what_trains_moves_and_nothing_else(small_writer, clips, train, decoder, moving):
    speech_model, split = make(small_writer, train, "adaptive", decoder)
    trainable = {name for name, parameter in speech_model.model.named_parameters() if parameter.requires_grad}
    assert {prefix for prefix in moving if any(name.startswith(prefix) for name in trainable)} == {*moving}
    assert all(name.startswith(moving) for name in trainable)
    if train.startswith("lora"):
        assert all(".lora_" in name for name in trainable)
    before = {name: parameter.detach().clone() for name, parameter in speech_model.model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in split.parameters() if p.requires_grad], lr=0.1)
    # All tokens and places are given, or those that are not would rightly stay.
    given = torch.arange(24).expand(2, -1)
    features = collate(split.prefix(collate(inputs_of(speech_model, clips[2:]))))
    split.train_suffix()
    for _ in range(3):
        torch.nn.functional.cross_entropy(split(features, given).flatten(0, 1), given.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = {name for name, p in speech_model.model.named_parameters() if not torch.equal(p, before[name])}
    # A key's bias shifts all scores of a query alike, so nothing depends on it; Whisper has none, but LoRA's base does not train.
    assert moved == trainable


def test_decoder_layers_that_are_frozen_stay_in_evaluation_mode(small_writer):
    speech_model, split = make(small_writer, "top:1", "adaptive", "frozen")
    split.train_suffix()
    assert not speech_model.model.model.decoder.training
    assert speech_model.model.model.encoder.layers[2].training
    assert not speech_model.model.model.encoder.layers[1].training


@pytest.mark.parametrize(
    ("train", "decoder", "complaint"),
    [("head", "trained", "has no head"), ("decoder", "frozen", "nothing would train"), ("top:9", "trained", "has 3 layers")],
)
def test_what_cannot_train_is_refused(small_writer, train, decoder, complaint):
    with pytest.raises(ModelError, match=complaint):
        make(small_writer, train, "adaptive", decoder)


def test_a_saved_model_is_a_plain_whisper_and_loads_back_with_its_context(writer, clips, tmp_path):
    speech_model, _ = make(writer, "lora:2", "adaptive")
    for name, parameter in speech_model.model.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    merge_lora(speech_model.model)
    replace(speech_model, normaliser="basic", calibration=(1.5, 0.25)).save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["WhisperForConditionalGeneration"]
    (inputs,) = inputs_of(replace(speech_model, frontend=speech_model.frontend.in_context("stock")), clips[2:3])
    native = WhisperForConditionalGeneration.from_pretrained(tmp_path).eval()
    mel = inputs.frames.T[None]
    with torch.no_grad():
        ours = speech_model.model.eval()(mel, decoder_input_ids=GIVEN).logits
        torch.testing.assert_close(native(mel, decoder_input_ids=GIVEN).logits, ours, atol=1e-5, rtol=1e-5)
        assert native.generate(mel).tolist() == speech_model.model.generate(mel).tolist()
    again = load_model(tmp_path)
    assert (again.frontend.context, again.normaliser, again.calibration) == ("adaptive", "basic", (1.5, 0.25))
    assert again.tokens.text(again.tokens.encode("naïve test")) == "naïve test"


def test_as_downloaded_it_sees_thirty_seconds(small_writer, small_polyglot):
    english, polyglot = load_model(small_writer), load_model(small_polyglot)
    assert (english.frontend.context, english.task, english.normaliser) == ("stock", "seq2seq", "english")
    assert polyglot.normaliser == "basic"
    assert english.frontend.num_inputs(16_000) == 3_000
    assert english.frontend.seconds_computed(2.0) == 30.0
    assert english.frontend.in_context("adaptive").num_inputs(16_000) == 100


def test_random_weights_keep_shape_and_tokens(small_writer):
    speech_model = load_model(small_writer)
    other = with_random_weights(speech_model)
    assert other.tokens == speech_model.tokens
    assert other.model.generation_config == speech_model.model.generation_config
    own, others = speech_model.model.state_dict(), other.model.state_dict()
    assert own.keys() == others.keys()
    assert not torch.equal(own["model.encoder.layers.0.fc1.weight"], others["model.encoder.layers.0.fc1.weight"])


@pytest.mark.parametrize("name", ["tokenizer.json", "generation_config.json"])
def test_a_missing_file_is_named(small_writer, tmp_path, name):
    for file in small_writer.iterdir():
        if file.name != name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match=f"{name} is missing"):
        load_model(tmp_path)


def test_a_damaged_tokenizer_is_named(small_writer, tmp_path):
    for file in small_writer.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"cannot read tokenizer\.json"):
        load_model(tmp_path)
