"""A run's directory: events in, a JSON line each out, and whoever watches is told; checkpoints in, and out on resuming."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from speechxfer.data import write_whole
from speechxfer.errors import RecipeError, RunDirectoryError, StorageError
from speechxfer.recipe import Recipe, read_recipe
from speechxfer.report import write_json
from speechxfer.training.checkpoints import Checkpoint

Event = dict[str, Any]
Listener = Callable[[Event], None]

_LOGGED = {"start", "note", "stage", "epoch", "stage_end", "collapse", "end"}
_PACKAGES = ("speechxfer", "torch", "torchaudio", "transformers", "accelerate", "numpy", "soundfile", "jiwer")


class Run:
    """The directory of one fine-tuning run.

    Parameters
    ----------
    directory
        Made if missing; must not hold a finished run.
    recipe
        As resolved; written to `recipe.yaml`.
    listener
        Told every event, for progress bars.
    resume
        Go on from the last checkpoint, if there is one.

    Attributes
    ----------
    saved
        The checkpoint to go on from; None at the beginning.
    facts
        Added to each checkpoint.
    is_interrupted
        Tells whether the user asked for a stop.

    Raises
    ------
    RunDirectoryError
        If the directory cannot be written to, or holds a run that would be lost or mixed up.
    """

    def __init__(self, directory: Path, recipe: Recipe, listener: Listener | None = None, resume: bool = False) -> None:
        self.directory = directory
        self.checkpoints = directory / "checkpoints"
        self._latest = self.checkpoints / "latest.safetensors"
        self._refuse_to_mix(recipe, resume)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            write_whole(str(directory / "recipe.yaml"), recipe.to_yaml())
            write_json(directory / "environment.json", _environment())
        except (OSError, StorageError) as error:
            raise RunDirectoryError(f"{directory}: cannot be written to: {error}; give another --out") from None
        self.saved = Checkpoint.read(self._latest)
        self.facts: dict[str, Any] = {}
        self.is_interrupted: Callable[[], bool] = lambda: False
        self._log = (directory / "log.jsonl").open("a", encoding="utf-8", buffering=1)
        self._listener = listener
        self._resume = resume
        self._beside: list[Run] = []
        self._start = time.perf_counter() - (self.saved.facts["elapsed_seconds"] if self.saved else 0.0)

    def _refuse_to_mix(self, recipe: Recipe, resume: bool) -> None:
        if self._latest.exists() and not resume:
            raise RunDirectoryError(
                f"{self.directory} holds an unfinished run; go on with --resume, give another --out, or remove it"
            )
        if not self._latest.exists() and (self.directory / "report.json").exists():
            raise RunDirectoryError(f"{self.directory} holds a finished run; give another --out, or remove it")
        if self._latest.exists():
            begun, now = (dict(_values(kept.model_dump(mode="json"))) for kept in (self._begun_recipe(), recipe))
            keys = [key for key in {**begun, **now} if begun.get(key) != now.get(key)]
            other = [f"  {key}: {begun.get(key)} then, {now.get(key)} now" for key in keys]
            if other:
                raise RunDirectoryError(f"{self.directory} was begun with another recipe:\n" + "\n".join(other))

    def _begun_recipe(self) -> Recipe:
        try:
            return read_recipe(self.directory / "recipe.yaml")
        except RecipeError as error:
            raise RunDirectoryError(
                f"{error}\nso this run cannot go on; give another --out, or remove {self.directory}"
            ) from None

    @property
    def seconds(self) -> float:
        """Time since the run began, without the time between a stop and its resumption."""
        return time.perf_counter() - self._start

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in place of the last one."""
        facts = {**checkpoint.facts, **self.facts, "elapsed_seconds": self.seconds}
        Checkpoint(checkpoint.tensors, facts).write(self._latest)

    def saved_in(self, stage: int) -> Checkpoint | None:
        """Give the checkpoint to go on from if it was written within this stage."""
        saved = self.saved
        return saved if saved and saved.facts["stage"] == stage and saved.tensors else None

    def stage_start(self, number: int) -> Path:
        """Where all the weights lie with which a stage begins, the first apart."""
        return self.checkpoints / f"stage{number}-start.safetensors"

    def beside(self, name: str, recipe: Recipe) -> Run:
        """Give a run in a folder of this one, which can be resumed until this one is finished."""
        run = Run(self.directory / name, recipe, self._listener, self._resume)
        self._beside.append(run)
        return run

    def finish(self) -> None:
        """Remove what only a resumption would need."""
        for run in self._beside:
            run.finish()
        self._latest.unlink(missing_ok=True)
        for file in self.checkpoints.glob("stage*-start.safetensors"):
            file.unlink()

    @property
    def model(self) -> Path:
        """Where the fine-tuned model is saved."""
        return self.directory / "model"

    @property
    def candidate(self) -> Path:
        """Where a model is saved that the guard refuses."""
        return self.directory / "candidate"

    def tell(self, event: str, **values: Any) -> None:
        """Log an event and pass it on."""
        record = {"event": event, "elapsed_seconds": round(self.seconds, 2), **values}
        if event in _LOGGED:
            self._log.write(json.dumps(record, ensure_ascii=False) + "\n")
        if self._listener:
            self._listener(record)


def _values(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give a recipe's values with their dotted keys."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _environment() -> dict[str, Any]:
    def installed(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "packages": {package: installed(package) for package in _PACKAGES},
    }
