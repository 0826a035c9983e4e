"""CommandRecognizer: a clip in, the command that it holds, or none, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scipy.special import expit, softmax

from speechxfer.commands.classifiers import Floats
from speechxfer.commands.enrolment import Enrolment
from speechxfer.commands.features import in_memory, speech_in
from speechxfer.data import Samples, Utterance
from speechxfer.errors import ModelError
from speechxfer.features import StatisticsEncoder


@dataclass(frozen=True)
class Heard:
    """What was heard in a clip.

    Attributes
    ----------
    command
        None is "unknown".
    likeliest
        The command that it is, if it is any.
    log_odds
        Of that command against everything else.
    confidence
        The same as a probability.
    probabilities
        Of each command, if it is any; they sum to 1.
    """

    command: str | None
    likeliest: str
    log_odds: float
    confidence: float
    probabilities: dict[str, float]


class CommandRecognizer:
    """Recognises the commands of one enrolment.

    Parameters
    ----------
    enrolment
        The commands.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.

    Attributes
    ----------
    enrolment
        The commands.

    Raises
    ------
    ModelError
        If the model that they were enrolled with is gone or was changed, or there is no such device or precision.
    """

    def __init__(self, enrolment: Enrolment, *, device: str = "auto", precision: str = "auto") -> None:
        self.enrolment = enrolment
        self._encoder = StatisticsEncoder(enrolment.model, device=device, precision=precision)
        if self._encoder.digest != enrolment.digest:
            what = "is not the model any more that these commands were enrolled with; enrol them again"
            raise ModelError(f"{enrolment.model}: {what}")

    @classmethod
    def from_pretrained(cls, directory: str | Path, *, device: str = "auto", precision: str = "auto") -> Self:
        """Load what `speechxfer commands enrol` or `save` wrote.

        Parameters
        ----------
        directory
            With `commands.json`.
        device, precision
            As for the class.

        Returns
        -------
        CommandRecognizer
            Ready to listen.

        Raises
        ------
        ModelError
            If it is not there, not whole, or its model is gone or was changed.
        """
        return cls(Enrolment.load(Path(directory)), device=device, precision=precision)

    def save(self, directory: str | Path) -> None:
        """Write a directory for `from_pretrained`; the model is named in it, not copied.

        Parameters
        ----------
        directory
            Made if missing.

        Raises
        ------
        StoreError
            If the disk is full or does not take it.
        """
        self.enrolment.save(Path(directory))

    def recognise(self, utterances: Sequence[Utterance]) -> list[Heard]:
        """Recognise clips, each of one command or none.

        Parameters
        ----------
        utterances
            Files, their stretches, or samples in memory.

        Returns
        -------
        list of Heard
            One each, in their order.

        Raises
        ------
        AudioError
            If one cannot be read.
        """
        if not utterances:
            return []
        statistics = self._encoder([speech_in(utterance) for utterance in utterances])
        enrolment = self.enrolment
        scores = enrolment.classifier.scores(enrolment.choice.vectors(statistics))
        return [self._heard(*one) for one in zip(scores, enrolment.log_odds(statistics), strict=True)]

    def log_odds(self, samples: Samples) -> Floats:
        """Give the log-odds of each command against everything else.

        Parameters
        ----------
        samples
            One stretch of speech, float32 `[num_samples]` at 16 kHz.

        Returns
        -------
        numpy.ndarray
            float64 `[commands]`.
        """
        return self.enrolment.log_odds(self._encoder([in_memory("", samples)]))[0]

    def _heard(self, scores: Floats, log_odds: Floats) -> Heard:
        commands, best = self.enrolment.commands, int(scores.argmax())
        accepted = log_odds[best] >= self.enrolment.thresholds[best]
        probabilities = dict(zip(commands, softmax(scores).tolist(), strict=True))
        likeliest, odds = commands[best], float(log_odds[best])
        return Heard(likeliest if accepted else None, likeliest, odds, float(expit(odds)), probabilities)
