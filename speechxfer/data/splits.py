"""Manifests of a recipe in, the sets of a run out: given ones as given, missing ones held out from train by group."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from speechxfer.data.manifest import Manifest, missing_column, parse_manifest
from speechxfer.errors import DataError, Problem
from speechxfer.recipe import DataSection

HELD_OUT_SHARE = 0.1


def read_sets(section: DataSection) -> tuple[dict[str, Manifest], list[str], list[Problem]]:
    """Read the sets that a recipe names, and make those it does not name.

    Parameters
    ----------
    section
        The recipe's `data`.

    Returns
    -------
    sets
        `train`, `dev`, `test`, and those asked for of `mix`, `guard`, `guard 2` ...; rows with problems are still in them, sets
        that cannot be had are not.
    notes
        What was decided and the user should know, a sentence each.
    problems
        Files that cannot be read, or too few groups to hold any out.
    """
    specs = named_sets(section)
    sets: dict[str, Manifest] = {}
    notes: list[str] = []
    problems: list[Problem] = []
    for name, spec in specs.items():
        try:
            sets[name] = parse_manifest(spec)
        except DataError as error:
            problems += error.problems
    if "train" in sets:
        notes += _use_split_column(sets, specs)
        try:
            notes += _hold_out(
                sets, [name for name in ("dev", "test") if name not in specs and name not in sets], section.split_by
            )
        except DataError as error:
            problems += error.problems
    return sets, notes, problems


def named_sets(section: DataSection) -> dict[str, str]:
    """Give the manifests that a recipe names, by the name of the set."""
    specs = {name: spec for name in ("train", "mix", "dev", "test") if (spec := getattr(section, name))}
    return specs | {f"guard {number}" if number > 1 else "guard": spec for number, spec in enumerate(section.guard, start=1)}


def _use_split_column(sets: dict[str, Manifest], specs: Collection[str]) -> list[str]:
    """Take dev and test from train's own `split` column, and never train on rows marked otherwise."""
    train = sets["train"]
    marks = set(train.columns.get("split", []))
    if "train" not in marks or marks == {"train"}:
        return []
    notes = ["train: only the rows with split=train are trained on"]
    sets["train"] = train.where(split="train")
    for name in ("dev", "test"):
        if name not in specs and name in marks:
            sets[name] = train.where(split=name)
            notes.append(f"{name}: the rows of the train manifest with split={name}")
    return notes


def _hold_out(sets: dict[str, Manifest], missing: Sequence[str], split_by: str | None) -> list[str]:
    if not missing:
        return []
    train = sets["train"]
    column = split_by or next((name for name in ("speaker", "call") if any(train.columns.get(name, []))), "id")
    if column not in train.columns:
        raise DataError([Problem(train.source, 1, f"data.split_by is {column!r}, but there is no such column")])
    groups, order = _groups(train, column)
    if len(order) <= len(missing):
        what = f"{len(order)} different values of `{column}`, too few to hold out {' and '.join(missing)}: give data.{missing[0]}"
        raise DataError([Problem(train.source, None, what)])
    notes = []
    for name in missing:
        taken, rows = _take(groups, order, HELD_OUT_SHARE * len(train), len(missing))
        sets[name] = train.select(sorted(rows))
        count = f"{len(taken)} {column}{'s' if len(taken) != 1 else ''}"
        notes.append(f"{name}: {len(rows)} utterances of {count} held out from train, because data.{name} is not given")
    sets["train"] = train.select(sorted(row for value in order for row in groups[value]))
    return notes


def split_manifest(manifest: Manifest, split_by: str, shares: Mapping[str, float]) -> Manifest:
    """Write into the column `split` which set a row belongs to; all rows of a group are in one.

    Parameters
    ----------
    manifest
        Whose own `split` is overwritten.
    split_by
        The column of groups, such as `speaker` or `call`; a row without a value is a group of its own.
    shares
        Of the rows, by the name of the set; whole groups come as close as they can from above. The rest is `train`.

    Returns
    -------
    Manifest
        The same for the same groups, whatever the order of the rows.

    Raises
    ------
    DataError
        If there is no such column, or too few groups for the sets.
    """
    if split_by not in manifest.columns:
        raise DataError([missing_column(manifest, split_by)])
    wanted = {name: share for name, share in shares.items() if share}
    if sum(wanted.values()) >= 1:
        raise DataError([Problem(manifest.source, None, f"shares of {' and '.join(wanted)} leave nothing to train on")])
    groups, order = _groups(manifest, split_by)
    if len(order) <= len(wanted):
        what = f"{len(order)} different values of `{split_by}`, too few for train, {', '.join(wanted)}"
        raise DataError([Problem(manifest.source, None, what)])
    split = ["train"] * len(manifest)
    for number, (name, share) in enumerate(wanted.items()):
        _, rows = _take(groups, order, share * len(manifest), len(wanted) - number)
        for row in rows:
            split[row] = name
    return Manifest({**manifest.columns, "split": split}, manifest.source, manifest.lines, manifest.problems)


def _groups(manifest: Manifest, column: str) -> tuple[dict[str, list[int]], list[str]]:
    """Give the rows of each group, and the groups in an order that does not depend on that of the rows."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row, (value, name) in enumerate(zip(manifest.columns[column], manifest.columns["id"], strict=True)):
        # A row of an unknown speaker is a group of its own: nothing says whom else it belongs to.
        groups[value or f"id {name}"].append(row)
    return groups, sorted(groups, key=lambda value: hashlib.blake2b(value.encode()).digest())


def _take(groups: Mapping[str, list[int]], order: list[str], at_least: float, keep: int) -> tuple[list[str], list[int]]:
    """Take groups from the end of the order until there are enough rows, and leave at least so many groups; one in any case."""
    taken: list[str] = []
    rows: list[int] = []
    while not rows or (len(rows) < at_least and len(order) > keep):
        taken.append(order.pop())
        rows += groups[taken[-1]]
    return taken, rows
