"""What a user names in; the recordings, and where the transcript of each goes, out."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from speechxfer.errors import DataError, Problem

# What is taken out of a directory; a file that is named itself is tried whatever its name.
_SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .alaw .amr .ape .au .avi .caf .flac .gsm .m4a .m4b .mka .mkv .mov .mp1 .mp2 .mp3 .mp4 .mpeg .mpg "
    ".oga .ogg .opus .ra .sph .spx .ts .ulaw .voc .w64 .wav .weba .webm .wma .wv".split()
)


@dataclass(frozen=True)
class Recording:
    """A file, and its place in the tree that it was found in."""

    path: Path
    place: PurePath

    def transcript(self, out: Path, output_format: str) -> Path:
        """Give the file for its transcript: the same tree under `out`, the whole name kept, so that no two meet."""
        return out / self.place.with_name(f"{self.place.name}.{output_format}")


def find_recordings(names: Sequence[str]) -> list[Recording]:
    """Find the recordings meant by files, directories and patterns.

    Parameters
    ----------
    names
        A directory means all audio and video files in and under it; `*`, `?`, `[...]` and `**` are patterns unless a file has
        that very name.

    Returns
    -------
    list of Recording
        In the order named, within directories and patterns by name; each once. Files that do not exist are among them, for
        whoever reads them to say so.

    Raises
    ------
    DataError
        With all names in which there is nothing.
    """
    found: dict[Path, Recording] = {}
    problems: list[Problem] = []
    for name in names:
        here = _found_by(name)
        if not here:
            what = "no audio or video file in this directory" if Path(name).is_dir() else "no file matches this pattern"
            problems.append(Problem(name, None, what))
        for recording in here:
            found.setdefault(recording.path, recording)
    if problems:
        raise DataError(problems)
    return [*found.values()]


def _found_by(name: str) -> list[Recording]:
    path = Path(name)
    if path.is_dir():
        return [Recording(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if _is_recording(file)]
    if path.exists() or not glob.has_magic(name):
        return [Recording(path, PurePath(path.name))]
    files = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    root = Path(name[: min(name.index(sign) for sign in "*?[" if sign in name)].rpartition("/")[0] or ".")
    return [Recording(file, file.relative_to(root) if root != Path() else file) for file in files if _is_recording(file)]


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()
