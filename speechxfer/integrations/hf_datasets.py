"""`Manifest` in, `datasets.Dataset` out, and back. Audio goes as files or encoded bytes, never as decoded samples."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from speechxfer.data import Manifest, Utterance, dataset_columns, load_audio, probe
from speechxfer.errors import DataError, Problem

if TYPE_CHECKING:
    from datasets import Dataset

_STRETCH = ("start", "end", "channel")


def to_dataset(manifest: Manifest) -> Dataset:
    """Give a manifest as a data set of the `datasets` library (`pip install 'speechxfer[datasets]'`).

    Parameters
    ----------
    manifest
        Any.

    Returns
    -------
    datasets.Dataset
        Its columns as text, an unknown value None, and `audio` with the feature `Audio`: the path of a whole file; of a stretch
        or one channel of a file the samples in its own rate, as a WAV file of 32-bit floats in the row, and no `start`, `end`,
        `channel`.

    Raises
    ------
    DataError
        If `datasets` is not installed.
    AudioError
        If a file cannot be read of which a row is a part.
    """
    try:
        import datasets
    except ImportError:
        what = "the package datasets is not installed: pip install 'speechxfer[datasets]'"
        raise DataError([Problem("", None, what, skippable=False)]) from None
    columns: dict[str, Any] = {
        name: [value or None for value in values] for name, values in manifest.columns.items() if name not in _STRETCH
    }
    columns["audio"] = [_encoded(utterance) for utterance in manifest]
    made = datasets.Dataset.from_dict(columns)
    return made.cast_column("audio", datasets.Audio())


def _encoded(utterance: Utterance) -> dict[str, Any]:
    """Give an utterance as the feature `Audio` keeps it."""
    path = str(utterance.audio)
    if (utterance.start, utterance.end, utterance.channel) == (0.0, None, None):
        return {"path": path, "bytes": None}
    rate = probe(path).sampling_rate
    file = io.BytesIO()
    soundfile.write(file, load_audio(utterance, rate), rate, format="WAV", subtype="FLOAT")
    return {"path": f"{utterance.id}.wav", "bytes": file.getvalue()}


def from_dataset(dataset: Dataset, folder: str | Path, *, rename: Mapping[str, str] | None = None) -> Manifest:
    """Give a data set of the `datasets` library as a manifest.

    Parameters
    ----------
    dataset
        With a column of the feature `Audio`; a `ClassLabel` becomes the name of its class.
    folder
        Where audio is written that the data set holds itself, a file for each row; made if it is needed.
    rename
        Its column to ours, such as `{"sentence": "text", "client_id": "speaker"}`.

    Returns
    -------
    Manifest
        One row for each of its rows; without an `id` column the number of the row is its id.

    Raises
    ------
    DataError
        If there is no column of audio, or more than one; if a row has neither a file nor bytes.
    """
    columns = dataset_columns(dataset, Path(folder), rename=rename)
    return Manifest(columns, str(Path(folder) / "dataset"), range(1, len(dataset) + 1))
