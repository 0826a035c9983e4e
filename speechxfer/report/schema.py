"""Scores in, `report.json` out. Sections are added over time, none is renamed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

SCHEMA = 1


def make_report(task: str, model: str, sets: dict[str, dict[str, Any]], **sections: Any) -> dict[str, Any]:
    """Put a report together.

    Parameters
    ----------
    task
        `ctc` or `classification`.
    model
        Directory of the model that was scored.
    sets
        Name of each set to its scores.
    **sections
        Further sections, such as `training`.

    Returns
    -------
    dict
        Ready for JSON.
    """
    return {"schema": SCHEMA, "task": task, "model": model, "sets": sets, **sections}


def write_json(path: Path, content: Any) -> None:
    """Write what `json.dumps` takes as `write_text` writes text."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write beside and rename, so that a file that exists is whole; readable by its owner only."""
    beside = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
