"""The cut: found from what trains; `suffix(prefix(x))` is the plain forward; company never changes a clip."""

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from speechxfer.data import Vocabulary
from speechxfer.errors import ModelError
from speechxfer.models import Cut, Features, SplitModel, collate, new_head, set_trainable

MODELS = ("whisper", "wav2vec2-group", "wav2vec2-layer")
TRAINS = ("head", "top:1", "top:2", "top:3", "encoder", "all")
HEADS = [("ctc", "linear"), ("ctc", "blstm"), ("classification", "linear")]
LOWEST = {"whisper": Cut("layer", 0)}  # above the stem, where nothing stands between it and the first layer

each_model = pytest.mark.parametrize("name", MODELS)
each_train = pytest.mark.parametrize("train", TRAINS)


@pytest.fixture
def make(small_models):
    """Build a model of this name with its cut."""

    def build(name, task="ctc", head="blstm", train="head", **options):
        torch.manual_seed(1)
        speech_model = new_head(
            small_models[name],
            task,
            vocabulary=Vocabulary(("a", "b", "c")) if task == "ctc" else None,
            labels=("x", "y", "z") if task == "classification" else (),
            head=head,
            head_hidden_size=8,
            **options,
        )
        set_trainable(speech_model.model, speech_model.family, train)
        speech_model.model.eval()
        return speech_model, SplitModel(speech_model.model, speech_model.family)

    return build


def inputs_of(speech_model, clips):
    inputs = [speech_model.frontend(clip) for clip in clips]
    return [Features(part, len(part)) for part in inputs]


def plain(speech_model, inputs):
    """Run the whole model on one clip alone, without padding and without mask, as its makers would."""
    native = inputs.frames.T if inputs.frames.ndim == 2 else inputs.frames
    with torch.no_grad():
        return speech_model.model(**{speech_model.model.main_input_name: native[None]}).logits[0]


@each_model
def test_cut_is_found_from_what_trains(make, name):
    lowest = LOWEST.get(name, Cut("stem"))
    expected = [Cut("end"), Cut("layer", 2), Cut("layer", 1), lowest, lowest, Cut("input")]
    assert [make(name, train=train)[1].cut for train in TRAINS] == expected


@each_model
def test_cut_follows_requires_grad_and_not_the_setting(make, name):
    speech_model, split = make(name, train="head")
    layers = split.model.base_model.get_submodule(speech_model.family.layers)
    next(layers[1].parameters()).requires_grad_(True)
    assert SplitModel(speech_model.model, speech_model.family).cut == Cut("layer", 1)


@each_model
@pytest.mark.parametrize(("task", "head"), HEADS)
@each_train
def test_suffix_of_prefix_is_the_plain_forward_alone_and_in_a_batch(make, clips, name, task, head, train):
    speech_model, split = make(name, task, head, train)
    inputs = inputs_of(speech_model, clips)
    with torch.no_grad():
        logits = split(collate(split.prefix(collate(inputs))))
    for clip, together in zip(inputs, logits, strict=True):
        alone = plain(speech_model, clip)
        same_length = together[: len(alone)] if task == "ctc" else together
        torch.testing.assert_close(same_length, alone, atol=5e-5, rtol=1e-4)


@each_model
@pytest.mark.parametrize("train", ["head", "all"])
def test_a_weighted_layer_sum_is_the_plain_forward_too(make, clips, name, train):
    speech_model, split = make(name, "classification", "linear", train, weighted_layer_sum=True)
    weights = next(tensor for key, tensor in speech_model.model.named_parameters() if key.endswith("layer_weights"))
    with torch.no_grad():
        weights.copy_(torch.randn(4))
    inputs = inputs_of(speech_model, clips)
    features = split.prefix(collate(inputs))
    with torch.no_grad():
        logits = split(collate(features))
    for clip, together in zip(inputs, logits, strict=True):
        torch.testing.assert_close(together, plain(speech_model, clip), atol=5e-5, rtol=1e-4)
    if train == "head":
        assert all(item.frames.shape == (4, 32) for item in features)
        split(collate(features))[:, 0].sum().backward()
        assert weights.grad.abs().max() > 0


@each_model
@pytest.mark.parametrize("train", ["top:1", "encoder", "lora:4"])
def test_a_weighted_layer_sum_refuses_what_cuts_it_in_two(make, name, train):
    with pytest.raises(ModelError, match="weighted_layer_sum needs head or all"):
        make(name, "classification", "linear", train, weighted_layer_sum=True)


@each_model
def test_features_are_never_padded(make, clips, name):
    speech_model, split = make(name)
    inputs = inputs_of(speech_model, clips)
    for clip, samples, features in zip(inputs, clips, split.prefix(collate(inputs)), strict=True):
        assert features.frames.shape == (speech_model.num_frames(len(samples)), 32)
        assert features.input_length == clip.input_length


@pytest.mark.parametrize("task", ["ctc", "classification"])
@each_train
@each_model
def test_the_size_of_features_is_known_before_they_are_computed(make, clips, name, train, task):
    speech_model, split = make(name, task, "linear", train)
    for inputs, clip in zip(inputs_of(speech_model, clips), clips, strict=True):
        (features,) = split.prefix(collate([inputs]))
        frames = features.frames
        shape = split.feature_shape(speech_model.frontend.num_inputs(len(clip)))
        assert shape == (tuple(frames.shape) if frames.ndim == 2 else (len(frames), 1))


