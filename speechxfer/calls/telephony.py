"""What a telephone line delivers, bytes with timestamps, in; samples at 16 kHz with their place in the call out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from speechxfer.data import VAD_RATE, Samples, StreamResampler, decode_alaw, decode_ulaw
from speechxfer.errors import AudioError

_FULL_SCALE = np.float32(32768)
# A gateway's timestamps jitter by less than this; the stream itself has no holes then.
_TOLERANCE_SECONDS = 0.06
# Of a longer gap only so much is filled: after it, whatever was said before is over for whoever listens.
_FILLED_SECONDS = 2.0
# So much is gathered before it is resampled: resampling 20 ms costs about as much.
_GATHERED_SECONDS = 0.06
_LONGEST_SECONDS = 1e6  # of a call


def _pcm16(payload: bytes) -> Samples:
    if len(payload) % 2:
        raise AudioError(f"16-bit samples come in pairs of bytes, and these are {len(payload)} bytes")
    return np.frombuffer(payload, "<i2").astype(np.float32) / _FULL_SCALE


def _ulaw(payload: bytes) -> Samples:
    return decode_ulaw(np.frombuffer(payload, np.uint8)).astype(np.float32) / _FULL_SCALE


def _alaw(payload: bytes) -> Samples:
    return decode_alaw(np.frombuffer(payload, np.uint8)).astype(np.float32) / _FULL_SCALE


ENCODINGS: Mapping[str, Callable[[bytes], Samples]] = {"ulaw": _ulaw, "alaw": _alaw, "pcm16": _pcm16}
"""From bytes to float32 `[num_samples]`: G.711, or 16-bit little-endian numbers."""


@dataclass(frozen=True)
class Heard:
    """Samples that follow those before.

    Attributes
    ----------
    samples
        float32 `[num_samples]` at 16 kHz.
    skipped_seconds
        Of the call, without any samples, before these.
    """

    samples: Samples
    skipped_seconds: float = 0.0


class Line:
    """One channel of a call: decodes, keeps its time by the timestamps, resamples.

    Lost packets become silence; what comes twice or too late is dropped. Of a gap over two seconds, two are filled and the rest
    is skipped. Where timestamps stay more than two seconds behind, their clock has begun anew, or had jumped: they count on from
    where the call is.

    Parameters
    ----------
    encoding
        One of `ENCODINGS`.
    sampling_rate
        Of what is delivered, in Hz.

    Raises
    ------
    AudioError
        If there is no such encoding or rate.
    """

    def __init__(self, encoding: str = "ulaw", sampling_rate: int = 8_000) -> None:
        if encoding not in ENCODINGS:
            raise AudioError(f"encoding {encoding!r}: expected {', '.join(ENCODINGS)}")
        if not 8_000 <= sampling_rate <= 48_000:
            raise AudioError(f"a sampling rate of {sampling_rate} Hz; expected 8,000 to 48,000")
        self._decode = ENCODINGS[encoding]
        self._rate = sampling_rate
        self._resampler = StreamResampler(VAD_RATE)
        self._gathered: list[Samples] = []
        self._position = 0  # of the next sample in the call, in samples of the line
        self._set_back = 0  # samples that the clock of the timestamps is behind the call
        self._was_late = False
        self._last: tuple[float, bytes] | None = None

    def push(self, payload: bytes, timestamp: float | None = None) -> list[Heard]:
        """Take what was delivered.

        Parameters
        ----------
        payload
            Encoded samples.
        timestamp
            Seconds of the call at its first sample; None says that it follows what came before.

        Returns
        -------
        list of Heard
            What can be said by now: packets are gathered to 60 ms, and the resampling filter looks 8 ms ahead.

        Raises
        ------
        AudioError
            If the bytes are no whole samples, or the timestamp is no time.
        """
        samples = self._decode(payload)
        heard: list[Heard] = []
        if timestamp is not None:
            if not 0 <= timestamp < _LONGEST_SECONDS:
                raise AudioError(f"timestamp {timestamp}: expected seconds from the start of the call")
            if (timestamp, payload) == self._last:
                return heard
            self._last = (timestamp, payload)
            late = self._position - round(timestamp * self._rate) - self._set_back
            if late > _FILLED_SECONDS * self._rate and self._was_late:
                self._set_back += late
                late = 0
            self._was_late = late > _FILLED_SECONDS * self._rate
            if late > _TOLERANCE_SECONDS * self._rate:
                samples = samples[late:]
            elif late < -_TOLERANCE_SECONDS * self._rate:
                heard = self._fill(-late)
        self._gather(samples)
        if sum(map(len, self._gathered)) >= _GATHERED_SECONDS * self._rate:
            heard.append(Heard(self._resampled()))
        return heard

    def finish(self) -> Heard:
        """Give the rest."""
        rest = [self._resampled(), *(block[:, 0] for block in self._resampler.finish())]
        return Heard(np.concatenate(rest))

    def _fill(self, gap: int) -> list[Heard]:
        """Put silence into a gap of so many samples, and skip what is too much."""
        filled = min(gap, round(_FILLED_SECONDS * self._rate))
        self._gather(np.zeros(filled, dtype=np.float32))
        if filled == gap:
            return []
        self._position += gap - filled
        return [Heard(self._resampled()), Heard(np.zeros(0, dtype=np.float32), (gap - filled) / self._rate)]

    def _gather(self, samples: Samples) -> None:
        self._gathered.append(samples)
        self._position += len(samples)

    def _resampled(self) -> Samples:
        samples = np.concatenate([*self._gathered, np.zeros(0, dtype=np.float32)])
        self._gathered = []
        return self._resampler.push(samples[:, None], self._rate)[:, 0]
