"""The cut: found from what trains; `suffix(prefix(x))` is the plain forward; company never changes a clip."""

import pytest
import torch

from speechxfer.data import Vocabulary
from speechxfer.models import Cut, Features, SplitModel, collate, new_head, set_trainable

CUTS = {
    "head": Cut("end"),
    "top:1": Cut("layer", 2),
    "top:2": Cut("layer", 1),
    "top:3": Cut("layer", 0),
    "encoder": Cut("layer", 0),
    "all": Cut("input"),
}
HEADS = [("ctc", "linear"), ("ctc", "blstm"), ("classification", "linear")]


def make(directory, task="ctc", head="blstm", train="head"):
    torch.manual_seed(1)
    speech_model = new_head(
        directory,
        task,
        vocabulary=Vocabulary(("a", "b", "c")) if task == "ctc" else None,
        labels=("x", "y", "z") if task == "classification" else (),
        head=head,
        head_hidden_size=8,
    )
    set_trainable(speech_model.model, speech_model.family, train)
    speech_model.model.eval()
    return speech_model, SplitModel(speech_model.model, speech_model.family)


def inputs_of(speech_model, clips):
    inputs = [speech_model.frontend(clip) for clip in clips]
    return [Features(part, len(part)) for part in inputs]


def plain(speech_model, inputs):
    """Run the whole model on one clip alone."""
    with torch.no_grad():
        return speech_model.model(input_features=inputs.frames.T[None]).logits[0]


@pytest.mark.parametrize(("train", "cut"), CUTS.items())
def test_cut_is_found_from_what_trains(small_whisper, train, cut):
    assert make(small_whisper, train=train)[1].cut == cut


def test_cut_follows_requires_grad_and_not_the_setting(small_whisper):
    speech_model, _ = make(small_whisper, train="head")
    speech_model.model.encoder.layers[1].fc1.bias.requires_grad_(True)
    assert SplitModel(speech_model.model, speech_model.family).cut == Cut("layer", 1)


@pytest.mark.parametrize(("task", "head"), HEADS)
@pytest.mark.parametrize("train", CUTS)
def test_suffix_of_prefix_is_the_plain_forward_alone_and_in_a_batch(small_whisper, clips, task, head, train):
    speech_model, split = make(small_whisper, task, head, train)
    inputs = inputs_of(speech_model, clips)
    with torch.no_grad():
        logits = split(collate(split.prefix(collate(inputs))))
    for clip, together in zip(inputs, logits, strict=True):
        alone = plain(speech_model, clip)
        same_length = together[: len(alone)] if task == "ctc" else together
        torch.testing.assert_close(same_length, alone, atol=2e-5, rtol=1e-4)


def test_features_are_never_padded(small_whisper, clips):
    speech_model, split = make(small_whisper)
    inputs = inputs_of(speech_model, clips)
    for clip, features in zip(inputs, split.prefix(collate(inputs)), strict=True):
        assert features.frames.shape == (clip.input_length // 2, 32)
        assert features.input_length == clip.input_length


@pytest.mark.parametrize("train", CUTS)
def test_the_model_is_whole_again_after_prefix_and_suffix(small_whisper, clips, train):
    speech_model, split = make(small_whisper, train=train)
    before = {name: tensor.clone() for name, tensor in speech_model.model.state_dict().items()}
    inputs = inputs_of(speech_model, clips)
    expected = plain(speech_model, inputs[-1])
    split(collate(split.prefix(collate(inputs)))).sum().backward()
    assert speech_model.model.state_dict().keys() == before.keys()
    assert torch.equal(plain(speech_model, inputs[-1]), expected)


def test_the_model_is_whole_again_after_a_failure(small_whisper, clips):
    speech_model, split = make(small_whisper, train="top:1")
    features = split.prefix(collate(inputs_of(speech_model, clips)))
    expected = plain(speech_model, inputs_of(speech_model, clips)[-1])
    speech_model.model.head.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("planted")))
    with pytest.raises(RuntimeError, match="planted"):
        split(collate(features))
    speech_model.model.head._forward_pre_hooks.clear()
    assert torch.equal(plain(speech_model, inputs_of(speech_model, clips)[-1]), expected)


@pytest.mark.parametrize("train", CUTS)
def test_stored_features_are_not_written_to(small_whisper, clips, train):
    speech_model, split = make(small_whisper, train=train)
    features = split.prefix(collate(inputs_of(speech_model, clips)))
    before = [item.frames.clone() for item in features]
    split.train_suffix()
    split(collate(features)).sum().backward()
    assert all(torch.equal(item.frames, kept) for item, kept in zip(features, before, strict=True))


@pytest.mark.parametrize("train", CUTS)
def test_what_trains_moves_and_what_is_frozen_does_not(small_whisper, clips, train):
    speech_model, split = make(small_whisper, train=train)
    features = split.prefix(collate(inputs_of(speech_model, clips)))
    before = {name: parameter.detach().clone() for name, parameter in speech_model.model.named_parameters()}
    optimizer = torch.optim.AdamW((p for p in speech_model.model.parameters() if p.requires_grad), lr=1e-2)
    split.train_suffix()
    for _ in range(3):
        optimizer.zero_grad()
        split(collate(features)).log_softmax(-1)[..., 0].sum().backward()
        optimizer.step()
    for name, parameter in speech_model.model.named_parameters():
        # A key's bias shifts all scores of a query alike, so softmax gives it no gradient; Whisper has none.
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name


def test_frozen_parts_stay_in_evaluation_mode(small_whisper):
    _, split = make(small_whisper, train="top:1")
    split.train_suffix()
    encoder = split.model.encoder
    assert [layer.training for layer in encoder.layers] == [False, False, True]
    assert split.model.head.training and not encoder.conv1.training


def test_digest_changes_with_what_lies_below_the_cut_only(small_whisper):
    speech_model, split = make(small_whisper, train="top:1")
    digest = split.prefix_digest()
    with torch.no_grad():
        speech_model.model.encoder.layers[2].fc1.bias.add_(1)
        speech_model.model.head.output.bias.add_(1)
    assert split.prefix_digest() == digest
    with torch.no_grad():
        speech_model.model.encoder.layers[1].fc1.bias.add_(1)
    assert split.prefix_digest() != digest
