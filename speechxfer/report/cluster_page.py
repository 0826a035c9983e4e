"""Groups of recordings in, a page to look at and listen to out; it needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from speechxfer.data import Utterance, write_whole
from speechxfer.report.html import page, percent, player, table


def write_cluster_page(path: Path, found: Mapping[str, Any], central: Mapping[str, Utterance], *, audio: bool = True) -> None:
    """Write the page.

    Parameters
    ----------
    path
        The file; its owner only can read it, since it holds recordings.
    found
        A `Clustering` as a dictionary.
    central
        By id, the utterances that stand for their groups.
    audio
        Whether they can be heard; without, they are named.

    Raises
    ------
    StorageError
        If it cannot be written.
    AudioError
        If sound that is to be heard in it cannot be read.
    """
    columns = [*found["agreement"]]
    parts = [f'<p class="verdict">{escape(" ".join(found["sentences"]))}</p>']
    headings = (
        "group",
        "size",
        "length",
        "sampling rate",
        "sound up to",
        "level",
        "noise",
        "level over noise",
        *map(escape, columns),
    )
    parts.append(table(headings, (_row(one, columns) for one in found["clusters"])))
    if columns:
        rows = ((escape(name), f"{index:.2f}") for name, index in found["agreement"].items())
        parts += [
            "<h2>What is known of them</h2>",
            table(("column", "adjusted Rand index (1: the same groups, 0: chance)"), rows),
        ]
    parts.append("<h2>Nearest to each centre</h2>")
    heard = (
        (escape(one["name"]), escape(name), player(central[name]) if audio else "")
        for one in found["clusters"]
        for name in one["central"]
    )
    parts.append(table(("group", "recording", "listen"), heard))
    if found["silhouettes"]:
        tried = ((str(count), f"{value:.3f}") for count, value in found["silhouettes"].items())
        parts += ["<h2>How many groups?</h2>", table(("groups", "silhouette"), tried)]
    if found["left_out"]:
        parts += ["<h2>Left out</h2>", table(("where", "why"), (tuple(map(escape, pair)) for pair in found["left_out"]))]
    write_whole(str(path), page("Groups of recordings", parts))


def _row(one: Mapping[str, Any], columns: list[str]) -> tuple[str, ...]:
    audio, known = one["audio"], one["known"]
    facts = (
        f"{audio['seconds']:.1f} s",
        f"{audio['sampling_rate']:.0f} Hz",
        f"{audio['bandwidth_hz']:.0f} Hz",
        f"{audio['level_db']:.0f} dB",
        f"{audio['noise_db']:.0f} dB",
        f"{audio['snr_db']:.0f} dB",
    )
    values = (f"{escape(known[name]['value'])} ({percent(known[name]['share'])})" if name in known else "–" for name in columns)
    return one["name"] or "in none", f"{one['size']} ({percent(one['share'])})", *facts, *values
