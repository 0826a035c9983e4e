"""What a user names in; the recordings, and where the transcript of each goes, out."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from speechxfer.data import RECORDING_SUFFIXES, is_remote, list_files, match_files, read_manifest
from speechxfer.errors import DataError, Problem

_MANIFEST = re.compile(r"\.(csv|tsv|jsonl)(\[[^\[\]]*\])?$", re.IGNORECASE)


@dataclass(frozen=True)
class Recording:
    """A file or URL, and its place in the tree that it was found in.

    Attributes
    ----------
    path
        Where it is.
    place
        In the tree.
    text
        What is said in it, where a manifest tells.
    """

    path: Path | str
    place: PurePath
    text: str | None = None

    def transcript(self, output_format: str) -> PurePath:
        """Give the place of its transcript: in the same tree, the whole name kept, so that no two meet."""
        return self.place.with_name(f"{self.place.name}.{output_format}")


def find_recordings(names: Sequence[str]) -> list[Recording]:
    """Find the recordings meant by files, directories and patterns, on the disk or at a URL.

    Parameters
    ----------
    names
        A directory means all audio and video files in and under it; `*`, `?`, `[...]` and `**` are patterns unless a file has
        that very name. A manifest (`calls.csv`, `calls.jsonl[split=test]`) means the files that it lists.

    Returns
    -------
    list of Recording
        In the order named, within directories and patterns by name; each once. Files that do not exist are among them, for
        whoever reads them to say so.

    Raises
    ------
    DataError
        With all names in which there is nothing, and all that is wrong with manifests.
    StorageError
        If a storage cannot be reached.
    """
    found: dict[Path | str, Recording] = {}
    problems: list[Problem] = []
    for name in names:
        try:
            here = _listed_in(name) if _MANIFEST.search(name) else _found_by(name)
        except DataError as error:
            problems += error.problems
            continue
        if not here:
            what = "no file matches this pattern" if _is_pattern(name) else "no audio or video file in this directory"
            problems.append(Problem(name, None, what))
        for recording in here:
            found.setdefault(recording.path, recording)
    if problems:
        raise DataError(problems)
    return [*found.values()]


def refuse_same_places(recordings: Sequence[Recording]) -> None:
    """See to it that every recording has a place of its own to write to.

    Parameters
    ----------
    recordings
        All that are to be written into one directory.

    Raises
    ------
    DataError
        With all that would be written over another.
    """
    first: dict[PurePath, Recording] = {}
    problems = []
    for one in recordings:
        if (other := first.setdefault(one.place, one)) is not one:
            what = f"its transcript would take the place of that of {other.path}; give each an --out of its own"
            problems.append(Problem(str(one.path), None, what))
    if problems:
        raise DataError(problems)


def _listed_in(name: str) -> list[Recording]:
    """Find the recordings that a manifest lists, each of them whole."""
    manifest = read_manifest(name)
    named = manifest.columns["audio"]
    what = "a part of a recording; a manifest to transcribe lists whole ones (see --channels; `evaluate` takes parts)"
    parts = [
        manifest.problem(row, what)
        for row, utterance in enumerate(manifest)
        if utterance.start or utterance.end is not None or utterance.channel is not None
    ]
    if parts:
        raise DataError(parts)
    paths = [str(utterance.audio) for utterance in manifest]
    return [
        Recording(path if is_remote(path) else Path(path), _inside(audio), utterance.text)
        for path, audio, utterance in zip(paths, named, manifest, strict=True)
    ]


def _inside(name: str) -> PurePath:
    """Give the place of a file that a manifest names: its own where that stays below the manifest."""
    place = PurePath(name)
    return PurePath(place.name) if place.is_absolute() or is_remote(name) or ".." in place.parts else place


def _found_by(name: str) -> list[Recording]:
    return _found_at(name) if is_remote(name) else _found_on_disk(name)


def _found_at(url: str) -> list[Recording]:
    """Find recordings in somebody else's storage, which knows prefixes rather than directories."""
    root = _root(url) if _is_pattern(url) else url.rstrip("/")
    if not _is_pattern(url) and PurePath(url).suffix.lower() in RECORDING_SUFFIXES:
        return [Recording(url, PurePath(PurePath(url).name))]
    files = match_files(url) if _is_pattern(url) else list_files(root)
    return [
        Recording(file, PurePath(file.removeprefix(root).lstrip("/")))
        for file in files
        if PurePath(file).suffix.lower() in RECORDING_SUFFIXES
    ]


def _found_on_disk(name: str) -> list[Recording]:
    path = Path(name)
    if path.is_dir():
        return [Recording(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if _is_recording(file)]
    if path.exists() or not glob.has_magic(name):
        return [Recording(path, PurePath(path.name))]
    files = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    root = Path(_root(name) or ".")
    return [Recording(file, file.relative_to(root) if root != Path() else file) for file in files if _is_recording(file)]


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not Path(name).exists()


def _root(pattern: str) -> str:
    """Give the directory of a pattern that all it can find lies in."""
    return pattern[: min(pattern.index(sign) for sign in "*?[" if sign in pattern)].rpartition("/")[0]


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in RECORDING_SUFFIXES and path.is_file()
