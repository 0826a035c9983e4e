"""Item: one utterance in one view, what features are asked for by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from speechxfer.data import Utterance


@dataclass(frozen=True)
class Item:
    """One utterance in one view.

    Attributes
    ----------
    utterance
        What is read.
    seconds
        Its length in that view.
    view
        Number of the view, from 0; None is the audio as it is.
    """

    utterance: Utterance
    seconds: float
    view: int | None = None

    @property
    def place(self) -> tuple[Any, ...]:
        """What tells it from other items while a process runs: a path stands for its content, and memory for what it holds."""
        utterance = self.utterance
        audio = utterance.audio if isinstance(utterance.audio, str) else id(utterance.audio)
        return (audio, utterance.start, utterance.end, utterance.channel, self.view, utterance.id)
