"""CSV, TSV and JSONL in, columns of text out, with the line number of every row."""

from __future__ import annotations

import csv
import json
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechxfer.errors import DataError, Problem

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass
class Table:
    """Columns of equal length; an absent value is the empty string.

    Attributes
    ----------
    columns
        Name to values, one per row.
    lines
        Line in the file on which each row ends, from 1.
    problems
        Rows that could not be read as they stand; `row` is None for those left out.
    """

    columns: dict[str, list[str]]
    lines: array[int] = field(default_factory=lambda: array("q"))
    problems: list[Problem] = field(default_factory=list)


def read_table(path: Path) -> Table:
    """Read a manifest file by its suffix.

    Raises
    ------
    DataError
        If the file is missing, empty, not UTF-8 or of an unknown kind.
    """
    suffix = path.suffix.lower()
    if suffix not in (*_DELIMITERS, ".jsonl"):
        raise DataError([Problem(str(path), None, f"unknown kind {suffix!r}: expected .csv, .tsv or .jsonl")])
    try:
        table = _read_jsonl(path) if suffix == ".jsonl" else _read_delimited(path, _DELIMITERS[suffix])
    except OSError as error:
        raise DataError([Problem(str(path), None, f"cannot read the manifest: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        what = f"not UTF-8 (byte {error.object[error.start]:#04x}): save the manifest as UTF-8"
        raise DataError([Problem(str(path), _line_of_first_bad_byte(path), what)]) from None
    if not table.lines and not table.problems:
        raise DataError([Problem(str(path), None, "no rows: expected a header line and one line per utterance")])
    return table


def _read_delimited(path: Path, delimiter: str) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        table = Table({})
        try:
            names = [name.strip() for name in next(rows, [])]
            if duplicated := sorted({name for name in names if names.count(name) > 1}):
                raise DataError([Problem(str(path), 1, f"column named twice: {', '.join(duplicated)}")])
            table = Table({name: [] for name in names})
            appends = [column.append for column in table.columns.values()]
            for row in rows:
                if len(row) == len(names):
                    for append, value in zip(appends, row, strict=True):
                        append(value)
                    table.lines.append(rows.line_num)
                elif row:
                    what = f"found {len(row)} fields, expected {len(names)}: quote a field that holds {delimiter!r}"
                    table.problems.append(Problem(str(path), rows.line_num, what))
        except csv.Error as error:
            broken = Problem(str(path), rows.line_num, f"not a well-formed table: {error}")
            raise DataError([*table.problems, broken]) from None
    return table


def _read_jsonl(path: Path) -> Table:
    table = Table({})
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = _row_of_text(line)
            except UnicodeEncodeError:
                table.problems.append(Problem(str(path), number, "holds half a surrogate pair, which is no character"))
                continue
            except (ValueError, TypeError, RecursionError) as error:
                table.problems.append(Problem(str(path), number, f"not a JSON object: {error}"))
                continue
            for name in row:
                if name not in table.columns:
                    table.columns[name] = [""] * len(table.lines)
            for name, column in table.columns.items():
                column.append(row.get(name, ""))
            table.lines.append(number)
    return table


def _row_of_text(line: str) -> dict[str, str]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise TypeError(f"found {type(row).__name__}, expected an object {{...}}")
    texts = {name: _as_text(value) for name, value in row.items()}
    if "\\u" in line:  # only an escape can bring one half of a surrogate pair, which cannot be written or opened
        "".join(map("".join, texts.items())).encode()
    return texts


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line_of_first_bad_byte(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None
