"""Hops of all channels of a live call in; whether a channel only repeats what a louder one says, as soon as it does, out.

What `RepeatFilter` decides with half a second of what comes next is decided here by what came before alone: nobody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from speechxfer.data import VAD_RATE, Samples
from speechxfer.transcription import REPEAT_SECONDS, SPEECH_PROBABILITY, repeats

_RECENT_HOPS = 3  # an echo goes on for a moment when its speaker has stopped
_KEPT_SECONDS = REPEAT_SECONDS + 0.5  # one channel may be half a second ahead
_KEPT = round(_KEPT_SECONDS * VAD_RATE)
_FEWEST = round(0.25 * VAD_RATE)  # with less, as a call begins, nothing is decided


@dataclass
class _Recent:
    """What a channel delivered last, up to `end` in seconds of the call."""

    samples: Samples = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    end: float = 0.0
    spoke: deque[bool] = field(default_factory=lambda: deque(maxlen=_RECENT_HOPS))

    def add(self, samples: Samples, end: float, is_speech: bool) -> None:
        """Take a hop; one that does not follow on the last begins anew."""
        if abs(self.end + len(samples) / VAD_RATE - end) > 0.5 / VAD_RATE:
            self.samples, self.spoke = np.zeros(0, dtype=np.float32), deque(maxlen=_RECENT_HOPS)
        self.samples, self.end = np.concatenate([self.samples, samples])[-_KEPT:], end
        self.spoke.append(is_speech)

    def until(self, end: float) -> Samples:
        """Give what was delivered up to a time."""
        return self.samples[: max(0, len(self.samples) - round((self.end - end) * VAD_RATE))]


class EchoFilter:
    """Follows all channels of one call.

    Parameters
    ----------
    channels
        Their names; of two that say the same equally loud, the first is kept.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._recent = {name: _Recent() for name in channels}

    def hear(self, channel: str, end: float, samples: Samples, speech: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Take the next hop of a channel.

        Parameters
        ----------
        channel
            Its name.
        end
            In seconds of the call.
        samples
            float32 `[num_samples]` at 16 kHz.
        speech
            float32 `[frames]`: probabilities.

        Returns
        -------
        numpy.ndarray
            float32 `[frames]`: the same, or zeros where the channel repeats another one.
        """
        own = self._recent[channel]
        own.add(samples, end, is_speech=bool(speech.max(initial=0.0) >= SPEECH_PROBABILITY))
        talking = [name for name, recent in self._recent.items() if any(recent.spoke)]
        if channel not in talking or len(talking) < 2:
            return speech
        until = min(self._recent[name].end for name in talking)
        delivered = [self._recent[name].until(until) for name in talking]
        length = min(round(REPEAT_SECONDS * VAD_RATE), *map(len, delivered))
        if length < _FEWEST:
            return speech
        found = dict(repeats(np.stack([samples[-length:] for samples in delivered], axis=1)))
        return np.zeros_like(speech) if talking.index(channel) in found else speech
