"""A manifest of any kind in, by its suffix or by what lies in its folder; columns of text out."""

from __future__ import annotations

from pathlib import Path

from speechxfer.data.formats.folders import read_classes, read_common_voice, read_librispeech
from speechxfer.data.formats.kaldi import read_kaldi
from speechxfer.data.formats.nemo import with_nemo_times
from speechxfer.data.formats.references import read_ctm, read_stm
from speechxfer.data.formats.table import Table, read_delimited, read_jsonl
from speechxfer.errors import DataError, Problem

_KINDS = ".csv, .tsv, .jsonl, .json (NeMo), .stm, .ctm, or a folder of Kaldi, LibriSpeech, Common Voice or one folder per class"


def read_table(path: Path) -> Table:
    """Read a manifest.

    Raises
    ------
    DataError
        If it is missing, empty, not UTF-8 or of an unknown kind.
    """
    try:
        table = _read_folder(path) if path.is_dir() else _read_file(path)
    except OSError as error:
        raise DataError([Problem(str(path), None, f"cannot read the manifest: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        what = f"not UTF-8 (byte {error.object[error.start]:#04x}): save the manifest as UTF-8"
        raise DataError([Problem(str(path), _line_of_first_bad_byte(path), what)]) from None
    if not table.lines and not table.problems:
        raise DataError([Problem(str(path), None, "no rows: expected a header line and one line per utterance")])
    return table


def _read_file(path: Path) -> Table:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_delimited(path, "," if suffix == ".csv" else "\t")
    if suffix in (".jsonl", ".json"):
        return with_nemo_times(read_jsonl(path))
    if suffix in (".stm", ".ctm"):
        return read_stm(path) if suffix == ".stm" else read_ctm(path)
    raise DataError([Problem(str(path), None, f"unknown kind {suffix!r}: expected {_KINDS}")])


def _read_folder(path: Path) -> Table:
    if (path / "wav.scp").is_file():
        return read_kaldi(path)
    if (path / "clips").is_dir() and any(path.glob("*.tsv")):
        return read_common_voice(path)
    if next(path.rglob("*.trans.txt"), None):
        return read_librispeech(path)
    return read_classes(path)


def _line_of_first_bad_byte(path: Path) -> int | None:
    if path.is_dir():
        return None
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None
