"""Pruning: what comes from audio that is gone, or that nobody lists any more, is really deleted."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from speechxfer.data import parse_manifest
from speechxfer.errors import StoreError
from speechxfer.evaluation import as_items
from speechxfer.features import DiskStore, FeatureSource
from speechxfer.models import SplitModel, new_head

RATE = 16_000


@pytest.fixture
def calls(tmp_path):
    """List four calls of two callers; each is one file."""
    random = np.random.default_rng(0)
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", random.normal(0, 0.1, RATE // 2), RATE)
    rows = [f"{number}.wav,caller {number % 2},0.5" for number in range(4)]
    (tmp_path / "calls.csv").write_text("audio,speaker,duration\n" + "\n".join(rows) + "\n")
    return tmp_path / "calls.csv"


@pytest.fixture
def fill(calls, small_models, tmp_path):
    """Put the features of all calls into a store; gives the number held before."""

    def work():
        made = new_head(small_models["wav2vec2-layer"], "classification", labels=("x", "y"))
        made.model.requires_grad_(False)
        store = DiskStore(tmp_path / "store", "float32")
        source = FeatureSource(SplitModel(made.model.eval(), made.family, masked=True), made.frontend, store, "fp32")
        items = as_items(parse_manifest(calls))
        source.plan(items)
        held = sum(source._key(item) in store for item in items)
        features = source.features(items)
        store.close()
        return held, features

    return work


def prune(tmp_path, *args):
    store = DiskStore(tmp_path / "store", "float32")
    try:
        return store.prune(*args)
    finally:
        store.close()


def on_disk(tmp_path):
    return b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())


def test_only_what_the_manifests_list_is_kept(calls, fill, tmp_path):
    _, features = fill()
    assert prune(tmp_path, parse_manifest(f"{calls}[speaker=caller 0]")) == (2, 2 * features[1].frames.numel() * 4)
    left = on_disk(tmp_path)
    for number, item in enumerate(features):
        assert (item.frames.numpy().tobytes() in left) == (number in (0, 2))
        assert (f"/{number}.wav".encode() in left) == (number in (0, 2))
    held, again = fill()
    assert held == 2
    for first, second in zip(features, again, strict=True):
        torch.testing.assert_close(first.frames, second.frames)


def test_without_manifests_what_is_gone_or_changed_goes(fill, tmp_path):
    fill()
    assert prune(tmp_path) == (0, 0)
    (tmp_path / "0.wav").unlink()
    soundfile.write(tmp_path / "1.wav", np.zeros(RATE // 2), RATE)
    shutil.copy(tmp_path / "2.wav", tmp_path / "copy.wav")
    (tmp_path / "copy.wav").replace(tmp_path / "2.wav")  # another file, the same content
    deleted, freed = prune(tmp_path)
    assert deleted == 2 and freed > 0


def test_nothing_is_pruned_while_another_process_writes(fill, tmp_path):
    fill()
    writer = DiskStore(tmp_path / "store", "float32")
    with pytest.raises(StoreError, match="another process writes there"):
        prune(tmp_path)
    writer.close()
    assert fill()[0] == 4


def test_what_a_killed_run_kept_is_not_taken_for_gone(fill, tmp_path, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(DiskStore, "close", lambda store: None)
        fill()
    shutil.copytree(tmp_path / "store", tmp_path / "found")
    store = DiskStore(tmp_path / "found", "float32")
    assert store.prune() == (0, 0)
    store.close()
