"""What a run found out, for machines and people."""

from speechxfer.report.learning_curve import describe_learning_curve, plot_learning_curve
from speechxfer.report.schema import make_report, write_json, write_text

_PUBLIC = {
    "describe_learning_curve": "speechxfer.report.learning_curve",
    "make_report": "speechxfer.report.schema",
    "plot_learning_curve": "speechxfer.report.learning_curve",
    "write_json": "speechxfer.report.schema",
    "write_text": "speechxfer.report.schema",
}

__all__ = ["describe_learning_curve", "make_report", "plot_learning_curve", "write_json", "write_text"]
