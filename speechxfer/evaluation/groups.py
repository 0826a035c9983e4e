"""A manifest in, its groups out: which rows are of which gender, age band, accent, ..."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from speechxfer.data import STANDARD_COLUMNS, Manifest

MIN_UTTERANCES = 20
MAX_VALUES = 20

GroupSpec = Mapping[str, bool | Sequence[float]]


def group_rows(manifest: Manifest, spec: GroupSpec | None = None) -> dict[str, dict[str, list[int]]]:
    """Find the groups of a set.

    Parameters
    ----------
    manifest
        The set that is evaluated.
    spec
        Column to True (its values are groups) or to the bounds of bands of a number (`[16]`: under 16, 16 and over). None takes
        every non-numeric column of the user's own that has 2 to 20 values with at least 20 utterances in each. Columns that the
        manifest lacks are passed over.

    Returns
    -------
    dict
        Column to group to rows; an empty value is unknown and in no group.
    """
    if spec is None:
        wanted = {
            name: True for name, values in manifest.columns.items() if name not in STANDARD_COLUMNS and _is_grouping(values)
        }
    else:
        wanted = {name: bounds for name, bounds in spec.items() if bounds is not False and name in manifest.columns}  # type: ignore[misc]
    groups: dict[str, dict[str, list[int]]] = {}
    for name, bounds in wanted.items():
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(manifest.columns[name]):
            group = value if bounds is True else _band(value, bounds)  # type: ignore[arg-type]
            if group:
                rows.setdefault(group, []).append(row)
        groups[name] = dict(sorted(rows.items()))
    return groups


def _is_grouping(values: Sequence[str]) -> bool:
    counts = Counter(value for value in values if value)
    if not 2 <= len(counts) <= MAX_VALUES or min(counts.values()) < MIN_UTTERANCES:
        return False
    return not all(_is_number(value) for value in counts)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _band(value: str, bounds: Sequence[float]) -> str | None:
    """Name the band of a number, such as `<16` or `>=16`; None if it is no finite number."""
    if not _is_number(value) or not math.isfinite(float(value)):
        return None
    edges = sorted(bounds)
    below = [edge for edge in edges if edge <= float(value)]
    above = [edge for edge in edges if edge > float(value)]
    if below and above:
        return f"{below[-1]:g}-{above[0]:g}"
    return f">={below[-1]:g}" if below else f"<{above[0]:g}"
