"""Hypotheses about words under way in; the beginning that stays, and the rest, out.

A word becomes stable when the last hypotheses agree on it and on all words before it, and it lies well before the end of what was
heard. What is stable is never said otherwise: new hypotheses are read only behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from speechxfer.transcript import Word

_AGREEING = 2  # hypotheses beside the newest
_SETTLED_SECONDS = 1.0


class StablePrefix:
    """The words of one stretch of speech, while it is spoken.

    Parameters
    ----------
    start
        Words before this second belong to someone else.
    settled_seconds
        Audio that must follow a word before it can be stable.
    """

    def __init__(self, start: float = 0.0, settled_seconds: float = _SETTLED_SECONDS) -> None:
        self._start = start
        self._settled = settled_seconds
        self._recent: deque[Sequence[Word]] = deque(maxlen=_AGREEING)
        self.stable: list[Word] = []

    @property
    def until(self) -> float:
        """Where the stable words end, in seconds of the call."""
        return self.stable[-1].end if self.stable else self._start

    def begin_after(self, seconds: float) -> None:
        """Leave what ends before to someone else, unless some of it is stable already."""
        self._start = max(self._start, seconds)

    def update(self, words: Sequence[Word], end: float) -> list[Word]:
        """Take a hypothesis.

        Parameters
        ----------
        words
            Everything heard, or all of it from `until` on.
        end
            Up to when it was listened to.

        Returns
        -------
        list of Word
            The unstable ones; `stable` holds the others.
        """
        rest = self.rest(words)
        agreed = 0
        if len(self._recent) == _AGREEING:
            before = [self.rest(words) for words in self._recent]
            while all(agreed < len(one) for one in (rest, *before)) and self._agree(rest, before, agreed, end):
                agreed += 1
        self.stable += rest[:agreed]
        self._recent.append(words)
        return rest[agreed:]

    def rest(self, words: Sequence[Word]) -> list[Word]:
        """Give the words of a hypothesis that lie, by their middle, behind what is stable; none begins before that ends."""
        until = self.until
        return [replace(word, start=max(word.start, until)) for word in words if (word.start + word.end) / 2 > until]

    def _agree(self, rest: Sequence[Word], before: Sequence[Sequence[Word]], number: int, end: float) -> bool:
        word = rest[number]
        return word.end <= end - self._settled and all(one[number].text == word.text for one in before)
