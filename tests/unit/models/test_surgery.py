"""Head surgery: old answers stay until something new is learned, old rows to the bit, new rows neutral and low."""

import pytest
import torch

from speechxfer.data import Vocabulary
from speechxfer.decoding import recognise
from speechxfer.models import Features, SplitModel, collate, extend_labels, extend_vocabulary, load_model, new_head
from speechxfer.models.heads import output_layer
from speechxfer.training.loss import ctc_losses

HEADS = [("whisper", "linear"), ("whisper", "blstm"), ("wav2vec2-group", "linear"), ("wav2vec2-layer", "blstm")]
OLD = Vocabulary(tuple("abcdefgh "))


def features_of(speech_model, clips):
    speech_model.model.requires_grad_(False)
    split = SplitModel(speech_model.model, speech_model.family).eval()
    inputs = [speech_model.frontend(clip) for clip in clips]
    return split, split.prefix(collate([Features(part, len(part)) for part in inputs]))


@pytest.mark.parametrize(("name", "head"), HEADS)
def test_old_material_reads_and_costs_the_same_at_first(small_models, clips, tmp_path, name, head):
    torch.manual_seed(0)
    made = new_head(small_models[name], "ctc", vocabulary=OLD, head=head, head_hidden_size=8)
    with torch.no_grad():
        output_layer(made.model)[1].weight.mul_(5)  # sure of itself, as a trained head is, and seldom silent
        output_layer(made.model)[1].bias[0] = -3
    made.save(tmp_path)
    long = [clip for clip in clips if len(clip) > 3000]
    texts = [OLD.encode("abc ah"), OLD.encode("hg")]

    def read(speech_model):
        split, features = features_of(speech_model, long)
        heard = [item.segment.text for item in recognise(split, features, speech_model.vocabulary)]
        batch = collate(features)
        return heard, ctc_losses(split(batch), split.frame_lengths(batch.input_lengths), texts)

    heard, losses = read(load_model(tmp_path))
    extended = extend_vocabulary(load_model(tmp_path), ["b", "0", "ț", "0"])
    assert extended.vocabulary.symbols == (*OLD.symbols, "0", "ț")
    heard_after, losses_after = read(extended)
    assert heard_after == heard and any(heard)
    assert (losses_after - losses).abs().max() <= 1e-3
    old, new = output_layer(load_model(tmp_path).model)[1], output_layer(extended.model)[1]
    assert torch.equal(new.weight[:10], old.weight) and torch.equal(new.bias[:10], old.bias)
    extended.save(tmp_path / "extended")
    assert read(load_model(tmp_path / "extended"))[0] == heard


def test_new_rows_learn_at_once(small_models, clips):
    torch.manual_seed(0)
    made = extend_vocabulary(new_head(small_models["whisper"], "ctc", vocabulary=OLD), ["0"])
    split, features = features_of(made, clips[2:])
    output = output_layer(made.model)[1].requires_grad_(True)
    optimizer = torch.optim.AdamW(output.parameters(), lr=0.1)
    batch, target = collate(features), made.vocabulary.encode("0a0")
    for _ in range(100):
        optimizer.zero_grad()
        ctc_losses(split(batch), split.frame_lengths(batch.input_lengths), [target] * 2).mean().backward()
        optimizer.step()
    assert all("0" in item.segment.text for item in recognise(split, features, made.vocabulary))


@pytest.mark.parametrize("name", ["whisper", "wav2vec2-group"])
def test_labels_are_extended_likewise(small_models, clips, tmp_path, name):
    new_head(small_models[name], "classification", labels=("yes", "no")).save(tmp_path)
    split, features = features_of(load_model(tmp_path), clips)
    before = split(collate(features)).softmax(dim=-1)
    extended = extend_labels(load_model(tmp_path), ["no", "maybe"])
    assert extended.labels == ("yes", "no", "maybe")
    split, features = features_of(extended, clips)
    torch.testing.assert_close(split(collate(features)).softmax(dim=-1)[:, :2], before, atol=1e-3, rtol=0)
    extended.save(tmp_path / "extended")
    assert load_model(tmp_path / "extended").labels == ("yes", "no", "maybe")
