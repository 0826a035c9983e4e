"""Files that libsndfile does not know come through FFmpeg: same stretches, same channels, same errors."""

import av
import numpy as np
import pytest
import soundfile

from speechxfer.data import AudioInfo, Utterance, load_audio, probe
from speechxfer.data.audio import read_waveform
from speechxfer.errors import AudioError

RATE = 16_000
KINDS = {"a.m4a": "aac", "a.mp4": "aac", "a.aac": "aac", "a.mkv": "libopus", "a.webm": "libopus", "a.wma": "wmav2"}


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Return six seconds of two-channel sweeps `[num_samples, 2]`, different at every time."""
    time = np.arange(6 * RATE) / RATE
    return np.stack([0.3 * np.sin(2 * np.pi * (200 + slope * time) * time) for slope in (50, 120)], axis=1).astype(np.float32)


@pytest.fixture(scope="module", params=KINDS)
def encoded(request, tmp_path_factory, speech) -> str:
    """Encode it as one of the kinds."""
    path, codec = str(tmp_path_factory.mktemp("av") / request.param), KINDS[request.param]
    rate = 48_000 if codec == "libopus" else RATE
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = 192_000
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate, frame_size=stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(speech.T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    with pytest.raises(soundfile.SoundFileError):
        soundfile.info(path)
    return path


def test_a_stretch_is_a_slice_of_the_whole(encoded):
    whole = read_waveform(encoded)
    rate = whole.sampling_rate
    assert probe(encoded) == AudioInfo(rate, 2, len(whole.samples))
    for start, end in [(0.0, 1.0), (0.5, 0.75), (2.0, 3.5), (4.321, 4.4), (5.0, None)]:
        part = read_waveform(encoded, start, end)
        expected = whole.samples[round(start * rate) : None if end is None else round(end * rate)]
        # Matroska's clock ticks in milliseconds: after a seek the stretch may begin half a tick off.
        off = rate // 1000 if encoded.endswith((".mkv", ".webm")) and start > 1 else 0
        assert abs(len(part.samples) - len(expected)) <= off
        length = min(map(len, (part.samples, expected))) - off
        errors = [np.abs(part.samples[:length] - expected[lag : lag + length]).max() for lag in range(off + 1)]
        errors += [np.abs(part.samples[lag : lag + length] - expected[:length]).max() for lag in range(1, off + 1)]
        assert min(errors) < 2e-3


def test_it_sounds_like_what_was_encoded(encoded, speech):
    got = load_audio(Utterance("u", encoded, channel=1), RATE)
    lags = np.correlate(got[RATE : 2 * RATE], speech[RATE + 4000 : 2 * RATE - 4000, 1], "valid")
    assert abs(int(lags.argmax()) - 4000) <= RATE // 10  # encoders delay by some frames
    assert lags.max() > 0.95 * np.sum(speech[RATE + 4000 : 2 * RATE - 4000, 1] ** 2)


def test_a_stretch_outside_the_file(encoded):
    for start, end in [(0.0, 9.0), (8.0, None), (8.0, 9.0)]:
        with pytest.raises(AudioError):
            read_waveform(encoded, start, end)
    with pytest.raises(AudioError, match="channel 2"):
        load_audio(Utterance("u", encoded, channel=2), RATE)


def test_a_film_without_sound(tmp_path):
    path = str(tmp_path / "silent.mp4")
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), dtype=np.uint8))))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match=r"silent\.mp4"):
        probe(path)
