"""Real recordings: a stretch of a file is the slice of the whole, and headers tell the truth."""

import numpy as np
import pytest

from speechxfer.data import Utterance, check_sets, load_audio, probe, read_manifest
from speechxfer.data.audio import read_waveform

FILES = ["an4/audio/an4_an251-fash-b.ogg", "noise_rir/audio/noise_dishes_00.ogg", "clips/audio/jfk.flac"]


@pytest.mark.parametrize("name", FILES)
def test_a_stretch_is_a_slice_of_the_whole(shared, name):
    path = str(shared / "data" / name)
    whole = read_waveform(path)
    rate, seconds = whole.sampling_rate, probe(path).duration
    assert len(whole.samples) == round(seconds * rate)
    for start, end in [(0.0, 0.3), (seconds / 3, seconds / 2), (seconds * 0.6, None), (seconds * 0.4, seconds * 0.4 + 0.01)]:
        part = read_waveform(path, start, end).samples
        expected = whole.samples[round(start * rate) : None if end is None else round(end * rate)]
        assert part.shape == expected.shape
        # An Opus decoder converges after a seek: not to the bit, but far below what can be heard.
        assert np.abs(part - expected).max() <= (0 if path.endswith(".flac") else 1e-2)
        assert np.linalg.norm(part - expected) <= 1e-2 * max(np.linalg.norm(expected), 1e-3)


@pytest.mark.parametrize(("name", "task"), [("an4", "ctc"), ("fsdd", "classification"), ("extra_romanian", "ctc")])
def test_shared_sets_have_no_problems_and_true_durations(shared, name, task):
    manifest = read_manifest(shared / "data" / name / "manifest.csv")
    sets, problems = check_sets({"set": manifest}, task, normaliser="basic")
    assert problems == []
    written = np.array(manifest.columns["duration"], dtype=float)
    np.testing.assert_allclose(np.array(sets["set"].columns["duration"], dtype=float), written, atol=2e-3)


def test_both_rates_of_the_clips_give_the_same_rate(shared):
    manifest = read_manifest(shared / "data" / "clips" / "manifest.csv")
    assert {"8000", "16000"} <= set(manifest.columns["sample_rate"])
    for row, utterance in enumerate(manifest):
        info = probe(str(utterance.audio))
        assert (info.sampling_rate, info.channels) == tuple(
            int(manifest.columns[column][row]) for column in ("sample_rate", "channels")
        )
        short = Utterance("u", utterance.audio, 0.1, 0.6)
        assert len(load_audio(short, 16_000)) == 8000
