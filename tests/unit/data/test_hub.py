"""Data sets that `datasets` wrote, read as manifests: rows, samples, splits, and what is refused."""

import os
import sys

import datasets
import numpy as np
import pytest
import soundfile
from datasets.table import embed_table_storage

from speechxfer.data import load_audio, parse_manifest, read_manifest, read_sentences
from speechxfer.errors import DataError

RATE = 8_000


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Two splits of a data set, whose cache is a folder of the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    random = np.random.default_rng(0)

    def part(count):
        paths = []
        for _ in range(count):
            paths.append(str(tmp_path / f"{random.integers(10**9)}.wav"))
            soundfile.write(paths[-1], random.uniform(-0.5, 0.5, RATE // 4), RATE, subtype="FLOAT")
        columns = {
            "audio": paths,
            "sentence": [f"say {n}" for n in range(count)],
            "client_id": ["anna"] * count,
            "label": [n % 2 for n in range(count)],
        }
        rows = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio())
        return rows.cast_column("label", datasets.ClassLabel(names=["off", "on"])), [soundfile.read(path)[0] for path in paths]

    return {"train": part(3), "validation": part(2)}


@pytest.fixture(params=["parquet", "save_to_disk"])
def directory(request, made, tmp_path):
    """The data set as a Hub repository holds it, or as `save_to_disk` writes it."""
    if request.param == "save_to_disk":
        datasets.DatasetDict({name: rows for name, (rows, _) in made.items()}).save_to_disk(tmp_path / "set")
        return tmp_path / "set"
    for name, (rows, _) in made.items():
        held = rows.with_format("arrow").map(embed_table_storage, batched=True).with_format(None)
        held.to_parquet(tmp_path / "set" / "data" / f"{name}-00000-of-00001.parquet")
    return tmp_path / "set"


def test_all_splits_are_read_and_audio_is_written_once(made, directory):
    manifest = read_manifest(f"hub:{directory}")
    assert manifest.columns["split"] == ["train"] * 3 + ["dev"] * 2
    assert manifest.columns["text"] == ["say 0", "say 1", "say 2", "say 0", "say 1"]
    assert manifest.columns["label"] == ["off", "on", "off", "off", "on"]
    assert set(manifest.columns["speaker"]) == {"anna"} and len(set(manifest.columns["id"])) == 5
    samples = [clip for _, clips in made.values() for clip in clips]
    for utterance, expected in zip(manifest, samples, strict=True):
        np.testing.assert_array_equal(load_audio(utterance, RATE), expected.astype(np.float32))
    times = [(name, os.stat(name).st_mtime_ns) for name in manifest.columns["audio"]]
    again = read_manifest(f"hub:{directory}")
    assert times == [(name, os.stat(name).st_mtime_ns) for name in again.columns["audio"]]


def test_a_split_is_chosen_by_its_own_name(directory):
    assert parse_manifest(f"hub:{directory}[split=validation]").columns["split"] == ["validation"] * 2
    assert len(parse_manifest(f"hub:{directory}[split=train,label=off]")) == 2
    assert list(read_sentences([f"hub:{directory}[split=train]"], "basic:en"))[1] == "say one"
    with pytest.raises(DataError, match=r"hub:.*cannot load the data set: .*dev"):
        parse_manifest(f"hub:{directory}[split=dev]")


def test_what_cannot_be_loaded_is_named(made, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"hub:nobody/nothing: cannot load the data set: "):
        parse_manifest("hub:nobody/nothing")
    made["train"][0].remove_columns("audio").save_to_disk(tmp_path / "silent")
    with pytest.raises(DataError, match=r"hub:.*silent: found 0 columns of audio \(columns: sentence, client_id, label\)"):
        parse_manifest(f"hub:{tmp_path}/silent")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'speechxfer\[hub\]'"):
        parse_manifest("hub:a/b")
