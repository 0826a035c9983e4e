"""Manifests to the data sets of others and back: the same rows, the same samples."""

import sys

import datasets
import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from speechxfer import read_manifest
from speechxfer.data import load_audio
from speechxfer.errors import DataError
from speechxfer.integrations import from_cuts, from_dataset, to_cuts, to_dataset

RATE = 8_000


@pytest.fixture
def manifest(tmp_path):
    """A whole file, a stretch, and the channels of a call one by one and together."""
    random = np.random.default_rng(0)
    soundfile.write(tmp_path / "mono.wav", random.uniform(-0.5, 0.5, RATE), RATE)
    soundfile.write(tmp_path / "call.wav", random.uniform(-0.5, 0.5, (2 * RATE, 2)), RATE)
    (tmp_path / "manifest.csv").write_text(
        "id,audio,start,end,channel,text,label,speaker,language,accent\n"
        "whole,mono.wav,,,,stop,0,anna,en,\n"
        "part,mono.wav,0.25,0.75,,go on,1,,en,welsh\n"
        "agent,call.wav,,,0,hello,,ben,,\n"
        "customer,call.wav,0.5,1.5,1,yes,,,,\n"
        "both,call.wav,,,,,,,,\n"
    )
    return read_manifest(tmp_path / "manifest.csv")


def same(found, manifest):
    for one, other in zip(found, manifest, strict=True):
        assert (one.id, one.text, one.label) == (other.id, other.text, other.label)
        for name in ("speaker", "language", "accent"):
            assert one.fields.get(name, "") == other.fields[name]
        np.testing.assert_array_equal(load_audio(one, RATE), load_audio(other, RATE), err_msg=one.id)


def test_a_dataset_and_back(manifest, tmp_path):
    made = to_dataset(manifest)
    assert isinstance(made.features["audio"], datasets.Audio) and not {"start", "end", "channel"} & {*made.column_names}
    found = from_dataset(made, tmp_path / "audio")
    same(found, manifest)
    assert found[0].audio == manifest[0].audio, "a whole file stays where it is"
    made.save_to_disk(tmp_path / "saved")  # which puts files into the set
    same(from_dataset(datasets.load_from_disk(tmp_path / "saved"), tmp_path / "saved audio"), manifest)


def test_columns_and_classes_of_others(manifest, tmp_path):
    others = to_dataset(manifest).select(range(2)).rename_columns({"text": "sentence", "audio": "sound"}).remove_columns("id")
    classes = others.cast_column("label", datasets.ClassLabel(names=["0", "1"]))
    found = from_dataset(classes, tmp_path / "audio", rename={"sentence": "text"})
    assert found.columns["text"] == ["stop", "go on"] and found.columns["label"] == ["0", "1"]
    assert found.columns["id"] == ["0", "1"]
    with pytest.raises(DataError, match="found 0 columns of audio"):
        from_dataset(others.remove_columns("sound"), tmp_path)
    nothing = datasets.Dataset.from_dict({"audio": [{"path": None, "bytes": None}], "id": ["x"]})
    with pytest.raises(DataError, match=r"dataset\[0\]: id 'x' has neither a file nor bytes"):
        from_dataset(nothing.cast_column("audio", datasets.Audio()), tmp_path)


def test_cuts_and_back(manifest, tmp_path):
    cuts = to_cuts(manifest)
    for cut, utterance in zip(cuts, manifest, strict=True):
        # Lhotse reads the same stretch of the same channels.
        np.testing.assert_allclose(cut.load_audio().mean(axis=0), load_audio(utterance, RATE), atol=1e-6)
    cuts.to_file(tmp_path / "cuts.jsonl")
    same(from_cuts(CutSet.from_file(tmp_path / "cuts.jsonl")), manifest)


def test_cuts_of_others(manifest):
    cuts = to_cuts(manifest)
    (part,) = [cut for cut in cuts if cut.id == "part"]
    later = part.truncate(offset=0.125).drop_supervisions()
    (row,) = from_cuts(CutSet.from_cuts([later]))
    assert (row.start, row.end, row.text) == (0.375, 0.75, None)
    unusable = [part.perturb_speed(1.1), part.pad(2.0)]
    with pytest.raises(DataError, match="2 problems found") as raised:
        from_cuts(CutSet.from_cuts(unusable))
    assert "changed as it is read" in str(raised.value) and "without a recording of its own" in str(raised.value)


@pytest.mark.parametrize(("give", "package"), [(to_dataset, "datasets"), (to_cuts, "lhotse")])
def test_a_missing_package_is_named_with_its_extra(manifest, monkeypatch, give, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=rf"pip install 'speechxfer\[{package}\]'"):
        give(manifest)
