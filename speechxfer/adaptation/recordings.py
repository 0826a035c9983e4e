"""A folder of recordings, or a manifest, in; a manifest out."""

from __future__ import annotations

from pathlib import Path

from speechxfer.data import Manifest, parse_manifest
from speechxfer.transcription import find_recordings


def read_recordings(source: str) -> Manifest:
    """Read what nobody need have labelled.

    Parameters
    ----------
    source
        A folder: all audio in and under it, with the folder that each lies in as the column `folder`. Or a manifest, see
        `parse_manifest`.

    Returns
    -------
    Manifest
        Rows with problems stay in it.

    Raises
    ------
    DataError
        If there is nothing in it, or it cannot be read.
    """
    if not Path(source).is_dir():
        return parse_manifest(source)
    found = find_recordings([source])
    columns = {
        "id": [str(one.place) for one in found],
        "audio": [str(Path(one.path).absolute()) for one in found],
        "folder": [str(one.place.parent) if one.place.parent.name else "" for one in found],
    }
    return Manifest(columns, source, range(1, len(found) + 1))
