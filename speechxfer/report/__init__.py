"""What a run found out, for machines and people."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "DemoExample": "speechxfer.report.demo_page",
    "DemoResult": "speechxfer.report.demo_page",
    "describe_decoder": "speechxfer.report.page",
    "describe_terms": "speechxfer.report.page",
    "describe_learning_curve": "speechxfer.report.learning_curve",
    "read_answers": "speechxfer.report.answers",
    "write_answers": "speechxfer.report.answers",
    "main_measure": "speechxfer.report.schema",
    "make_report": "speechxfer.report.schema",
    "measures_of": "speechxfer.report.schema",
    "plot_learning_curve": "speechxfer.report.learning_curve",
    "write_commands_page": "speechxfer.report.commands_page",
    "write_cluster_page": "speechxfer.report.cluster_page",
    "write_card": "speechxfer.report.card",
    "write_demo_page": "speechxfer.report.demo_page",
    "write_json": "speechxfer.report.schema",
    "write_page": "speechxfer.report.page",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.report.answers import read_answers as read_answers
    from speechxfer.report.answers import write_answers as write_answers
    from speechxfer.report.card import write_card as write_card
    from speechxfer.report.cluster_page import write_cluster_page as write_cluster_page
    from speechxfer.report.commands_page import write_commands_page as write_commands_page
    from speechxfer.report.demo_page import DemoExample as DemoExample
    from speechxfer.report.demo_page import DemoResult as DemoResult
    from speechxfer.report.demo_page import write_demo_page as write_demo_page
    from speechxfer.report.learning_curve import describe_learning_curve as describe_learning_curve
    from speechxfer.report.learning_curve import plot_learning_curve as plot_learning_curve
    from speechxfer.report.page import describe_decoder as describe_decoder
    from speechxfer.report.page import describe_terms as describe_terms
    from speechxfer.report.page import write_page as write_page
    from speechxfer.report.schema import main_measure as main_measure
    from speechxfer.report.schema import make_report as make_report
    from speechxfer.report.schema import measures_of as measures_of
    from speechxfer.report.schema import write_json as write_json


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
