"""Readers of manifests, each of which gives columns of text with the line every row stands on, and writers."""

from speechxfer.data.formats.hub import PREFIX, read_hub
from speechxfer.data.formats.reading import read_table
from speechxfer.data.formats.table import Table
from speechxfer.data.formats.writing import write_rows

__all__ = ["PREFIX", "Table", "read_hub", "read_table", "write_rows"]
