"""What happens to speech on its way to a recogniser: samples `[num_samples]` in, as many changed ones out.

Each effect is a pure function of its arguments; whoever calls draws what is random.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from speechxfer.data.audio import Samples, resample
from speechxfer.data.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

TELEPHONE_RATE = 8_000
PACKET_SAMPLES = 160
"""Samples in one packet of a telephone call over the Internet: 20 ms at 8 kHz."""

_BAND_HZ = (300.0, 3_400.0)
Law = Literal["mu", "a"]
_LAWS = {"mu": (encode_ulaw, decode_ulaw), "a": (encode_alaw, decode_alaw)}
_FULL_SCALE = 32_768
_FADE = 0.5  # of a lost packet against the one it repeats


@dataclass(frozen=True)
class _Codec:
    """What PyAV encodes, at the bit rates of calls and voice messages; `delay` in samples that its container does not tell."""

    container: str
    encoder: str
    rate: int
    bit_rate: int
    delay: int = 0


_CODECS = {
    "opus": _Codec("ogg", "libopus", 16_000, 16_000),
    "amr": _Codec("amr", "libopencore_amrnb", 8_000, 7_950, delay=40),
    "mp3": _Codec("mp3", "libmp3lame", 16_000, 24_000),
}


def shift_pitch(samples: Samples, rate: int, semitones: float) -> Samples:
    """Raise or lower the pitch by a phase vocoder, and keep the length (librosa)."""
    from librosa.effects import pitch_shift

    return np.asarray(pitch_shift(samples, sr=rate, n_steps=semitones), dtype=np.float32)


def in_room(samples: Samples, response: Samples) -> Samples:
    """Convolve with a room's impulse response, whose loudest sample counts as the direct sound; the power stays as it is."""
    from scipy.signal import fftconvolve  # here and below: it takes a second to import, and servers need none of it

    direct = int(np.abs(response).argmax())
    wet = fftconvolve(samples, response)[direct : direct + len(samples)].astype(np.float32)
    power, before = float(np.mean(wet**2)), float(np.mean(samples**2))
    return np.asarray(wet * np.sqrt(before / power), dtype=np.float32) if power > 0 else samples


def over_telephone(samples: Samples, rate: int, law: Law, lost: npt.NDArray[np.bool_]) -> Samples:
    """Give what the other end of a call hears: 8 kHz, 300 to 3,400 Hz, G.711, packets of 20 ms of which some are lost.

    Parameters
    ----------
    samples
        float32 `[num_samples]`.
    rate
        Theirs, in Hz.
    law
        `mu` or `a`.
    lost
        bool `[num_packets(len(samples), rate)]`. A lost packet is concealed as simple receivers do: the one before is repeated,
        at half its level, and fades to silence while packets stay away.
    """
    from scipy.signal import sosfilt

    narrow = resample(samples, rate, TELEPHONE_RATE)
    encode, decode = _LAWS[law]
    pcm = np.clip(np.rint(sosfilt(_band(), narrow) * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    heard = (decode(encode(pcm)) / _FULL_SCALE).astype(np.float32)
    packets = np.pad(heard, (0, -len(heard) % PACKET_SAMPLES)).reshape(-1, PACKET_SAMPLES)
    for number in np.flatnonzero(lost[: len(packets)]):
        packets[number] = _FADE * packets[number - 1] if number else 0.0
    return _of_length(resample(packets.reshape(-1)[: len(heard)], TELEPHONE_RATE, rate), len(samples))


def num_packets(num_samples: int, rate: int) -> int:
    """Give the packets in which so many samples go over the telephone."""
    return -(-num_samples * TELEPHONE_RATE // (rate * PACKET_SAMPLES))


def through_codec(samples: Samples, rate: int, codec: str) -> Samples:
    """Encode and decode: `opus` at 16 kbit/s, `amr` at 7.95 kbit/s and 8 kHz, `gsm` (06.10) at 13 kbit/s and 8 kHz, or `mp3`.

    The codec's delay is taken out.
    """
    codec_rate = TELEPHONE_RATE if codec == "gsm" else _CODECS[codec].rate
    narrow = np.clip(resample(samples, rate, codec_rate), -1.0, 1.0)
    decoded, decoded_rate = _gsm(narrow) if codec == "gsm" else _by_pyav(narrow, _CODECS[codec])
    return _of_length(resample(decoded, decoded_rate, rate), len(samples))


def _gsm(narrow: Samples) -> tuple[Samples, int]:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, narrow, TELEPHONE_RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0], TELEPHONE_RATE


def _by_pyav(narrow: Samples, codec: _Codec) -> tuple[Samples, int]:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as written:
        stream: Any = written.add_stream(codec.encoder, rate=codec.rate, layout="mono", bit_rate=codec.bit_rate)
        frame = av.AudioFrame.from_ndarray(np.rint(narrow * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = codec.rate, 0
        for given in (frame, None):
            written.mux(stream.encode(given))
    file.seek(0)
    with av.open(file, "r") as opened:
        converter = av.AudioResampler(format="flt", layout="mono")
        parts = [part.to_ndarray()[0] for frame in opened.decode(audio=0) for part in converter.resample(frame)]
        return np.concatenate(parts)[codec.delay :], int(opened.streams.audio[0].rate)


def _of_length(samples: Samples, num_samples: int) -> Samples:
    return np.pad(samples[:num_samples], (0, max(0, num_samples - len(samples))))


@cache
def _band() -> npt.NDArray[np.float64]:
    from scipy.signal import butter

    return np.asarray(butter(4, _BAND_HZ, btype="bandpass", fs=TELEPHONE_RATE, output="sos"))
