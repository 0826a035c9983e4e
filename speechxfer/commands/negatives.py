"""Labelled commands in; the same with rows of what is no command out, so that a classification head learns to say so.

Stretches are as long as the commands of their set, since length alone must not give a label away.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from speechxfer.commands.features import speech_in
from speechxfer.commands.near_misses import near_misses
from speechxfer.data import VAD_RATE, Manifest, draw_stretches, load_audio
from speechxfer.errors import DataError, Problem

UNKNOWN, SILENCE = "unknown", "silence"
_UNKNOWN_COMMANDS = 2
_COLUMNS = ("id", "audio", "start", "end", "channel", "label", "duration", "speaker", "split")

Row = dict[str, str]


def add_negatives(
    commands: Manifest, folder: Path, *, unknown: Manifest | None = None, silence: Manifest | None = None, seed: int = 0
) -> Manifest:
    """Add rows labelled `unknown`, and `silence` if there is a recording of it, to every set.

    Parameters
    ----------
    commands
        Checked, with labels; its column `split`, if it has one, names the sets.
    folder
        Where near-misses are written: commands played backwards and their halves.
    unknown
        Checked recordings of speech without any command, of any length: half of the unknown rows are stretches of it. Without it
        all are near-misses. Where `commands` has sets, it needs the same ones.
    silence
        The same, of whatever is heard while nobody speaks.
    seed
        Of what is drawn.

    Returns
    -------
    Manifest
        The given rows, then in each set as many `unknown` ones as two commands have on average, and as many `silence` ones as
        one: with more, commands themselves are taken for unknown.

    Raises
    ------
    DataError
        If a set of `commands` has no rows in the others, or a label is one of the two names already.
    AudioError
        If a file cannot be read.
    """
    sets = list(dict.fromkeys(commands.columns.get("split", [""])))
    given = {UNKNOWN: unknown, SILENCE: silence}
    _refuse(commands, sets, {name: recordings for name, recordings in given.items() if recordings is not None})
    random = np.random.default_rng(seed)
    rows = _rows_of(commands)
    for name in sets:
        spoken = _of_set(commands, name)
        lengths = [float(seconds) for seconds in spoken.columns["duration"]]
        as_many = len(spoken) / len(set(spoken.columns["label"]))  # as a command has
        count = min(round(_UNKNOWN_COMMANDS * as_many), len(spoken))
        talk = count // 2 if unknown is not None else 0
        made = [*_misses(spoken, folder / f"near-miss-{name}", count - talk, random)]
        if unknown is not None:
            made += _rows_of(draw_stretches(_of_set(unknown, name), lengths, talk, random))
        rows += _labelled(made, UNKNOWN, name)
        if silence is not None:
            quiet = draw_stretches(_of_set(silence, name), lengths, round(as_many), random)
            rows += _labelled(_rows_of(quiet), SILENCE, name)
    columns = {name: [row.get(name, "") for row in rows] for name in dict.fromkeys((*commands.columns, *_COLUMNS))}
    return Manifest(columns, commands.source, [*commands.lines, *[0] * (len(rows) - len(commands))])


def _refuse(commands: Manifest, sets: list[str], others: dict[str, Manifest]) -> None:
    problems = []
    for name, recordings in others.items():
        for lacking in [one for one in sets if one and not len(_of_set(recordings, one))]:
            what = f"no rows of split {lacking!r} for {name!r}: `speechxfer manifest IN OUT --split-by speaker` makes sets"
            problems.append(Problem(recordings.source, None, what))
    taken = {UNKNOWN, SILENCE} & set(commands.columns["label"])
    problems += [Problem(commands.source, None, f"there are rows with the label {name!r} already") for name in sorted(taken)]
    if problems:
        raise DataError(problems)


def _of_set(manifest: Manifest, name: str) -> Manifest:
    return manifest.where(split=name) if name else manifest


def _rows_of(manifest: Manifest) -> list[Row]:
    """Give all that is known of each row, its audio by a name that holds anywhere."""
    return [
        {name: column[row] for name, column in manifest.columns.items()} | {"audio": str(utterance.audio)}
        for row, utterance in enumerate(manifest)
    ]


def _misses(spoken: Manifest, stem: Path, count: int, random: np.random.Generator) -> Iterator[Row]:
    """Write near-misses of so many commands, which are drawn."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(random.permutation(len(spoken))[:count]):
        command = spoken[int(row)]
        misses = near_misses([speech_in(command)])
        samples = load_audio(misses[random.integers(len(misses))], VAD_RATE)
        path = stem.with_name(f"{stem.name}{number:05d}.wav").absolute()
        soundfile.write(path, samples, VAD_RATE)
        speaker = command.fields.get("speaker", "")
        yield {"audio": str(path), "duration": f"{len(samples) / VAD_RATE:.3f}", "speaker": speaker}


def _labelled(rows: list[Row], label: str, split: str) -> Iterator[Row]:
    for number, row in enumerate(rows):
        yield row | {"id": f"{label}-{split}{number:05d}", "label": label, "split": split}
