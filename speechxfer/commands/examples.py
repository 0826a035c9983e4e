"""Where a user keeps examples in, a manifest with `audio` and `label` out: a folder per command, or a manifest as it is."""

from __future__ import annotations

from pathlib import Path

from speechxfer.data import Manifest, check_sets, parse_manifest
from speechxfer.errors import DataError, Problem

MOST_EXAMPLES = 500  # of a command; more is what `finetune` is for


def read_examples(source: str | Path) -> Manifest:
    """Read and check examples of commands.

    Parameters
    ----------
    source
        A directory with a folder of audio files for each command, named as it is, or a manifest as `parse_manifest` reads it.

    Returns
    -------
    Manifest
        With `label` and `duration`; at least two commands.

    Raises
    ------
    DataError
        With all that is wrong, the audio files' headers included.
    """
    manifest = _from_folders(Path(source)) if Path(source).is_dir() else parse_manifest(source)
    checked, _ = check_sets({"examples": manifest}, "classification")
    examples = checked["examples"]
    labels = examples.columns["label"]
    counts = {label: labels.count(label) for label in dict.fromkeys(labels)}
    problems = [
        Problem(str(source), None, f"{count} examples of {label!r}, expected {MOST_EXAMPLES} at most; train on so many")
        for label, count in counts.items()
        if count > MOST_EXAMPLES
    ]
    if len(counts) < 2:
        problems.append(Problem(str(source), None, f"examples of {len(counts)} command, expected two commands or more"))
    if problems:
        raise DataError(problems)
    return examples


def _from_folders(directory: Path) -> Manifest:
    files = sorted(
        path
        for path in directory.glob("*/*")
        if path.is_file() and not path.name.startswith(".") and not path.parent.name.startswith(".")
    )
    if not files:
        raise DataError([Problem(str(directory), None, "no file in any folder below it, expected a folder per command")])
    columns = {
        "id": [str(path.relative_to(directory)) for path in files],
        "audio": [str(path.relative_to(directory)) for path in files],
        "label": [path.parent.name for path in files],
    }
    # There are no lines to name: messages name the file.
    return Manifest(columns, str(directory / "*"), [0] * len(files))
