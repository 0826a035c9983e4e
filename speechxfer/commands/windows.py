"""A stream in, at every hop the stretch of speech that the last window holds, out; however the stream is cut into pushes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from speechxfer.commands.features import louder, speech_bounds
from speechxfer.data import VAD_FRAME, VAD_RATE, Samples, VoiceActivity

HOP_FRAMES = 8
HOP_SECONDS = HOP_FRAMES * VAD_FRAME / VAD_RATE
_HOP = HOP_FRAMES * VAD_FRAME


@dataclass(frozen=True)
class SpeechWindow:
    """What there is to say about the window that ends at a hop.

    Attributes
    ----------
    start
        Where its speech begins, in samples from the start of the stream.
    samples
        float32 `[num_samples]` at 16 kHz: from the first speech in the window to the last; empty if it holds none.
    """

    start: int
    samples: Samples


class SpeechWindows:
    """Slides over one channel.

    Parameters
    ----------
    seconds
        Length of the window.
    """

    def __init__(self, seconds: float) -> None:
        self._frames = math.ceil(seconds * VAD_RATE / VAD_FRAME)
        self._activity = VoiceActivity()
        self._waiting = np.zeros(0, dtype=np.float32)
        self._held = np.zeros(0, dtype=np.float32)  # the last window, or less at the start
        self._speech = np.zeros(0, dtype=np.float32)  # its probabilities
        self._position = 0  # samples that were looked at

    def push(self, samples: Samples) -> list[SpeechWindow]:
        """Give the windows that end within these samples.

        Parameters
        ----------
        samples
            float32 `[num_samples]` at 16 kHz, following those before.

        Returns
        -------
        list of SpeechWindow
            One for each hop that is whole by now.
        """
        samples = np.concatenate([self._waiting, samples])
        hops = len(samples) // _HOP
        self._waiting = samples[hops * _HOP :]
        return [self._look(samples[hop * _HOP : (hop + 1) * _HOP]) for hop in range(hops)]

    def finish(self, hops: int) -> list[SpeechWindow]:
        """Give the windows of the incomplete hop at the end, and of some more silence."""
        return self.push(np.zeros(-len(self._waiting) % _HOP + (hops - bool(len(self._waiting))) * _HOP, dtype=np.float32))

    def _look(self, samples: Samples) -> SpeechWindow:
        self._held = np.concatenate([self._held, samples])[-self._frames * VAD_FRAME :]
        # By the loudest of the window, so that speech is no louder for the detector than what surrounds it.
        heard = self._activity.push(louder(samples, self._held))
        self._speech = np.concatenate([self._speech, heard])[-self._frames :]
        self._position += len(samples)
        first, last = speech_bounds(self._speech, self._held) or (0, 0)
        return SpeechWindow(self._position - len(self._held) + first, self._held[first:last])
