"""Data sets of the `datasets` library in, from the Hugging Face Hub or a directory; columns of text out; needs the extra `hub`.

Audio that a data set holds itself is written to files beside the library's own cache, once.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechxfer.data.formats.table import Table
from speechxfer.errors import DataError, Problem

if TYPE_CHECKING:
    from datasets import Dataset

PREFIX = "hub:"
_DEV = "validation"  # what Hub data sets call `dev`
# What columns are called in well-known data sets; the first one that is there is taken.
_NAMES = {
    "text": ("sentence", "transcription", "transcript"),
    "speaker": ("client_id", "speaker_id"),
    "language": ("locale",),
}


def read_hub(name: str, split: str | None = None) -> Table:
    """Load a data set.

    Parameters
    ----------
    name
        `hub:OWNER/NAME`, `hub:OWNER/NAME:CONFIG`, or `hub:` and a directory that `datasets` wrote or can load.
    split
        As the data set calls it; None for all of them, of which `validation` becomes `dev`.

    Returns
    -------
    Table
        With columns `id`, `audio` and `split`; ids begin with the split where the data set has none of its own.

    Raises
    ------
    DataError
        If `datasets` is not installed, or the data set cannot be loaded or has no column of audio.
    """
    try:
        import datasets
    except ImportError:
        raise _problem(name, "data sets of the Hub need the package datasets: pip install 'speechxfer[hub]'") from None
    place, _, config = name.removeprefix(PREFIX).partition(":")
    try:
        if (Path(place) / "state.json").is_file() or (Path(place) / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(place)
            loaded = loaded[split] if split and isinstance(loaded, datasets.DatasetDict) else loaded
        else:
            loaded = datasets.load_dataset(place, config or None, split=split)
    except Exception as error:  # of whatever kind: the network, the disk, and every loader have their own
        what = " ".join(str(error).split()) or type(error).__name__
        raise _problem(name, f"cannot load the data set: {what}") from None
    sets = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {split or "train": loaded}
    table = Table({})
    for own_name, dataset in sets.items():
        ours = "dev" if own_name == _DEV and not split else own_name
        folder = Path(datasets.config.HF_DATASETS_CACHE) / "speechxfer" / str(dataset._fingerprint)
        try:
            columns = dataset_columns(dataset, folder, id_prefix=f"{ours}:", overwrite=False)
        except DataError as error:
            raise _problem(name, error.problems[0].what) from None
        _append(table, _renamed(columns) | {"split": [ours] * len(dataset)})
    return table


def _problem(name: str, what: str) -> DataError:
    return DataError([Problem(name, None, what, skippable=False)])


def _renamed(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    ours = {}
    for name, theirs in _NAMES.items():
        found = [other for other in theirs if other in columns]
        if found and name not in columns:
            ours[found[0]] = name
    return {ours.get(name, name): values for name, values in columns.items()}


def _append(table: Table, columns: Mapping[str, list[str]]) -> None:
    before, more = len(table.lines), len(columns["audio"])
    for name in dict.fromkeys([*table.columns, *columns]):
        table.columns.setdefault(name, [""] * before).extend(columns.get(name) or [""] * more)
    table.lines.extend(array("q", range(before + 1, before + more + 1)))


def dataset_columns(
    dataset: Dataset,
    folder: Path,
    *,
    rename: Mapping[str, str] | None = None,
    id_prefix: str = "",
    overwrite: bool = True,
) -> dict[str, list[str]]:
    """Give the columns of a data set as text.

    Parameters
    ----------
    dataset
        With a column of the feature `Audio`; a `ClassLabel` becomes the name of its class.
    folder
        Where audio is written that the data set holds itself, a file for each row; made if it is needed.
    rename
        Its column to ours.
    id_prefix
        Of the ids, which are numbers of rows, where there is no column `id`.
    overwrite
        False keeps files that are there.

    Returns
    -------
    dict
        With `id` and `audio`.

    Raises
    ------
    DataError
        If there is no column of audio, or more than one; if a row has neither a file nor bytes.
    """
    import datasets

    sounds = [name for name, feature in dataset.features.items() if isinstance(feature, datasets.Audio)]
    if len(sounds) != 1:
        what = f"found {len(sounds)} columns of audio ({', '.join(sounds) or 'columns: ' + ', '.join(dataset.column_names)})"
        raise DataError([Problem("dataset", None, f"{what}, expected one; use `cast_column` with `datasets.Audio()`")])
    (sound,) = sounds
    encoded = dataset.cast_column(sound, datasets.Audio(decode=False))
    columns = {
        (rename or {}).get(name, name): [_as_text(value, feature) for value in dataset[name]]
        for name, feature in dataset.features.items()
        if name != sound
    }
    ids = columns.setdefault("id", [f"{id_prefix}{row}" for row in range(len(dataset))])
    columns["audio"] = [_file_of(row[sound], folder, number, ids, overwrite) for number, row in enumerate(encoded)]
    return columns


def _as_text(value: Any, feature: Any) -> str:
    if value is None:
        return ""
    return str(feature.int2str(value)) if hasattr(feature, "int2str") else str(value)


def _file_of(audio: Mapping[str, Any], folder: Path, number: int, ids: list[str], overwrite: bool) -> str:
    """Give the absolute path of a row's audio, written to a file if it is none."""
    path, content = audio["path"], audio["bytes"]
    if content is None:
        if not path:
            raise DataError([Problem(f"dataset[{number}]", None, f"id {ids[number]!r} has neither a file nor bytes of audio")])
        return str(Path(path).absolute())
    file = folder / f"{number:07d}{Path(path or '').suffix or '.wav'}"
    if overwrite or not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.part")
        beside.write_bytes(content)
        beside.replace(file)
    return str(file.absolute())
