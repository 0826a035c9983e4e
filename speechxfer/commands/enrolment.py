"""Enrolment: what is known of a set of commands. Statistics of examples in, two linear classifiers and a directory out.

One classifier tells the commands apart; the other, the detector, knows one class more, everything that is no command.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy.special import logsumexp

from speechxfer.commands.classifiers import Floats, LinearClassifier, Numbers, fit_probe
from speechxfer.commands.selection import Choice, choose
from speechxfer.errors import ModelError, StorageError, StoreError
from speechxfer.features import Statistics
from speechxfer.report import write_json

FILE = "commands.json"
FORMAT = 1
_DETECTOR_PENALTY = 0.002
_STATISTICS = ("examples", "unknown")
_LOWEST = 0.0  # log-odds: likelier a command than not, as long as no negatives have set a threshold


@dataclass(frozen=True)
class Enrolment:
    """Commands that are enrolled.

    Attributes
    ----------
    model
        Directory of the model whose encoder is used.
    digest
        Hash of that encoder, see `StatisticsEncoder`.
    commands
        Names, in the order in which they were enrolled.
    labels, ids, speakers
        Of each example; a speaker that is not known is empty.
    examples
        float16 `[views, examples, layers, dimensions]`, the audio as it is first.
    unknown
        float16 `[sounds, layers, dimensions]`: what is no command.
    window_seconds
        How much of a stream is looked at at once: enough for the longest example.
    choice
        How commands are told apart.
    classifier, detector
        Of commands; of commands and, last, everything else.
    thresholds
        Log-odds from which on each command is accepted.
    """

    model: str
    digest: str
    commands: tuple[str, ...]
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    examples: npt.NDArray[np.float16]
    unknown: npt.NDArray[np.float16]
    window_seconds: float
    choice: Choice
    classifier: LinearClassifier
    detector: LinearClassifier
    thresholds: tuple[float, ...]

    @classmethod
    def fit(cls, **known: Any) -> Self:
        """Choose layers and method and fit both classifiers.

        Parameters
        ----------
        **known
            The fields up to `window_seconds`, all of them.

        Returns
        -------
        Enrolment
            Each command is accepted from log-odds of 0 on.
        """
        numbers: Numbers = np.array([known["commands"].index(label) for label in known["labels"]], dtype=np.int64)
        views: list[Statistics] = [view.astype(np.float32) for view in known["examples"]]
        choice = choose(views, numbers, known["speakers"])
        others = choice.vectors(known["unknown"].astype(np.float32))
        rows = np.concatenate([*map(choice.vectors, views), others])
        names = np.concatenate([np.tile(numbers, len(views)), np.full(len(others), len(known["commands"]))])
        detector = fit_probe(rows, names, _DETECTOR_PENALTY)
        lowest = (_LOWEST,) * len(known["commands"])
        return cls(**known, choice=choice, classifier=choice.fit(views, numbers), detector=detector, thresholds=lowest)

    def log_odds(self, statistics: Statistics) -> Floats:
        """Give the log-odds of each command against all else.

        Parameters
        ----------
        statistics
            `[sounds, layers, dimensions]`, see `StatisticsEncoder`.

        Returns
        -------
        numpy.ndarray
            float64 `[sounds, commands]`.
        """
        scores = self.detector.scores(self.choice.vectors(statistics))
        everything = np.arange(scores.shape[1])
        others = [logsumexp(scores[:, everything != command], axis=1) for command in range(len(self.commands))]
        return scores[:, :-1] - np.stack(others, axis=1)

    def with_thresholds(self, thresholds: npt.ArrayLike) -> Self:
        """Give the same commands with other thresholds, log-odds `[commands]`."""
        return replace(self, thresholds=tuple(np.asarray(thresholds, dtype=float).tolist()))

    def save(self, directory: Path) -> None:
        """Write `commands.json` and the tensors that it names; what stood there stays until the new one is whole.

        Parameters
        ----------
        directory
            Made if missing.

        Raises
        ------
        StoreError
            If the disk is full or does not take it.
        """
        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in _STATISTICS}
        for name in ("classifier", "detector"):
            tensors |= {f"{name}.{part}": value for part, value in asdict(getattr(self, name)).items()}
        data = save(tensors)
        file = f"examples-{hashlib.blake2b(data, digest_size=8).hexdigest()}.safetensors"
        fields = ("model", "digest", "commands", "labels", "ids", "speakers", "window_seconds", "thresholds")
        content = {"format": FORMAT, "tensors": file} | {name: getattr(self, name) for name in fields}
        try:
            directory.mkdir(parents=True, exist_ok=True)
            beside = directory / f".{file}.part"
            beside.write_bytes(data)
            beside.replace(directory / file)
            write_json(directory / FILE, content | {"choice": asdict(self.choice)})
            for old in directory.glob("examples-*.safetensors"):
                if old.name != file:
                    old.unlink()
        except (OSError, StorageError) as error:
            raise StoreError(f"{directory}: the commands cannot be written: {error}") from None

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        directory
            With `commands.json`.

        Returns
        -------
        Enrolment
            As it was.

        Raises
        ------
        ModelError
            If it is not there, or not whole.
        """
        path = directory / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise ValueError(f"another format than {FORMAT}, which this version reads")
            tensors = load((directory / content.pop("tensors")).read_bytes())
            known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
            choice = content["choice"]
            known["choice"] = Choice(choice["method"], tuple(choice["layers"]), choice["accuracy"])
            for name in ("classifier", "detector"):
                parts = {part: tensors[f"{name}.{part}"] for part in ("mean", "scale", "weight", "bias")}
                known[name] = LinearClassifier(**parts)
            known |= {name: tensors[name] for name in _STATISTICS}
            return cls(**known)
        except FileNotFoundError as error:
            missing = Path(str(error.filename)).name
            raise ModelError(f"{directory}: {missing} is missing; expected what `speechxfer commands enrol` wrote") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, SafetensorError) as error:
            raise ModelError(f"{path}: cannot be read as enrolled commands: {error}") from None
