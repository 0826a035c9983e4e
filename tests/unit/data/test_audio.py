"""Audio: the asked stretch, channel and rate, from every kind of file; a clear error for everything else."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import AudioInfo, Utterance, Waveform, load_audio, probe
from speechxfer.data.audio import read_waveform, resample
from speechxfer.errors import AudioError

KINDS = [
    ("a.wav", "PCM_16"),
    ("a.wav", "FLOAT"),
    ("a.flac", "PCM_16"),
    ("a.ogg", "VORBIS"),
    ("a.ogg", "OPUS"),
    ("a.mp3", "MPEG_LAYER_III"),
]


def peak(samples: np.ndarray, rate: int) -> float:
    """Return the strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()])


@pytest.mark.parametrize(("name", "subtype"), KINDS)
def test_a_stretch_is_a_slice_of_the_whole(tmp_path, name, subtype):
    rate, path = 16_000, str(tmp_path / name)
    noise = np.random.default_rng(0).normal(0, 0.1, (3 * rate, 2)).astype(np.float32)
    soundfile.write(path, noise, rate, subtype=subtype)
    whole = read_waveform(path)
    assert probe(path) == AudioInfo(rate, 2, len(whole.samples), holds_floats=subtype == "FLOAT")
    assert abs(len(whole.samples) - len(noise)) <= (0 if subtype in ("PCM_16", "FLOAT") else rate // 10)
    assert (whole.sampling_rate, whole.samples.dtype) == (rate, np.float32)
    if subtype in ("PCM_16", "FLOAT"):
        np.testing.assert_allclose(whole.samples, noise, atol=2**-14)
    for start, end in [(0.0, 1.0), (0.4321, 0.4322), (1.0, None), (2.0, 2.5), (0.5, 0.5)]:
        part = read_waveform(path, start, end)
        expected = whole.samples[round(start * rate) : None if end is None else round(end * rate)]
        assert part.samples.shape == expected.shape
        # Lossy decoders start anew at a seek; their rounding differs a little.
        np.testing.assert_allclose(part.samples, expected, atol=0 if subtype in ("PCM_16", "FLOAT") else 2e-4)


def test_channels(tmp_path, tone):
    path = str(tmp_path / "two.wav")
    both = tone(0.5, frequencies=(300.0, 700.0))
    soundfile.write(path, both, 16_000, subtype="FLOAT")
    for channel in (0, 1):
        np.testing.assert_array_equal(load_audio(Utterance("u", path, channel=channel), 16_000), both[:, channel])
    np.testing.assert_allclose(load_audio(Utterance("u", path), 16_000), both.mean(axis=1), atol=1e-7)
    with pytest.raises(AudioError, match=r"two.wav: asked for channel 2, but it has 2 \(counted from 0\)"):
        load_audio(Utterance("u", path, channel=2), 16_000)


def test_start_end_and_channel_together(tmp_path, tone):
    path = str(tmp_path / "two.wav")
    both = tone(1.0, frequencies=(300.0, 700.0), rate=8000)
    soundfile.write(path, both, 8000, subtype="FLOAT")
    got = load_audio(Utterance("u", path, start=0.25, end=0.5, channel=1), 8000)
    np.testing.assert_array_equal(got, both[2000:4000, 1])


@pytest.mark.parametrize("frequency", [200.0, 1000.0, 2800.0])
@pytest.mark.parametrize(("source", "target"), [(8000, 16_000), (44_100, 16_000), (16_000, 8000), (48_000, 16_000)])
def test_resampling_keeps_a_tone(tone, frequency, source, target):
    samples = resample(tone(1.0, (frequency,), source)[:, 0], source, target)
    assert samples.dtype == np.float32
    assert len(samples) == target
    middle = samples[target // 4 : 3 * target // 4]
    assert peak(middle, target) == pytest.approx(frequency, abs=2.1)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4000), st.sampled_from([(8000, 16_000), (16_000, 8000), (11_025, 16_000), (16_000, 16_000)]))
def test_resampling_keeps_the_duration(length, rates):
    source, target = rates
    assert len(resample(np.ones(length, dtype=np.float32), source, target)) == -(-length * target // source)


def test_the_rate_comes_from_the_file(tmp_path, tone):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0.5, (400.0,), 11_025), 11_025)
    assert probe(str(path)) == AudioInfo(11_025, 1, round(0.5 * 11_025))
    assert peak(load_audio(Utterance("u", str(path)), 16_000), 16_000) == pytest.approx(400, abs=4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path, tone, bad):
    samples = tone(0.1)
    samples[100] = bad
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    for audio in (str(path), Waveform(samples, 16_000)):
        with pytest.raises(AudioError, match="not finite"):
            load_audio(Utterance("u", audio), 16_000)
    assert len(load_audio(Utterance("u", str(path), end=0.005), 16_000)) == 80  # a stretch without it is fine


def test_a_stretch_outside_the_file(tmp_path, tone):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, tone(1.0), 16_000)
    assert len(read_waveform(path, 0.5, 1.004).samples) == 8000  # a rounded end
    for start, end in [(0.0, 1.1), (1.1, None), (1.1, 1.2)]:
        with pytest.raises(AudioError, match=r"ends at 1\.000 s"):
            read_waveform(path, start, end)


def test_samples_in_memory(tone):
    both = tone(1.0, frequencies=(300.0, 700.0), rate=8000)
    waveform = Waveform(both, 8000)
    np.testing.assert_array_equal(load_audio(Utterance("u", waveform, 0.25, 0.5, channel=1), 8000), both[2000:4000, 1])
    np.testing.assert_array_equal(load_audio(Utterance("u", Waveform(both[:, 0], 8000), 0.25), 8000), both[2000:, 0])
    before = both.copy()
    assert peak(load_audio(Utterance("u", waveform, channel=0), 16_000), 16_000) == pytest.approx(300, abs=2)
    np.testing.assert_array_equal(both, before)


@pytest.mark.parametrize("shape", [(), (1, 2, 3)])
def test_a_waveform_refuses_bad_shapes(shape):
    with pytest.raises(ValueError, match="samples must be"):
        Waveform(np.zeros(shape, dtype=np.float32), 16_000)


@pytest.mark.parametrize("rate", [0, -16_000])
def test_a_waveform_needs_a_rate(rate):
    with pytest.raises(ValueError, match="sampling_rate must be positive"):
        Waveform(np.zeros(10, dtype=np.float32), rate)


def test_missing_files_and_folders(tmp_path):
    for path, what in [(tmp_path / "gone.wav", "no such file"), (tmp_path, "not a file")]:
        with pytest.raises(AudioError, match=what):
            probe(str(path))
        with pytest.raises(AudioError, match=path.name):
            read_waveform(str(path))
