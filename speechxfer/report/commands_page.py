"""Scores of enrolled commands in, a page out: what is missed, what is taken for a command, and the trade between the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from scipy.stats import norm

from speechxfer.data import write_whole
from speechxfer.report.html import page, percent, picture, table

_TICKS = (0.001, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99)
_SHARES = {
    "accuracy": "clips of commands that are right if nothing is rejected",
    "miss_rate": "clips of commands that are rejected or taken for another",
    "false_accept_rate": "other clips that are taken for a command",
    "equal_error_rate": "equal error rate",
    "auroc": "area under the ROC curve",
    "miss_rate_in_stream": "clips of commands that are missed in running speech",
    "miss_rate_at_1_per_hour": "the same, at one false accept an hour",
}


def write_commands_page(path: Path, scores: Mapping[str, Any], *, of: str) -> None:
    """Write the page.

    Parameters
    ----------
    path
        The file.
    scores
        As `speechxfer.commands.score_commands` gives them.
    of
        What was scored, for the heading.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_whole(str(path), page(f"Commands: {of}", [*_rates(scores), *_trade(scores), *_confusion(scores)]))


def _rates(scores: Mapping[str, Any]) -> Iterator[str]:
    rows = [(says, percent(scores[name])) for name, says in _SHARES.items() if name in scores]
    if "hours" in scores:
        low, high = scores["false_accepts_per_hour_interval"]
        said = f"{scores['false_accepts']} in {scores['hours']:.2f} hours without a command"
        rows.append((said, f"{scores['false_accepts_per_hour']:.2f} an hour (exact 95 % interval: {low:.2f} – {high:.2f})"))
    yield f"<p>{scores['utterances']} clips.</p>"
    yield table(("", ""), rows)


def _trade(scores: Mapping[str, Any]) -> Iterator[str]:
    """Draw the DET curve, on axes on which two normal distributions of scores make a straight line (Martin et al. 1997)."""
    if "det" not in scores:
        return
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    low, high = norm.ppf(_TICKS[0]), norm.ppf(_TICKS[-1])
    drawn = [norm.ppf(scores["det"][name]).clip(low, high) for name in ("false_accepts", "misses")]
    axes.step(*drawn, where="post")
    ticks = norm.ppf(_TICKS)
    names = [f"{100 * tick:g}" for tick in _TICKS]
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    axes.set(
        xlim=(low, high), ylim=(low, high), xlabel="false accepts, % of other clips", ylabel="misses, % of clips of commands"
    )
    axes.grid(visible=True, alpha=0.4)
    yield "<h2>Misses against false accepts, at every threshold</h2>"
    yield picture(figure, "DET curve: misses over false accepts")


def _confusion(scores: Mapping[str, Any]) -> Iterator[str]:
    found = scores["confusion"]
    labels = [escape(label) for label in found["labels"]]
    counts = zip(labels, found["true_by_recognised"], strict=True)
    yield "<h2>What was said (rows) and what was heard</h2>"
    yield table(("", *labels), [(f"<b>{label}</b>", *(str(n) if n else "" for n in row)) for label, row in counts])
