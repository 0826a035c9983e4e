"""What a run found out, for machines and people."""

from speechxfer.report.schema import make_report, write_json

_PUBLIC = {"make_report": "speechxfer.report.schema", "write_json": "speechxfer.report.schema"}

__all__ = ["make_report", "write_json"]
