"""Engines that transcribe nothing, for measuring what is around an engine; in a file that Ray's workers can import."""

import time
from collections.abc import Iterable, Iterator

from speechxfer.data import AudioSource
from speechxfer.transcript import Segment, Transcript


class Idle:
    """Does nothing with what it is given."""

    def transcribe_all(self, recordings: Iterable[AudioSource]) -> Iterator[Transcript]:
        """Say that each was empty."""
        return (Transcript("", 1 / 16_000) for _ in recordings)


class Slow:
    """Takes its time, and gives a text that names what it was given."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def transcribe_all(self, recordings: Iterable[AudioSource]) -> Iterator[Transcript]:
        """Say what each is called."""
        for name in recordings:
            time.sleep(self._seconds)
            yield Transcript("", 1.0, (Segment(f"this is {name!s}", 0.0, 1.0, 1.0),))
