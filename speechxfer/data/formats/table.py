"""CSV, TSV and JSONL in, columns of text out, with the line number of every row."""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from speechxfer.errors import DataError, Problem

_CHUNK = 256  # rows; so few that the garbage collector, which would walk through all columns, is not called
_raw_decode = json.JSONDecoder().raw_decode  # without the search for white space, which takes as long again


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
    source
        The file that `lines` are of, where it is not the one that was asked for.
    """

    columns: dict[str, list[str]]
    lines: array[int] = field(default_factory=lambda: array("q"))
    problems: list[Problem] = field(default_factory=list)
    source: str = ""


def read_delimited(path: Path, delimiter: str, *, quoted: bool = True) -> Table:
    """Read a table with a header line; without quotes, these are characters as any other."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        table = Table({})
        try:
            names = [name.strip() for name in next(rows, [])]
            if duplicated := sorted({name for name in names if names.count(name) > 1}):
                raise DataError([Problem(str(path), 1, f"column named twice: {', '.join(duplicated)}")])
            table = Table({name: [] for name in names})
            whole: list[list[str]] = []
            for row in rows:
                if len(row) == len(names):
                    whole.append(row)
                    table.lines.append(rows.line_num)
                    if len(whole) == _CHUNK:
                        _add(whole, table)
                elif row:
                    what = f"found {len(row)} fields, expected {len(names)}: quote a field that holds {delimiter!r}"
                    table.problems.append(Problem(str(path), rows.line_num, what))
            _add(whole, table)
        except csv.Error as error:
            broken = Problem(str(path), rows.line_num, f"not a well-formed table: {error}")
            raise DataError([*table.problems, broken]) from None
    return table


def _add(rows: list[list[str]], table: Table) -> None:
    """Move rows into the columns; many at once, which takes a fraction of the time."""
    for column, values in zip(table.columns.values(), zip(*rows, strict=True), strict=bool(rows)):
        column.extend(values)
    rows.clear()


def read_jsonl(path: Path) -> Table:
    """Read an object a line."""
    table, rows = Table({}), list[dict[str, Any]]()
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not (text := line.strip()):
                continue
            try:
                row = _row_of(text)
            except UnicodeEncodeError:
                table.problems.append(Problem(str(path), number, "holds half a surrogate pair, which is no character"))
                continue
            except (ValueError, TypeError, RecursionError) as error:
                table.problems.append(Problem(str(path), number, f"not a JSON object: {error}"))
                continue
            rows.append(row)
            table.lines.append(number)
            if len(rows) == _CHUNK:
                _add_objects(rows, table)
    _add_objects(rows, table)
    return table


def _row_of(line: str) -> dict[str, Any]:
    """Read one object; its values become text column by column, which takes a fraction of the time."""
    row, end = _raw_decode(line)
    if end != len(line):
        raise ValueError(f"found {line[end : end + 20]!r} after it")
    if not isinstance(row, dict):
        raise TypeError(f"found {type(row).__name__}, expected an object {{...}}")
    # Only an escape can bring one half of a surrogate pair, which cannot be written or opened; only here can nesting be too deep.
    if "\\u" in line or "[" in line or line.count("{") > 1:
        row = {name: _as_text(value) for name, value in row.items()}
        "".join(map("".join, row.items())).encode()
    return row


def _add_objects(rows: list[dict[str, Any]], table: Table) -> None:
    before = len(table.lines) - len(rows)
    for name in dict.fromkeys(chain.from_iterable(rows)):
        if name not in table.columns:
            table.columns[name] = [""] * before
    for name, column in table.columns.items():
        values = [row.get(name, "") for row in rows]
        column.extend(values if set(map(type, values)) <= {str} else map(_as_text, values))
    rows.clear()


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    # The common kinds at a tenth of the cost of `json.dumps`, which says the same.
    return repr(value) if type(value) in (int, float) else json.dumps(value, ensure_ascii=False)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines that hold anything, stripped, with their numbers."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.strip()
