"""Groups of recordings: those that are there are found, named from the largest on, and compared with what is known."""

import csv
import json
import sys

import numpy as np
import pytest
import soundfile

from speechxfer.adaptation import cluster, read_recordings
from speechxfer.adaptation.clustering import directions
from speechxfer.errors import DataError, ModelError

RATE = 16_000


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Return a folder of three kinds of sound in folders of their own: 24 hums, 16 hisses, 10 beeps; and a silent one."""
    directory = tmp_path_factory.mktemp("recordings")
    random = np.random.default_rng(0)
    for kind, count in (("hum", 24), ("hiss", 16), ("beep", 10)):
        (directory / kind).mkdir()
        for number in range(count):
            time = np.arange(int(random.uniform(0.4, 0.6) * RATE)) / RATE
            noise = random.normal(0, 1, len(time))
            sound = {
                "hum": np.sin(2 * np.pi * random.uniform(95, 105) * time) + 0.05 * noise,
                "hiss": noise,
                "beep": np.sin(2 * np.pi * random.uniform(2900, 3100) * time) * (time * 10 % 1 < 0.5) + 0.01 * noise,
            }[kind]
            soundfile.write(directory / kind / f"{number}.wav", 0.1 * sound, RATE)
    soundfile.write(directory / "silent.wav", np.zeros(RATE // 2), RATE)
    return directory


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
def test_groups_are_found(recordings, small_whisper, method):
    found = cluster(read_recordings(str(recordings)), small_whisper, method=method)
    named = [one for one in found.clusters if one.name]
    assert [one.name for one in named] == ["1", "2", "3"]
    assert [one.known["folder"].value for one in named] == ["hum", "hiss", "beep"]
    assert found.agreement["folder"] > 0.9
    assert found.silhouette > 0.5
    assert sum(one.size for one in found.clusters) == len(found.of) == 50
    for one in named:
        assert {found.of[name] for name in one.central} == {one.name}
    assert [(place.rsplit(":", 1)[-1], what) for place, what in found.left_out] == [("51", "silent")]
    assert "folder" in found.sentences[1]


def test_conditions_and_centres_of_a_group(recordings, small_whisper):
    found = cluster(read_recordings(str(recordings)), small_whisper)
    hum, hiss, _ = found.clusters
    assert hum.audio.sampling_rate == RATE
    assert hiss.audio.bandwidth_hz > 7500
    assert 0.4 < hum.audio.seconds < 0.6
    assert max(found.silhouettes, key=found.silhouettes.get) == 3
    assert found.silhouettes[3] == pytest.approx(found.silhouette)


def test_what_is_known_does_not_change_the_groups(recordings, small_whisper):
    manifest = read_recordings(str(recordings))
    with_labels = cluster(manifest, small_whisper)
    del manifest.columns["folder"]
    without = cluster(manifest, small_whisper)
    assert without.of == with_labels.of
    assert without.agreement == {}
    assert "Nothing is known" in without.sentences[-1]


def test_scale_of_a_feature_does_not_matter():
    statistics = np.random.default_rng(0).normal(size=(40, 2, 6)).astype(np.float32)
    scaled = statistics * np.float32([[1], [100]])
    ours, theirs = directions(statistics), directions(scaled)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


def test_command_line(recordings, small_whisper, speechxfer, tmp_path):
    out = tmp_path / "out"
    code, said, _ = speechxfer("cluster", recordings, "--model", small_whisper, "--out", out)
    assert code == 1  # one recording is silent
    assert "adjusted Rand index" in said and "silent" in said
    page, found = (out / "clusters.html").read_text(), json.loads((out / "clusters.json").read_text())
    assert page.count("<audio") == 9
    assert [one["size"] for one in found["clusters"]] == [24, 16, 10]
    with (out / "clusters.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 51
    assert {(row["folder"], row["cluster"]) for row in rows} == {("hum", "1"), ("hiss", "2"), ("beep", "3"), ("", "")}


def test_too_few_or_without_the_extra(recordings, small_whisper, monkeypatch):
    with pytest.raises(DataError, match="10 usable recordings, expected 20"):
        cluster(read_recordings(str(recordings / "beep")), small_whisper)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModelError, match=r"speechxfer\[cluster\]"):
        cluster(read_recordings(str(recordings)), small_whisper)
