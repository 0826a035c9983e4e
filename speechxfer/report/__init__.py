"""What a run found out, for machines and people."""

from speechxfer.report.demo_page import DemoExample, DemoResult, write_demo_page
from speechxfer.report.learning_curve import describe_learning_curve, plot_learning_curve
from speechxfer.report.schema import make_report, write_json, write_text

_PUBLIC = {
    "DemoExample": "speechxfer.report.demo_page",
    "DemoResult": "speechxfer.report.demo_page",
    "describe_learning_curve": "speechxfer.report.learning_curve",
    "make_report": "speechxfer.report.schema",
    "plot_learning_curve": "speechxfer.report.learning_curve",
    "write_demo_page": "speechxfer.report.demo_page",
    "write_json": "speechxfer.report.schema",
    "write_text": "speechxfer.report.schema",
}

__all__ = [
    "DemoExample",
    "DemoResult",
    "describe_learning_curve",
    "make_report",
    "plot_learning_curve",
    "write_demo_page",
    "write_json",
    "write_text",
]
