"""What was said and heard, row by row, in a CSV file: for people who look, and for comparing runs long after."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from speechxfer.data import write_whole
from speechxfer.errors import DataError, Problem
from speechxfer.evaluation import RowErrors

_COLUMNS = ("id", "speaker", "reference", "answer", "errors", "size")


def write_answers(path: Path, ids: Sequence[str], rows: RowErrors) -> None:
    """Write a row for each utterance; reference and answer as they were compared.

    Parameters
    ----------
    path
        A CSV file.
    ids
        Of the utterances.
    rows
        Their errors, in the same order.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow((*_COLUMNS, rows.measure))
    speakers = rows.blocks if rows.block == "speaker" else [""] * len(ids)
    table.writerows(zip(ids, speakers, rows.references, rows.answers, rows.errors, rows.sizes, strict=True))
    write_whole(str(path), written.getvalue())


def read_answers(path: Path) -> tuple[list[str], RowErrors]:
    """Read what `write_answers` wrote.

    Parameters
    ----------
    path
        The CSV file.

    Returns
    -------
    list of str
        Ids of the utterances.
    RowErrors
        Their errors, in the same order, without groups.

    Raises
    ------
    DataError
        If the file is missing or not one that `write_answers` wrote.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        *columns, measure = header
        if tuple(columns) != _COLUMNS or measure not in ("wer", "cer", "error"):
            raise ValueError(f"expected the columns {', '.join(_COLUMNS)}")
        ids, speakers, references, answers, errors, sizes = map(list, zip(*rows, strict=True))
        wrong, whole = [int(value) for value in errors], [int(value) for value in sizes]
    except (OSError, ValueError) as error:
        raise DataError([Problem(str(path), None, f"cannot be read as the answers of a run: {error}")]) from None
    blocks = [speaker or f"row {row}" for row, speaker in enumerate(speakers)]
    return ids, RowErrors(wrong, whole, blocks, "speaker" if any(speakers) else "utterance", measure, references, answers)
