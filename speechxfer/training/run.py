"""A run's directory and its log: events in, one JSON line each out; whoever watches is told as well."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from speechxfer.errors import TrainingError
from speechxfer.recipe import Recipe
from speechxfer.report import write_json

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
    """

    def __init__(self, directory: Path, recipe: Recipe, listener: Listener | None = None) -> None:
        if (directory / "report.json").exists():
            raise TrainingError(f"{directory} holds a finished run; give another --out, or remove it")
        self.directory = directory
        self.checkpoints = directory / "checkpoints"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        (directory / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        write_json(directory / "environment.json", _environment())
        self._log = (directory / "log.jsonl").open("a", encoding="utf-8", buffering=1)
        self._listener = listener
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time since the run began."""
        return time.perf_counter() - self._start

    @property
    def model(self) -> Path:
        """Where the fine-tuned model is saved."""
        return self.directory / "model"

    def tell(self, event: str, **values: Any) -> None:
        """Log an event and pass it on."""
        record = {"event": event, "elapsed_seconds": round(self.seconds, 2), **values}
        if event in _LOGGED:
            self._log.write(json.dumps(record, ensure_ascii=False) + "\n")
        if self._listener:
            self._listener(record)


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
