"""One channel of a call: bytes with timestamps in; where there is speech, and the stretches of it, out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from speechxfer.calls.telephony import Heard, Line
from speechxfer.data import VAD_FRAME, VAD_RATE, Samples, VoiceActivity
from speechxfer.transcription import Segmenter, Stretch

_HOP = 4 * VAD_FRAME
HOP_SECONDS = _HOP / VAD_RATE
_SPEECH, _SPOKEN_FRAMES = 0.5, 2  # a hop with so many frames of speech is one of speech
# Speech without a pause is parted after so long, so that what it costs to listen again stays bounded.
_MAX_SECONDS = 12.0
# The detector is deaf to what is very quiet: it hears the loudest of the last half minute at about this level.
_LOUD, _MAX_GAIN, _FORGETTING = 0.2, 30.0, 0.5 ** (HOP_SECONDS / 10)

OwnSpeech = Callable[[float, Samples, npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Hop:
    """What came with an eighth of a second; times are seconds of the call.

    Attributes
    ----------
    end
        Its end.
    samples
        float32 `[num_samples]` at 16 kHz.
    is_speech
        Whether somebody speaks in it.
    stretches
        That are over by now.
    under_way
        The stretch that goes on, up to now.
    """

    end: float
    samples: Samples
    is_speech: bool
    stretches: tuple[Stretch, ...]
    under_way: Stretch | None


class Listener:
    """Finds speech in one channel; keeps no more than the stretch under way.

    Parameters
    ----------
    line
        Where the bytes come from.
    own_speech
        From the end of a hop in seconds of the call, its samples and their probabilities of speech, to those of what the channel
        says itself.
    """

    def __init__(self, line: Line, own_speech: OwnSpeech = lambda end, samples, speech: speech) -> None:
        self._line = line
        self._own_speech = own_speech
        self._activity = VoiceActivity()
        self._segmenter = Segmenter(0, _MAX_SECONDS)
        self._waiting = np.zeros(0, dtype=np.float32)
        self._loudest = 0.0
        self._skipped = 0.0  # seconds of the call that were never heard
        self._hops = 0

    def push(self, payload: bytes, timestamp: float | None = None) -> list[Hop]:
        """Give the hops that are whole by now; see `Line.push`."""
        return [hop for heard in self._line.push(payload, timestamp) for hop in self._hear(heard)]

    def finish(self) -> list[Hop]:
        """Give the rest, up to a whole hop, and every stretch that is still open."""
        rest = self._line.finish().samples
        padding = -(len(self._waiting) + len(rest)) % _HOP
        hops = self._hear(Heard(np.concatenate([rest, np.zeros(padding, dtype=np.float32)])))
        left = tuple(self._in_call(stretch) for stretch in self._segmenter.finish())
        if left or not hops:
            return [*hops, Hop(self._now, np.zeros(0, dtype=np.float32), False, left, None)]
        return hops

    @property
    def _now(self) -> float:
        return self._hops * HOP_SECONDS + self._skipped

    def _hear(self, heard: Heard) -> list[Hop]:
        # Two seconds of silence before what is skipped have ended all that was open.
        self._skipped += heard.skipped_seconds
        samples = np.concatenate([self._waiting, heard.samples])
        count = len(samples) // _HOP
        self._waiting = samples[count * _HOP :]
        return [self._hop(samples[number * _HOP : (number + 1) * _HOP]) for number in range(count)]

    def _hop(self, samples: Samples) -> Hop:
        self._loudest = max(self._loudest * _FORGETTING, float(np.abs(samples).max()))
        gain = np.clip(_LOUD / max(self._loudest, 1e-9), 1, _MAX_GAIN)
        speech = self._activity.push(samples * np.float32(gain))
        self._hops += 1
        speech = self._own_speech(self._now, samples, speech)
        stretches = tuple(self._in_call(stretch) for stretch in self._segmenter.push(samples, speech))
        under_way = self._segmenter.under_way()
        is_speech = bool((speech >= _SPEECH).sum() >= _SPOKEN_FRAMES)
        return Hop(self._now, samples, is_speech, stretches, self._in_call(under_way) if under_way else None)

    def _in_call(self, stretch: Stretch) -> Stretch:
        return replace(stretch, start=stretch.start + self._skipped)
