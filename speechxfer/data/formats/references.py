"""NIST's reference files in: STM (a stretch a line) and CTM (a word a line); columns of text out."""

from __future__ import annotations

from pathlib import Path

from speechxfer.data.formats.table import Table, read_lines
from speechxfer.data.suffixes import RECORDING_SUFFIXES
from speechxfer.errors import Problem

_COLUMNS = ("id", "audio", "start", "end", "channel", "speaker", "text")
_CHANNELS = {"A": "0", "B": "1", "1": "0", "2": "1"}
_PAUSE_SECONDS = 1.0  # between words of a CTM: a longer one ends an utterance
_NOT_SCORED = "ignore_time_segment_in_scoring"


def read_stm(path: Path) -> Table:
    """Read `file channel speaker begin end [<label>] text`; audio is looked for beside the file, by its name without suffix."""
    table = Table({name: [] for name in _COLUMNS})
    audio = _audio_beside(path)
    for line, text in read_lines(path):
        fields = text.split(maxsplit=5)
        if text.startswith(";;") or _NOT_SCORED in text.lower():
            continue
        if len(fields) < 5:
            table.problems.append(Problem(str(path), line, "expected: file channel speaker begin end [<label>] text"))
            continue
        file, channel, speaker, start, end, said = [*fields, ""][:6]
        if said.startswith("<"):
            said = said.partition(">")[2].strip()
        _add(table, line, file, audio, start, end, channel, speaker, said)
    return table


def read_ctm(path: Path) -> Table:
    """Read `file channel begin duration word [confidence]`; words make an utterance until a pause of a second."""
    table = Table({name: [] for name in _COLUMNS})
    audio = _audio_beside(path)
    under_way: list[tuple[int, str, str, float, float, str]] = []

    def end_utterance() -> None:
        if under_way:
            line, file, channel, start, _, _ = under_way[0]
            end = under_way[-1][4]
            _add(table, line, file, audio, f"{start:.3f}", f"{end:.3f}", channel, "", " ".join(word[5] for word in under_way))
            under_way.clear()

    for line, text in read_lines(path):
        fields = text.split()
        if text.startswith(";;"):
            continue
        try:
            file, channel, start, seconds, word = fields[0], fields[1], float(fields[2]), float(fields[3]), fields[4]
        except (ValueError, IndexError):
            table.problems.append(Problem(str(path), line, "expected: file channel begin duration word [confidence]"))
            continue
        if under_way and (under_way[-1][1:3] != (file, channel) or start - under_way[-1][4] >= _PAUSE_SECONDS):
            end_utterance()
        under_way.append((line, file, channel, start, start + seconds, word))
    end_utterance()
    return table


def _audio_beside(path: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(path.parent.iterdir()) if file.suffix.lower() in RECORDING_SUFFIXES}


def _add(
    table: Table, line: int, file: str, audio: dict[str, Path], start: str, end: str, channel: str, speaker: str, text: str
) -> None:
    name = str(audio[file].name) if file in audio else f"{file}.wav"
    values = (f"{file}-{channel}-{start}", name, start, end, _CHANNELS.get(channel, channel), speaker, text)
    for column, value in zip(table.columns.values(), values, strict=True):
        column.append(value)
    table.lines.append(line)
