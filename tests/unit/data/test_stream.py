"""A recording in blocks is the recording read at once; what is wrong with it is said, and what came before is not lost."""

import io
import os

import numpy as np
import pytest
import soundfile

from speechxfer.data import Waveform, load_audio, resample, stream_audio
from speechxfer.data import stream as module
from speechxfer.data.utterance import Utterance
from speechxfer.errors import AudioError

RATE = 16_000


def sweep(rate: int, seconds: float = 3.0, channels: int = 2) -> np.ndarray:
    times = np.arange(round(rate * seconds)) / rate
    return np.stack([0.3 * np.sin(2 * np.pi * (100 + 90 * c + 40 * times) * times) for c in range(channels)], axis=1).astype(
        np.float32
    )


def joined(source, **options) -> np.ndarray:
    return np.concatenate([*stream_audio(source, RATE, **options)])


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("block_seconds", [0.013, 0.7])
def test_blocks_join_to_the_whole(rate, block_seconds, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_SECONDS", block_seconds)
    samples = sweep(rate)
    whole = np.stack([resample(np.ascontiguousarray(one), rate, RATE) for one in samples.T], axis=1)
    np.testing.assert_allclose(joined(Waveform(samples, rate)), whole, atol=1e-6, rtol=0)


def test_no_block_is_long(monkeypatch):
    monkeypatch.setattr(module, "_MAX_BLOCK_VALUES", 48_000)
    blocks = [*stream_audio(Waveform(np.zeros((5000, 48), dtype=np.float32), RATE), RATE)]
    assert [len(block) for block in blocks] == [1000] * 5


@pytest.mark.parametrize("channels, expected", [("mix", 0.5), (0, 0.75), (1, 0.25)])
def test_channels_are_chosen(channels, expected):
    samples = np.tile(np.array([0.75, 0.25], dtype=np.float32), (100, 1))
    np.testing.assert_array_equal(
        joined(Waveform(samples, RATE), channels=channels), np.full((100, 1), expected, dtype=np.float32)
    )


# Telephone recorders write these.
@pytest.mark.parametrize(
    "file_format, subtype, tolerance",
    [
        ("WAV", "ULAW", 0.02),
        ("WAV", "ALAW", 0.02),
        ("WAV", "GSM610", 0.3),
        ("WAV", "IMA_ADPCM", 0.1),
        ("WAV", "MS_ADPCM", 0.1),
        ("WAV", "PCM_24", 1e-5),
        ("FLAC", "PCM_16", 1e-4),
        ("OGG", "OPUS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_formats_of_recorders(tmp_path, file_format, subtype, tolerance):
    samples = sweep(8_000, channels=1)
    path = tmp_path / "call.bin"  # the content counts, not the name
    soundfile.write(path, samples, 8_000, format=file_format, subtype=subtype)
    read = joined(path)
    assert abs(len(read) - 3 * RATE) <= 0.1 * RATE
    whole = resample(samples[:, 0], 8_000, RATE)
    assert np.sqrt(np.mean((read[4000:40000, 0] - whole[4000:40000]) ** 2)) < tolerance


@pytest.mark.parametrize("wrap", [bytes, io.BytesIO, "file"])
def test_content_is_as_good_as_a_path(tmp_path, wrap):
    path = tmp_path / "a.flac"
    soundfile.write(path, sweep(8_000), 8_000)
    source = path.open("rb") if wrap == "file" else wrap(path.read_bytes())
    np.testing.assert_array_equal(joined(source), joined(path))


def test_a_stream_is_what_a_manifest_row_is(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sweep(44_100), 44_100)
    np.testing.assert_allclose(joined(path, channels="mix")[:, 0], load_audio(Utterance("a", str(path)), RATE), atol=1e-6, rtol=0)


def everything_before_the_error(source) -> tuple[np.ndarray, str]:
    blocks, stream = [], stream_audio(source, RATE)
    with pytest.raises(AudioError) as caught:
        for block in stream:
            blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros((0, 1)), str(caught.value)


def test_what_comes_before_a_break_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_SECONDS", 0.25)
    path = tmp_path / "call.flac"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal((4 * RATE, 1)), RATE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    read, message = everything_before_the_error(path)
    assert 1.0 * RATE < len(read) < 2.5 * RATE
    assert message.startswith(f"{path}: breaks off at ")


def test_a_sample_that_is_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_SECONDS", 0.25)
    samples = np.zeros(RATE, dtype=np.float32)
    samples[9000] = np.nan
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    read, message = everything_before_the_error(path)
    assert len(read) == 8000 and message == f"{path}: a sample near 0.5 s is not a finite number"


def test_a_file_that_grows_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_SECONDS", 0.25)
    path = tmp_path / "a.wav"
    soundfile.write(path, sweep(RATE), RATE)
    stream = stream_audio(path, RATE)
    next(stream)
    with path.open("ab") as file:
        file.write(bytes(1000))
    with pytest.raises(AudioError, match="was changed while it was read"):
        list(stream)


def write_nothing(path):
    path.write_bytes(b"")


def write_text(path):
    path.write_text("not audio at all\n" * 50)


def write_no_samples(path):
    soundfile.write(path, np.zeros((0, 1)), RATE, format="WAV")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sweep(RATE), RATE)
    path.chmod(0)
    assert "Permission denied" in everything_before_the_error(path)[1]


@pytest.mark.parametrize(
    "make, message",
    [
        (write_nothing, "neither libsndfile nor FFmpeg can read it"),
        (write_text, "neither libsndfile nor FFmpeg can read it"),
        (write_no_samples, "holds no audio"),
        (os.mkdir, "not a file"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_cannot_be_read_at_all(tmp_path, make, message):
    path = tmp_path / "a.wav"
    make(path)
    read, said = everything_before_the_error(path)
    assert len(read) == 0 and said.startswith(f"{path}: ") and message in said


def recordings() -> list[tuple[str, bytes]]:
    kinds = {"WAV": ["PCM_16", "FLOAT", "ULAW"], "FLAC": ["PCM_16"], "OGG": ["VORBIS", "OPUS"], "MP3": ["MPEG_LAYER_III"]}
    kinds |= {"AIFF": ["PCM_16"], "CAF": ["PCM_16"], "AU": ["ULAW"]}
    made, noise = [], 0.1 * np.random.default_rng(0).standard_normal((8000, 2))
    for file_format, subtypes in kinds.items():
        for subtype in subtypes:
            file = io.BytesIO()
            soundfile.write(file, noise, 8000, format=file_format, subtype=subtype)
            made.append((f"{file_format} {subtype}", file.getvalue()))
    return made


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in recordings()])
def test_damage_is_never_more_than_an_audio_error(content):
    random = np.random.default_rng(0)
    for _ in range(30):
        damaged = bytearray(content)
        region = min(60, len(damaged)) if random.random() < 0.5 else len(damaged)  # the header, often
        for place in random.integers(region, size=random.integers(1, 20)):
            damaged[place] = random.integers(256)
        damaged = damaged[: random.integers(1, len(damaged))] if random.random() < 0.3 else damaged
        try:
            assert sum(map(len, stream_audio(bytes(damaged), RATE))) < 3600 * RATE
        except AudioError:
            pass


@pytest.mark.parametrize("rate", [44_101, 11_127, 999_983])
def test_odd_rates_are_close_enough_and_cheap(rate):
    samples = sweep(rate, seconds=1.0, channels=1)
    read = joined(Waveform(samples, rate))
    assert len(read) == pytest.approx(RATE, abs=2)
    np.testing.assert_allclose(read[2000:14000], sweep(RATE, seconds=1.0, channels=1)[2000:14000], atol=0.01)


@pytest.mark.parametrize("rate", [1, 999, 1_000_001])
def test_rates_that_cannot_be_are_refused(rate):
    with pytest.raises(AudioError, match=rf"its sampling rate is {rate} Hz; expected 1,000 to 1,000,000"):
        joined(Waveform(np.zeros(10, dtype=np.float32), rate))


def test_a_channel_that_is_not_there():
    with pytest.raises(AudioError, match=r"asked for channel 2, but it has 2 \(counted from 0\)"):
        joined(Waveform(sweep(RATE), RATE), channels=2)
