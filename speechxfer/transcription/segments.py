"""One channel's samples and speech probabilities in, stretches of speech out that fit the model.

Stretches are what a batch holds; where speech goes on without a pause for longer than the model takes, several stretches overlap
and are joined again when they are decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from speechxfer.data import VAD_FRAME, VAD_RATE, Samples

_FRAME_SECONDS = VAD_FRAME / VAD_RATE
_SPEECH, _SILENCE = 0.5, 0.35  # speech begins above the one and ends below the other
_MIN_SPEECH = 3  # frames
_MIN_SPOKEN = 6  # frames of speech in a stretch: a word is longer, and noise that the detector takes for speech is shorter
_PAUSE = round(0.6 / _FRAME_SECONDS)  # frames within a stretch, at most
_CONTEXT = round(0.2 / _FRAME_SECONDS)  # frames of what surrounds speech that go with it
_OVERLAP = round(2.0 / _FRAME_SECONDS)  # frames

OVERLAP_SECONDS = _OVERLAP * _FRAME_SECONDS

# First frame of a run of speech, and the one after its last.
_Run = tuple[int, int]


@dataclass(frozen=True)
class Stretch:
    """Some seconds of one channel.

    Attributes
    ----------
    channel
        From 0.
    start
        In seconds of the recording.
    samples
        float32 `[num_samples]` at 16 kHz.
    continues
        Whether its first `OVERLAP_SECONDS` are the last of the stretch before it.
    continued
        Whether its last are the first of the one after it.
    """

    channel: int
    start: float
    samples: Samples
    continues: bool = False
    continued: bool = False

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / VAD_RATE


class Segmenter:
    """Finds the stretches of one channel, as a stream; keeps no more samples than are undecided.

    Parameters
    ----------
    channel
        Its number.
    max_seconds
        Of a stretch; at least 5.
    """

    def __init__(self, channel: int, max_seconds: float) -> None:
        self._channel = channel
        self._longest = int(max_seconds / _FRAME_SECONDS) - 2 * _CONTEXT
        self._samples = np.zeros(0, dtype=np.float32)
        self._speech = np.zeros(0, dtype=np.float32)
        self._forgotten = 0  # frames of the recording that are in neither any more
        self._spoken = -2 * _CONTEXT  # frame of the recording where the last stretch's speech ends
        self._continues = False  # the first frame is in the middle of speech, after a stretch that overlaps

    def push(self, samples: Samples, speech: npt.NDArray[np.float32]) -> Iterator[Stretch]:
        """Give the stretches that nothing to come can change.

        Parameters
        ----------
        samples
            float32 `[num_samples]` at 16 kHz, following those before.
        speech
            float32 `[frames]`: probability of speech in each 512 samples; may lag behind the samples.

        Yields
        ------
        Stretch
            In order of time.
        """
        self._samples = np.concatenate([self._samples, samples])
        self._speech = np.concatenate([self._speech, speech])
        yield from self._take(is_end=False)

    def finish(self) -> Iterator[Stretch]:
        """Give the rest."""
        yield from self._take(is_end=True)

    def under_way(self) -> Stretch | None:
        """Give what is known by now of the stretch that comes next; None while nobody speaks."""
        runs = _runs(self._speech, self._continues)
        if not self._continues and sum(end - begin for begin, end in runs) < _MIN_SPOKEN:
            return None
        return self._stretch(0, len(self._speech))

    def _take(self, *, is_end: bool) -> Iterator[Stretch]:
        known = len(self._speech)
        runs = _runs(self._speech, self._continues)
        groups = _grouped(runs, self._longest)
        done = 0
        for number, (first, last) in enumerate(groups):
            after = groups[number + 1][0] if number + 1 < len(groups) else known + 2 * _CONTEXT
            settled = is_end or number + 1 < len(groups) or known >= last + _PAUSE + _MIN_SPEECH
            # What surrounds speech is shared with the speech beside it: nothing is read twice.
            before = 0 if self._continues else min(_CONTEXT, first, (self._forgotten + first - self._spoken) // 2)
            start = first - before
            if last - first > self._longest:
                yield self._stretch(start, first + self._longest, continued=True)
                self._continues = True
                self._forget(first + self._longest - _OVERLAP)
                yield from self._take(is_end=is_end)
                return
            if not settled:
                self._forget(start)
                return
            spoken = sum(end - begin for begin, end in runs if first <= begin and end <= last)
            if self._continues or spoken >= _MIN_SPOKEN:
                yield self._stretch(start, last + min(_CONTEXT, (after - last) // 2))
                self._spoken = self._forgotten + last
            self._continues, done = False, last
        self._forget(max(done, known - _PAUSE - _CONTEXT - _MIN_SPEECH))

    def _stretch(self, first: int, last: int, *, continued: bool = False) -> Stretch:
        start = (self._forgotten + first) * _FRAME_SECONDS
        samples = self._samples[first * VAD_FRAME : last * VAD_FRAME]
        return Stretch(self._channel, start, samples, self._continues, continued)

    def _forget(self, frames: int) -> None:
        self._forgotten += frames
        self._samples = self._samples[frames * VAD_FRAME :].copy()
        self._speech = self._speech[frames:]


def _runs(speech: npt.NDArray[np.float32], continues: bool) -> list[_Run]:
    """Find where there is speech, with hysteresis; `continues` says that it begins in the middle of some."""
    runs: list[_Run] = []
    is_speech, first = continues, 0
    for frame, probability in enumerate([*speech.tolist(), 0.0]):
        if not is_speech and probability >= _SPEECH:
            is_speech, first = True, frame
        elif is_speech and probability < _SILENCE:
            is_speech = False
            if frame - first >= _MIN_SPEECH or (continues and not first):
                runs.append((first, frame))
    return runs


def _grouped(runs: Sequence[_Run], longest: int) -> list[_Run]:
    """Join runs over short pauses; what would be too long is parted at the longest pause in its second half."""
    groups: list[_Run] = []
    waiting: list[_Run] = []
    for run in runs:
        if waiting and run[0] - waiting[-1][1] > _PAUSE:
            groups.append((waiting[0][0], waiting[-1][1]))
            waiting = []
        waiting.append(run)
        while len(waiting) > 1 and run[1] - waiting[0][0] > longest:
            middle = waiting[0][0] + longest // 2
            pauses = [(after[0] - before[1], number) for number, (before, after) in enumerate(pairwise(waiting), 1)]
            late = [(length, number) for length, number in pauses if waiting[number][0] >= middle]
            _, cut = max(late or pauses[-1:])
            groups.append((waiting[0][0], waiting[cut - 1][1]))
            waiting = waiting[cut:]
    if waiting:
        groups.append((waiting[0][0], waiting[-1][1]))
    return groups
