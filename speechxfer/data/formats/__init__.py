"""Readers of manifest files; each gives columns of text with the line every row stands on."""

from speechxfer.data.formats.table import Table, read_table

__all__ = ["Table", "read_table"]
