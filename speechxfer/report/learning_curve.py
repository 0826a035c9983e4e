"""The `learning_curve` section of a report in; a sentence and a picture out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Not pyplot: it keeps figures alive and looks for a screen.
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter

_NAMES = {"wer": "word error rate", "cer": "character error rate", "error": "share of wrong answers"}


def describe_learning_curve(curve: Mapping[str, Any]) -> str:
    """Say what twice the data would give, or that nobody can tell; `curve` is the `learning_curve` section of a report."""
    last, twice = curve["points"][-1], curve["twice"]
    if len(curve["points"]) < 2:
        return "one share alone makes no curve: give smaller ones too, such as 10,30,100"
    if curve["test_speakers"] < 2:
        return "one test speaker alone cannot tell what is chance: nothing is promised of more data"
    if not last["test"]:
        return "nothing is wrong with all of the data: the test set is too easy or too small to tell what more would give"
    if not twice:
        return "the error does not clearly fall with more data: more of the same cannot be promised to help"
    lower, upper = twice["test_interval"]
    would = f"twice the data ({twice['minutes']:.0f} minutes) would give about {100 * twice['test']:.1f} %"
    return f"{would} ({100 * lower:.1f} - {100 * upper:.1f}) instead of {100 * last['test']:.1f} % {_NAMES[curve['measure']]}"


def plot_learning_curve(curve: Mapping[str, Any], path: Path) -> None:
    """Draw a learning curve into a file.

    Parameters
    ----------
    curve
        The `learning_curve` section of a report.
    path
        The file, whose ending says what kind of picture it is.
    """
    draw_learning_curve(curve).savefig(path)


def draw_learning_curve(curve: Mapping[str, Any]) -> Figure:
    """Draw errors over minutes of training audio, on logarithmic axes where that can be."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    drawn = [point[name] for point in curve["points"] for name in ("dev", "test")]
    axes = figure.add_subplot(xscale="log", yscale="log" if min(drawn) > 0 else "linear")
    minutes = [point["minutes"] for point in curve["points"]]
    for name in ("dev", "test"):
        axes.plot(minutes, [point[name] for point in curve["points"]], "o-", label=name)
    if twice := curve["twice"]:
        lower, upper = twice["test_interval"]
        below_and_above = [[max(0.0, twice["test"] - lower)], [max(0.0, upper - twice["test"])]]
        axes.errorbar(
            [twice["minutes"]], [twice["test"]], below_and_above, fmt="D", color="C1", capsize=4, label="twice the data"
        )
    axes.set(xlabel="minutes of training audio", ylabel=_NAMES[curve["measure"]])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    for formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        formatter(PercentFormatter(xmax=1))
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    return figure
