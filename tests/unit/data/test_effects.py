"""What a telephone, a codec, a room and a pitch shift do to speech: bands, levels, timing and lengths."""

import numpy as np
import pytest
import soundfile
from scipy.signal import correlate

from speechxfer.data import Utterance, load_audio, read_manifest
from speechxfer.data.effects import PACKET_SAMPLES, in_room, num_packets, over_telephone, shift_pitch, through_codec

RATE = 16_000


def tone(hertz, seconds=1.0, rate=RATE):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def level(samples, reference):
    return 10 * np.log10(np.mean(samples**2) / np.mean(reference**2))


@pytest.fixture(scope="module")
def speech(shared):
    """Give three seconds of a real speaker, padded so that an effect has room at both ends."""
    first = next(iter(read_manifest(shared / "data/speechocean762/manifest.csv")))
    return load_audio(Utterance("x", first.audio), RATE)


@pytest.mark.parametrize(("hertz", "least", "most"), [(100, -90, -25), (1_000, -0.5, 0.5), (3_000, -1, 0.5), (6_000, -90, -40)])
def test_a_telephone_lets_through_its_band(hertz, least, most):
    samples = tone(hertz)
    heard = over_telephone(samples, RATE, "a", np.zeros(num_packets(len(samples), RATE), bool))
    assert heard.shape == samples.shape and heard.dtype == np.float32
    assert least < level(heard[2_000:-2_000], samples[2_000:-2_000]) < most


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_lost_packets_repeat_the_one_before_and_fade(rate):
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * rate).astype(np.float32)
    lost = np.zeros(num_packets(len(samples), rate), bool)
    assert len(lost) == 100
    whole = over_telephone(samples, rate, "mu", lost)
    lost[[0, 50, 51, 52]] = True
    heard = over_telephone(samples, rate, "mu", lost)
    packet = PACKET_SAMPLES * rate // 8_000
    untouched = [*range(2, 49), *range(54, 100)]
    for number in untouched:
        part = slice(number * packet, (number + 1) * packet)
        np.testing.assert_array_equal(heard[part], whole[part])
    levels = [np.abs(heard[n * packet + 20 : (n + 1) * packet - 20]).mean() for n in (49, 50, 51, 52)]
    np.testing.assert_allclose(np.divide(levels[1:], levels[:-1]), 0.5, rtol=0.05)
    assert np.abs(heard[: packet - 20]).max() < 1e-3


@pytest.mark.parametrize("codec", ["opus", "amr", "gsm", "mp3"])
def test_a_codec_changes_speech_and_leaves_it_in_its_place(speech, codec):
    coded = through_codec(speech, RATE, codec)
    assert coded.shape == speech.shape and coded.dtype == np.float32
    np.testing.assert_array_equal(coded, through_codec(speech, RATE, codec))
    assert abs(int(correlate(coded, speech, method="fft").argmax()) - (len(speech) - 1)) <= 2
    assert 0.85 < np.corrcoef(coded, speech)[0, 1] < 0.999
    assert level(coded, speech) == pytest.approx(0, abs=1.5)


@pytest.mark.parametrize("codec", ["opus", "amr", "gsm", "mp3"])
@pytest.mark.parametrize("num_samples", [1, 399, 5_001])
def test_a_codec_keeps_any_length_and_silence(codec, num_samples):
    coded = through_codec(np.zeros(num_samples, np.float32), RATE, codec)
    assert len(coded) == num_samples and np.abs(coded).max() < 1e-3


def test_a_room_adds_its_tail_and_keeps_power_and_place(shared, speech):
    response, _ = soundfile.read(shared / "data/noise_rir/audio/rir_house_cinema_room.flac", dtype="float32")
    wet = in_room(speech, response)
    assert wet.shape == speech.shape and level(wet, speech) == pytest.approx(0, abs=1e-3)
    assert abs(int(correlate(wet, speech, method="fft").argmax()) - (len(speech) - 1)) <= RATE // 1_000
    click = np.zeros(RATE, np.float32)
    click[100] = 1
    heard = in_room(click, response)
    assert np.abs(heard).argmax() == 100 and np.abs(heard[2_000:6_000]).max() > 1e-3
    np.testing.assert_array_equal(in_room(np.zeros(10, np.float32), response), np.zeros(10))


@pytest.mark.parametrize("semitones", [-3.0, 1.7])
def test_pitch_moves_by_semitones_and_the_length_stays(semitones):
    samples = tone(440, 2)
    shifted = shift_pitch(samples, RATE, semitones)
    assert len(shifted) == len(samples) and shifted.dtype == np.float32
    peak = np.abs(np.fft.rfft(shifted * np.hanning(len(shifted)))).argmax() / 2
    assert peak == pytest.approx(440 * 2 ** (semitones / 12), abs=3)
