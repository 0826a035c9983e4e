"""Scores in, `report.json` out. Sections are added over time, none is renamed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from speechxfer.data import write_whole

SCHEMA = 1
MEASURES = {"wer": "WER", "cer": "CER", "accuracy": "accuracy", "macro_f1": "macro F1"}
"""Names of a set's scores in the report, and for people."""


def make_report(task: str, model: str, sets: dict[str, dict[str, Any]], **sections: Any) -> dict[str, Any]:
    """Put a report together.

    Parameters
    ----------
    task
        `ctc`, `seq2seq` or `classification`.
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


def main_measure(scores: Mapping[str, Any]) -> str:
    """Name the score that a set is judged by: `wer`, `cer` or `accuracy`; `scores` are the set's entry in a report."""
    return str(scores.get("measure") or ("wer" if "wer" in scores else "accuracy"))


def measures_of(sets: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the scores that sets have, in the order to show them: those they are judged by first.

    Parameters
    ----------
    sets
        Their entries in a report.

    Returns
    -------
    list of str
        Of `wer`, `cer`, `accuracy` and `macro_f1`.
    """
    everything = list(sets)
    main = {main_measure(scores) for scores in everything}
    return sorted((name for name in MEASURES if any(name in scores for scores in everything)), key=lambda name: name not in main)


def with_interval(scores: Mapping[str, Any], measure: str) -> str:
    """Give a score in per cent, or a dash, with its interval."""
    interval = scores.get(f"{measure}_interval")
    bounds = f" ({100 * interval[0]:.1f} – {100 * interval[1]:.1f})" if interval else ""
    return "–" if scores.get(measure) is None else f"{100 * scores[measure]:.1f} %{bounds}"


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole, readable by its owner only.

    Parameters
    ----------
    path
        The file.
    content
        What `json.dumps` takes.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_whole(str(path), json.dumps(content, ensure_ascii=False, indent=1) + "\n")
