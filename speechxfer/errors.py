"""Errors a user can act on: what was found, where, what was expected, what to do.

One base class; the command line prints its message without a traceback and exits with `exit_code`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SpeechxferError(Exception):
    """Base of all errors that are the user's to mend."""

    exit_code = 2


class RecipeError(SpeechxferError):
    """The recipe, or an override of it, is wrong; the message lists every problem."""


class ModelError(SpeechxferError):
    """A model directory is missing, incomplete or does not fit the task."""


class AudioError(SpeechxferError):
    """An audio file cannot be read as asked; `utterance_id` is whose it is, where that is known."""

    utterance_id: str | None = None


class AlignmentError(SpeechxferError):
    """A text does not fit its recording."""


class SynthesisError(SpeechxferError):
    """Text cannot be spoken as asked."""


class StoreError(SpeechxferError):
    """A feature store cannot be read or written."""

    exit_code = 3


class StorageError(SpeechxferError):
    """A file, or the storage that it lies in, cannot be reached, read or written."""

    exit_code = 3


class ClusterError(SpeechxferError):
    """A cluster cannot be reached, or is not ready for the work."""

    exit_code = 3


class TrainingError(SpeechxferError):
    """Training cannot go on; what was saved is named in the message."""

    exit_code = 3


class RunDirectoryError(TrainingError):
    """A run cannot begin or go on in this directory."""

    exit_code = 2


class RunStoppedError(SpeechxferError):
    """The user stopped a run; the message says how to go on."""

    exit_code = 130


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the data.

    Attributes
    ----------
    file, line
        Where it stands; `line` is None when the whole file is meant, `file` is empty when `what` names the place.
    what
        What was found, what was expected and what to do.
    row
        Index of the row in its manifest; None when no single row is to blame.
    skippable
        Whether going on without the row helps.
    """

    file: str
    line: int | None
    what: str
    row: int | None = None
    skippable: bool = True

    def __str__(self) -> str:
        """Give `file:line: what`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}" if place else self.what


class DataError(SpeechxferError):
    """What a run is made from is wrong; `problems` holds all that was found, not the first only."""

    SHOWN = 20

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(self._message())

    def __reduce__(self) -> tuple[type[DataError], tuple[list[Problem]]]:
        """Reach another process with its problems; an exception would be made anew from its message."""
        return type(self), (self.problems,)

    def _message(self) -> str:
        lines = [str(problem) for problem in self.problems[: self.SHOWN]]
        if len(self.problems) > self.SHOWN:
            lines.append(f"... and {len(self.problems) - self.SHOWN} more")
        count = len(self.problems)
        return f"{count} problem{'s' if count != 1 else ''} found:\n" + "\n".join(lines)
