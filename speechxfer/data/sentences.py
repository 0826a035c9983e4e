"""Files of text, and manifests, in; normalised sentences, one at a time, out."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from speechxfer.data.formats import PREFIX
from speechxfer.data.manifest import missing_column, parse_manifest
from speechxfer.data.storage import open_file
from speechxfer.data.text import normalise
from speechxfer.errors import DataError, Problem, StorageError

_MANIFESTS = (".csv", ".tsv", ".jsonl", ".json", ".stm")


def read_sentences(sources: Sequence[str], normaliser: str) -> Iterator[str]:
    """Read text as it is asked for; no file is ever held as a whole, but a manifest is.

    Parameters
    ----------
    sources
        Text files, UTF-8, one sentence a line, also gzipped (`.gz`); or manifests, as `parse_manifest` takes them, of which the
        column `text` is read.
    normaliser
        See `normalise`.

    Yields
    ------
    str
        Normalised; an empty line stays one.

    Raises
    ------
    DataError
        Before the first sentence, naming all sources that cannot be read; later, with file and line, if a line is not UTF-8.
    """
    problems = [problem for source in sources for problem in _problems(source)]
    if problems:
        raise DataError(problems)
    return (normalise(line, normaliser) for source in sources for line in _lines(source))


def _is_manifest(source: str) -> bool:
    return source.startswith(PREFIX) or source.partition("[")[0].lower().endswith(_MANIFESTS)


def _problems(source: str) -> list[Problem]:
    try:
        if not _is_manifest(source):
            with _opened(source) as file:
                file.read(1)
            return []
        manifest = parse_manifest(source)
    except DataError as error:
        return error.problems
    except (StorageError, OSError) as error:
        return [Problem(source, None, f"cannot read the text: {error}")]
    return [] if "text" in manifest.columns else [missing_column(manifest, "text")]


def _opened(source: str) -> gzip.GzipFile | BinaryIO:
    file = open_file(source)
    return gzip.open(file) if source.endswith(".gz") else file


def _lines(source: str) -> Iterator[str]:
    if _is_manifest(source):
        yield from parse_manifest(source).columns["text"]
        return
    with _opened(source) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                what = f"not UTF-8 (byte {line[error.start]:#04x}): save the text as UTF-8"
                raise DataError([Problem(source, number, what)]) from None
