"""An utterance in; what its recording is like, out: level, noise, bandwidth, clipping, at the file's own rate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import librosa
import numpy as np
import numpy.typing as npt

from speechxfer.data import Samples, Utterance, load_audio, probe

_FRAME_SECONDS = 0.025
_NOTHING_DB = -120.0
_FULL = 0.97  # of the largest sample, from which on samples that stand still were cut off
_RUN = 3  # of these in a row
_AUDIBLE_DB = 55.0  # below the loudest band


@dataclass(frozen=True)
class AudioFacts:
    """What can be measured without a model.

    Attributes
    ----------
    seconds, sampling_rate
        Length, and rate of the file in Hz.
    peak_db, level_db, noise_db
        Largest sample, loud frames (95th percentile) and quiet frames (10th), in dB of full scale.
    bandwidth_hz
        Up to where there is sound within 55 dB of the loudest band.
    clipped_share
        Of samples that lie in a run at the largest value.
    digest
        The same for the same samples.
    """

    seconds: float
    sampling_rate: int
    peak_db: float
    level_db: float
    noise_db: float
    bandwidth_hz: float
    clipped_share: float
    digest: str

    @property
    def snr_db(self) -> float:
        """Loud frames over quiet ones: what a listener would call signal-to-noise ratio, where there are pauses."""
        return self.level_db - self.noise_db

    @property
    def is_silent(self) -> bool:
        """Whether nothing can be heard."""
        return self.peak_db < -60


def measure(utterance: Utterance) -> AudioFacts:
    """Measure one utterance.

    Parameters
    ----------
    utterance
        A file, or a stretch or channel of one.

    Returns
    -------
    AudioFacts
        At the file's own rate.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    rate = probe(str(utterance.audio)).sampling_rate
    samples = load_audio(utterance, rate)
    frame = max(2, round(_FRAME_SECONDS * rate))
    powers = _frame_powers(samples, frame)
    loud, quiet = (_decibels(np.percentile(powers, share), 10) for share in (95, 10))
    return AudioFacts(
        seconds=len(samples) / rate,
        sampling_rate=rate,
        peak_db=_decibels(float(np.abs(samples).max(initial=0)), 20),
        level_db=loud,
        noise_db=quiet,
        bandwidth_hz=_bandwidth(samples, rate, frame),
        clipped_share=_clipped_share(samples),
        digest=hashlib.blake2b(samples.tobytes(), digest_size=16).hexdigest(),
    )


def _frame_powers(samples: Samples, frame: int) -> npt.NDArray[np.float64]:
    if len(samples) < frame:
        samples = np.pad(samples, (0, frame - len(samples)))
    whole = samples[: len(samples) // frame * frame].astype(np.float64)
    return np.square(whole).reshape(-1, frame).mean(axis=1)


def _decibels(value: float, factor: int) -> float:
    return max(_NOTHING_DB, factor * float(np.log10(max(value, 1e-12))))


def _bandwidth(samples: Samples, rate: int, frame: int) -> float:
    """Look at the loudest moments of each band, because consonants are short."""
    if not samples.any():
        return 0.0
    size = 512
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    spectrum = np.abs(librosa.stft(padded, n_fft=size, hop_length=frame))
    per_band = np.percentile(spectrum, 99, axis=1)
    audible = 20 * np.log10(per_band / per_band.max() + 1e-12) > -_AUDIBLE_DB
    return float(np.flatnonzero(audible)[-1] * rate / size)


def _clipped_share(samples: Samples) -> float:
    """Find runs of samples that stand still at the top: a loud wave that was not cut turns there."""
    largest = float(np.abs(samples).max(initial=0))
    if largest < 0.1:
        return 0.0
    top = np.abs(samples) >= _FULL * largest
    still = top[1:] & top[:-1] & (np.abs(np.diff(samples)) < 1e-3 * largest)
    runs = np.convolve(still, np.ones(_RUN - 1), "valid") >= _RUN - 1
    return float(np.count_nonzero(runs) / max(1, len(samples)))
