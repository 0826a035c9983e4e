"""The source of features: what fits is kept, the rest is computed each time, and nobody can tell by the values."""

import numpy as np
import pytest
import torch

from speechxfer.data import Utterance, Vocabulary, Waveform
from speechxfer.features import FeatureSource, Item, MemoryStore
from speechxfer.models import SplitModel, new_head

RATE = 16_000


@pytest.fixture
def items():
    random = np.random.default_rng(0)
    sounds = [Waveform(random.normal(0, 0.1, size).astype(np.float32), RATE) for size in range(4_000, 16_000, 1_000)]
    return [Item(Utterance(f"clip {number}", sound), len(sound.samples) / RATE) for number, sound in enumerate(sounds)]


@pytest.fixture
def make(small_models, monkeypatch):
    """Give a source with a store of a size; its prefix notes how many utterances went through."""
    computed = [0]
    original = SplitModel.prefix

    def counting(split, inputs):
        computed[0] += len(inputs.lengths)
        return original(split, inputs)

    monkeypatch.setattr(SplitModel, "prefix", counting)

    def build(max_bytes, dtype="float16", batch_seconds=1.5):
        torch.manual_seed(0)
        made = new_head(small_models["wav2vec2-layer"], "ctc", vocabulary=Vocabulary(("a", "b")))
        made.model.requires_grad_(False)
        split, store = SplitModel(made.model.eval(), made.family), MemoryStore(dtype)
        source = FeatureSource(split, made.frontend, store, "fp32", batch_seconds=batch_seconds, max_bytes=max_bytes)
        return source, store, computed

    return build


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_what_does_not_fit_is_computed_each_time_and_is_the_same(make, items, share):
    whole, _, _ = make(float("inf"))
    whole.plan(items)
    expected = whole.features(items)
    size = whole.planned_bytes
    source, store, computed = make(share * size)
    source.plan(items)
    assert source.planned_bytes == size and source.num_planned == len(items)
    for count in (len(items), source.num_fleeting):
        computed[0] = 0
        for got, wanted in zip(source.features(items), expected, strict=True):
            assert got.frames.dtype == torch.float16 and got.input_length == wanted.input_length
            torch.testing.assert_close(got.frames, wanted.frames, atol=2e-3, rtol=2e-3)
        assert computed[0] == count
    assert store.num_bytes <= share * size and (store.num_bytes > share * size / 2 or share < 0.5)
    assert (source.num_fleeting == 0) == (share == 1.0)


def test_an_estimate_is_what_the_store_then_holds(make, items):
    source, store, _ = make(float("inf"))
    source.plan(items)
    source.features(items)
    assert store.num_bytes == source.planned_bytes


def test_batches_of_kept_and_fleeting_items_come_in_order(make, items):
    source, _, _ = make(10_000)
    source.plan(items)
    assert 0 < source.num_fleeting < len(items)
    wanted = [[items[3], items[11]], [items[0], items[3], items[7]], [items[11]]]
    for batch, chosen in zip(source.batches(wanted), wanted, strict=True):
        for row, item in enumerate(chosen):
            (alone,) = source.features([item])
            frames = batch.frames[row, : batch.lengths[row]]
            torch.testing.assert_close(frames, alone.frames.float(), atol=2e-3, rtol=2e-3)


def test_planning_twice_counts_once(make, items):
    source, _, _ = make(float("inf"))
    source.plan(items)
    size = source.planned_bytes
    source.plan(items[:5])
    assert source.planned_bytes == size and source.num_planned == len(items)


def test_what_did_not_fit_may_fit_when_it_is_planned_again_with_less_beside_it(make, items):
    whole, _, _ = make(float("inf"))
    whole.plan(items)
    expected = whole.features(items)
    limit = whole.planned_bytes - 1
    source, store, _ = make(limit, batch_seconds=3.0)
    source.plan(items)
    before = source.num_fleeting
    for item in items:
        source.plan([item])
    assert 0 < source.num_fleeting < before and source.num_planned == len(items)
    pairs = [list(pair) for pair in zip(items, reversed(items), strict=True)]
    assert [len(batch.lengths) for batch in source.batches(pairs)] == [2] * len(pairs)
    for got, wanted in zip(source.features(items), expected, strict=True):
        torch.testing.assert_close(got.frames, wanted.frames, atol=2e-3, rtol=2e-3)
    assert store.num_bytes <= limit