@each_model
def test_a_pooling_head_is_given_means_unless_they_will_be_masked(make, clips, name):
    speech_model, split = make(name, "classification", "linear")
    masked = SplitModel(speech_model.model, speech_model.family, masked=True)
    inputs = collate(inputs_of(speech_model, clips[1:]))
    means, frames = split.prefix(inputs), masked.prefix(inputs)
    assert {tuple(item.frames.shape) for item in means} == {(1, 32)}
    for mean, whole in zip(means, frames, strict=True):
        assert len(whole.frames) > 1
        torch.testing.assert_close(mean.frames[0], whole.frames.mean(dim=0))
    with torch.no_grad():
        torch.testing.assert_close(split(collate(means)), masked(collate(frames)), atol=1e-5, rtol=1e-5)


@each_model
@each_train
def test_the_model_is_whole_again_after_prefix_and_suffix(make, clips, name, train):
    speech_model, split = make(name, train=train)
    before = {key: tensor.clone() for key, tensor in speech_model.model.state_dict().items()}
    inputs = inputs_of(speech_model, clips)
    expected = plain(speech_model, inputs[-1])
    split(collate(split.prefix(collate(inputs)))).sum().backward()
    assert speech_model.model.state_dict().keys() == before.keys()
    assert torch.equal(plain(speech_model, inputs[-1]), expected)


@each_model
@each_train
def test_the_model_is_whole_again_after_a_failure(make, clips, name, train):
    speech_model, split = make(name, train=train)
    inputs = inputs_of(speech_model, clips)
    features, expected = split.prefix(collate(inputs)), plain(speech_model, inputs[-1])
    planted = speech_model.model.head.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("planted")))
    with pytest.raises(RuntimeError, match="planted"):
        split(collate(features))
    planted.remove()
    assert torch.equal(plain(speech_model, inputs[-1]), expected)


@each_model
@each_train
def test_stored_features_are_not_written_to(make, clips, name, train):
    speech_model, split = make(name, train=train)
    features = split.prefix(collate(inputs_of(speech_model, clips)))
    before = [item.frames.clone() for item in features]
    split.train_suffix()
    split(collate(features)).sum().backward()
    assert all(torch.equal(item.frames, kept) for item, kept in zip(features, before, strict=True))


@each_model
@pytest.mark.parametrize(("task", "head"), HEADS)
@each_train
def test_what_trains_moves_and_what_is_frozen_does_not(make, clips, name, task, head, train):
    speech_model, split = make(name, task, head, train)
    features = split.prefix(collate(inputs_of(speech_model, clips)))
    before = {key: parameter.detach().clone() for key, parameter in speech_model.model.named_parameters()}
    optimizer = torch.optim.AdamW((p for p in speech_model.model.parameters() if p.requires_grad), lr=1e-2)
    split.train_suffix()
    for _ in range(3):
        optimizer.zero_grad()
        split(collate(features)).log_softmax(-1)[..., 0].sum().backward()
        optimizer.step()
    for key, parameter in speech_model.model.named_parameters():
        # A key's bias shifts all scores of a query alike: softmax gives it only a rounding gradient, and it moves all the same.
        assert torch.equal(parameter, before[key]) != parameter.requires_grad, key


@each_model
def test_frozen_parts_stay_in_evaluation_mode(make, name):
    speech_model, split = make(name, train="top:1")
    split.train_suffix()
    encoder = split.model.base_model
    assert [layer.training for layer in encoder.get_submodule(speech_model.family.layers)] == [False, False, True]
    assert split.model.head.training and not encoder.get_submodule(speech_model.family.stem[0]).training


@each_model
def test_digest_changes_with_what_lies_below_the_cut_only(make, name):
    speech_model, split = make(name, train="top:1")
    layers = split.model.base_model.get_submodule(speech_model.family.layers)
    digest = split.prefix_digest()
    with torch.no_grad():
        next(layers[2].parameters()).add_(1)
        speech_model.model.head.output.bias.add_(1)
    assert split.prefix_digest() == digest
    with torch.no_grad():
        next(layers[1].parameters()).add_(1)
    assert split.prefix_digest() != digest


@pytest.mark.parametrize(("name", "sees"), [("wav2vec2-group", True), ("wav2vec2-layer", False)])
def test_padding_class_of_the_stem_is_measured(make, name, sees):
    assert make(name)[1]._stem_sees_padding is sees


def test_a_stem_of_its_own_shape_takes_clips_of_any_length(tmp_path, clips):
    """Five convolutions of 905 samples instead of seven of 400, and a frame each 40 ms."""
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16,) * 5,
        conv_kernel=(10, 8, 8, 4, 4),
        conv_stride=(5, 4, 4, 4, 2),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer",
        conv_bias=True,
    )
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    made = new_head(tmp_path, "ctc", vocabulary=Vocabulary.from_texts(["ab"]))
    split = SplitModel(made.model.eval(), made.family)
    assert split.frame_seconds == 0.04
    for samples in (clips[0], clips[0][:1], np.zeros(904, np.float32), clips[2]):
        inputs = made.frontend(samples)
        (features,) = split.prefix(collate([Features(inputs, len(inputs))]))
        assert split(collate([features])).shape[1] == made.num_frames(len(samples)) >= 1
