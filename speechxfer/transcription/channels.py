"""All channels' samples and speech probabilities in, the probabilities without what a channel only repeats from a louder one out.

A headset's microphone picks up the other side; a mono call is often stored twice. Either would be transcribed as if its own
speaker had said it.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from speechxfer.data import VAD_FRAME, VAD_RATE, Samples

_HOP = 8  # frames for which it is decided
_WINDOW = 32 * VAD_FRAME  # samples that are looked at for it
REPEAT_SECONDS = _WINDOW / VAD_RATE
_MAX_LAG = 8 * VAD_FRAME  # a quarter of a second, more than an echo through a telephone network
SPEECH_PROBABILITY = 0.35  # from which on a channel is taken to speak
_EXPLAINED = 0.6  # share of a channel's power that another one predicts
_EQUAL_DB = 1.0

Probabilities = npt.NDArray[np.float32]


class RepeatFilter:
    """Silences, block by block, what a channel only repeats.

    Attributes
    ----------
    spoken, copied
        Quarters of a second per channel: with speech, and of these the same, at the same level, as on another channel.
    """

    def __init__(self, channels: int) -> None:
        self.spoken, self.copied = (np.zeros(channels, dtype=np.int64) for _ in range(2))

    def __call__(self, samples: Samples, speech: Probabilities) -> Probabilities:
        """Give the probabilities of what each channel says itself.

        Parameters
        ----------
        samples
            float32 `[num_samples, channels]` at 16 kHz.
        speech
            float32 `[frames, channels]` for the same time.

        Returns
        -------
        numpy.ndarray
            float32 `[frames, channels]`, 0 where a channel repeats another.
        """
        kept = speech.copy()
        for first in range(0, len(speech), _HOP):
            now = speech[first : first + _HOP].max(axis=0) >= SPEECH_PROBABILITY
            self.spoken += now
            # An echo goes on for a moment when its speaker has stopped.
            talking = np.flatnonzero(speech[max(0, first - _HOP) : first + _HOP].max(axis=0) >= SPEECH_PROBABILITY)
            if len(talking) < 2 or not now.any():
                continue
            middle = (first + _HOP // 2) * VAD_FRAME
            start = max(0, min(middle - _WINDOW // 2, len(samples) - _WINDOW))
            window = samples[start : start + _WINDOW, talking]
            for number, is_copy in repeats(window):
                channel = talking[number]
                kept[first : first + _HOP, channel] = 0
                self.copied[channel] += is_copy and now[channel]
        return kept


def repeats(window: Samples) -> list[tuple[int, bool]]:
    """Find which columns repeat a louder one (of equally loud ones, one before), and whether at the same level.

    Parameters
    ----------
    window
        float32 `[num_samples, channels]` at 16 kHz, about a second.

    Returns
    -------
    list of tuple
        Numbers of the columns, and whether each is a copy.
    """
    levels = 10 * np.log10(np.mean(np.square(window, dtype=np.float64), axis=0) + 1e-12)
    found: dict[int, bool] = {}
    for one, other in combinations(range(window.shape[1]), 2):
        is_copy = abs(levels[one] - levels[other]) < _EQUAL_DB
        louder, softer = (one, other) if is_copy or levels[one] > levels[other] else (other, one)
        if louder not in found and softer not in found and _explained(window[:, softer], window[:, louder]) > _EXPLAINED:
            found[softer] = is_copy
    return [*found.items()]


def _explained(softer: Samples, louder: Samples) -> float:
    """Give the share of the softer one's power that a linear filter of the louder one predicts."""
    from scipy.signal import coherence, correlate, welch  # takes a second, for what most calls never need

    correlation = np.abs(correlate(softer, louder, mode="full", method="fft"))
    zero = len(louder) - 1
    reach = min(_MAX_LAG, zero)
    lag = int(correlation[zero - reach : zero + reach + 1].argmax()) - reach
    softer, louder = (softer[lag:], louder[: len(louder) - lag]) if lag >= 0 else (softer[:lag], louder[-lag:])
    size = min(1024, len(softer) // 4)
    _, shares = coherence(softer, louder, nperseg=size)
    _, power = welch(softer, nperseg=size)
    return float(np.nan_to_num(shares) @ power / (power.sum() + 1e-20))
