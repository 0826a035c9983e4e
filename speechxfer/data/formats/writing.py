"""Columns of text in, a manifest that other tools read out: CSV, TSV, JSON lines, NeMo, STM or a Kaldi directory.

Audio paths are written absolute, so that the result may lie anywhere; written beside and renamed, so that what exists is whole.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from speechxfer.errors import DataError, Problem

Row = Mapping[str, str]
_KALDI_FILES = ("wav.scp", "segments", "utt2spk", "text")


def write_rows(rows: Sequence[Row], path: Path, kind: str) -> None:
    """Write rows.

    Parameters
    ----------
    rows
        Column to text, the same columns in each; `audio` absolute, `duration` in seconds.
    path
        A file, or for `kaldi` a directory.
    kind
        One of `WRITERS`.

    Raises
    ------
    DataError
        If the kind is unknown, its form has no place for what a row holds, or `path` is a folder that holds anything else.
    """
    if kind not in WRITERS:
        raise DataError([Problem(str(path), None, f"unknown kind {kind!r}: expected {', '.join(WRITERS)}")])
    others = sorted(file.name for file in path.iterdir() if file.name not in _KALDI_FILES) if path.is_dir() else []
    if others or (path.is_dir() and kind != "kaldi"):
        what = f"is a folder that holds {', '.join(others[:3]) or 'a Kaldi directory'}; it is left alone, name another place"
        raise DataError([Problem(str(path), None, what)])
    beside = path.with_name(f".{path.name}.part")
    if beside.is_dir():
        shutil.rmtree(beside)
    WRITERS[kind](rows, beside)
    if path.is_dir():
        shutil.rmtree(path)
    beside.replace(path)


def _delimited(delimiter: str) -> Callable[[Sequence[Row], Path], None]:
    def write(rows: Sequence[Row], path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(rows[0])
            writer.writerows(row.values() for row in rows)

    return write


def _write_jsonl(rows: Sequence[Row], path: Path) -> None:
    _write_lines(path, (json.dumps({name: text for name, text in row.items() if text}, ensure_ascii=False) for row in rows))


def _write_nemo(rows: Sequence[Row], path: Path) -> None:
    def of_nemo(row: Row) -> str:
        start, named = float(row.get("start") or 0), {"audio": "audio_filepath", "label": "command"}
        left_out = ("start", "end", "duration")
        kept = {named.get(name, name): text for name, text in row.items() if text and name not in left_out}
        return json.dumps({**kept, "offset": start, "duration": float(row["duration"])}, ensure_ascii=False)

    _refuse_channels(rows, path, "NeMo")
    _write_lines(path, map(of_nemo, rows))


def _write_stm(rows: Sequence[Row], path: Path) -> None:
    def of_stm(row: Row) -> str:
        start = float(row.get("start") or 0)
        channel = str(int(row.get("channel") or 0) + 1)
        times = f"{start:.3f} {start + float(row['duration']):.3f}"
        return (
            f"{Path(row['audio']).stem} {channel} {_name(row.get('speaker') or 'unknown')} {times} {row.get('text', '')}".rstrip()
        )

    _refuse_labels(rows, path, "STM")
    _write_lines(path, map(of_stm, rows))


def _write_kaldi(rows: Sequence[Row], path: Path) -> None:
    """Write recordings, segments of them, and what is known of each utterance, sorted by id as Kaldi's tools want it."""
    _refuse_channels(rows, path, "Kaldi")
    _refuse_labels(rows, path, "Kaldi")
    path.mkdir(parents=True)
    # A speaker's name begins the utterance's, so that both orders agree.
    speakers = [_name(row.get("speaker") or row["id"]) for row in rows]
    names = [
        _name(row["id"]) if row["id"].startswith(speaker) else f"{speaker}-{_name(row['id'])}"
        for row, speaker in zip(rows, speakers, strict=True)
    ]
    recordings = {row["audio"]: f"{number:08d}-{_name(Path(row['audio']).stem)}" for number, row in enumerate(rows)}
    files: dict[str, list[str]] = {
        "wav.scp": [f"{name} {audio}" for audio, name in recordings.items()],
        "segments": [
            f"{name} {recordings[row['audio']]} {float(row.get('start') or 0):.3f} "
            f"{float(row.get('start') or 0) + float(row['duration']):.3f}"
            for name, row in zip(names, rows, strict=True)
        ],
        "utt2spk": [f"{name} {speaker}" for name, speaker in zip(names, speakers, strict=True)],
    }
    if "text" in rows[0]:
        files["text"] = [f"{name} {row['text']}" for name, row in zip(names, rows, strict=True)]
    for file, lines in files.items():
        _write_lines(path / file, sorted(lines))


def _refuse_channels(rows: Sequence[Row], path: Path, form: str) -> None:
    if any(row.get("channel") for row in rows):
        what = f"{form} has no place for channels, and some rows name one: write each channel into a file of its own first"
        raise DataError([Problem(str(path), None, what)])


def _refuse_labels(rows: Sequence[Row], path: Path, form: str) -> None:
    if any(row.get("label") for row in rows):
        what = f"{form} has no place for labels, and some rows have one: write csv, jsonl or nemo"
        raise DataError([Problem(str(path), None, what)])


def _name(text: str) -> str:
    return "_".join(text.split())


def _write_lines(path: Path, lines: Iterator[str] | Sequence[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


WRITERS: Mapping[str, Callable[[Sequence[Row], Path], None]] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "jsonl": _write_jsonl,
    "nemo": _write_nemo,
    "stm": _write_stm,
    "kaldi": _write_kaldi,
}
