"""NeMo's manifests, JSON lines with `offset` and `duration`: their times in ours."""

from __future__ import annotations

from speechxfer.data.formats.table import Table


def with_nemo_times(table: Table) -> Table:
    """Turn `offset` into `start` and `end`, where there is neither; times that are no numbers are left to be complained of."""
    columns = table.columns
    if "offset" not in columns or {"start", "end"} & columns.keys():
        return table
    columns["start"] = columns.pop("offset")
    durations = columns.get("duration") or [""] * len(columns["start"])
    columns["end"] = [_sum(start, duration) for start, duration in zip(columns["start"], durations, strict=True)]
    return table


def _sum(start: str, duration: str) -> str:
    try:
        return f"{float(start or 0) + float(duration):.6f}".rstrip("0").rstrip(".") if duration else ""
    except ValueError:
        return ""
