"""Paths and URLs in; open files, listings, and text written whole, out.

A name with `://` in it is somebody else's storage (s3://, gs://, az://, memory:// ...), which fsspec reaches with the packages
and credentials that the environment has; every other name is a local path.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec

from speechxfer.errors import StorageError

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.2
_VERSIONS = ("size", "ETag", "etag", "version_id", "LastModified", "last_modified", "mtime", "created")
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
Result = TypeVar("Result")


def is_remote(name: object) -> bool:
    """Tell whether a name is a URL."""
    return "://" in str(name)


def open_file(name: str) -> BinaryIO:
    """Open a file for reading; of a remote one only the parts that are read are fetched.

    Raises
    ------
    StorageError
        If it is not there, or its storage cannot be reached.
    """
    file: BinaryIO = _patiently(name, lambda: fsspec.open(name, "rb").open())
    return file


def exists(name: str) -> bool:
    """Tell whether there is such a file.

    Parameters
    ----------
    name
        A path or a URL.

    Raises
    ------
    StorageError
        If its storage cannot be reached.
    """

    def look() -> bool:
        filesystem = _filesystem(name)
        filesystem.invalidate_cache()
        return bool(filesystem.exists(name))

    return _patiently(name, look)


def read_text(name: str) -> str:
    """Read a UTF-8 file.

    Parameters
    ----------
    name
        A path or a URL.

    Raises
    ------
    StorageError
        If it is not there or not UTF-8, or its storage cannot be reached.
    """
    data = bytes(_patiently(name, lambda: _filesystem(name).cat_file(name)))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise StorageError(f"{name}: line {line} is not UTF-8 (byte 0x{data[error.start]:02x})") from None


def write_whole(name: str, text: str) -> None:
    """Write a UTF-8 file so that whoever sees it sees all of it, and on the disk its owner only.

    Parameters
    ----------
    name
        A path or a URL; on the disk, the folder is made if it is missing.
    text
        All that is to stand in it.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    _patiently(name, lambda: _put(name, text.encode("utf-8")))


def remove(name: str) -> None:
    """Remove a file.

    Parameters
    ----------
    name
        A path or a URL.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    _patiently(name, lambda: _filesystem(name).rm_file(name))


def list_files(directory: str) -> list[str]:
    """Give all files in and under a directory, sorted, each as a name that `open_file` takes; none if it does not exist.

    On the disk hidden files are left out, such as those that `write_whole` was writing when its process ended.

    Parameters
    ----------
    directory
        A path or a URL.

    Raises
    ------
    StorageError
        If its storage cannot be reached.
    """
    if not is_remote(directory):
        return sorted(str(file) for file in Path(directory).rglob("*") if file.is_file() and not file.name.startswith("."))
    return _patiently(directory, lambda: _listed(directory, "find"))


def match_files(pattern: str) -> list[str]:
    """Give all files of a remote storage that a pattern fits, sorted, each as a URL.

    Parameters
    ----------
    pattern
        A URL with `*`, `?`, `[...]` or `**`.

    Raises
    ------
    StorageError
        If the storage cannot be reached.
    """
    return _patiently(pattern, lambda: _listed(pattern, "glob"))


def fetch(names: Sequence[str]) -> Path:
    """Copy remote files into one folder of this machine's cache, unless they are there as they are now.

    Parameters
    ----------
    names
        URLs, no two of which end alike.

    Returns
    -------
    Path
        `$XDG_CACHE_HOME/speechxfer/fetched/...`, by default below `~/.cache`; its owner's only.

    Raises
    ------
    StorageError
        If one is not there, or cannot be fetched or kept.
    """
    versions = [[name, *_patiently(name, functools.partial(_version, name))] for name in names]
    digest = hashlib.blake2b(json.dumps(versions).encode(), digest_size=16).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speechxfer" / "fetched"
    folder = cache / digest
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".") as beside:
            part = Path(beside) / digest
            part.mkdir(mode=0o700)
            for name in names:
                target = str(part / name.rpartition("/")[2])
                _patiently(name, functools.partial(_filesystem(name).get_file, name, target))
            with suppress(OSError):  # another process was faster
                part.rename(folder)
    except OSError as error:
        raise StorageError(f"{cache}: {_said(error)}") from None
    if not folder.is_dir():
        raise StorageError(f"{cache}: cannot keep what was fetched")
    return folder


def _version(name: str) -> list[str]:
    """Give what changes when a file does, as far as its storage tells."""
    filesystem = _filesystem(name)
    filesystem.invalidate_cache()
    known = filesystem.info(name)
    return [f"{key}={known[key]}" for key in _VERSIONS if known.get(key) is not None]


def _listed(name: str, how: str) -> list[str]:
    filesystem = _filesystem(name)
    filesystem.invalidate_cache()
    head = name[: name.index(str(filesystem._strip_protocol(name)).strip("/"))]
    return sorted(head + file.lstrip("/") for file in getattr(filesystem, how)(name))


def _filesystem(name: str) -> Any:
    return fsspec.core.url_to_fs(name)[0]


def _put(name: str, data: bytes) -> None:
    if is_remote(name):
        _filesystem(name).pipe_file(name, data)  # which stores of objects do wholly or not at all
        return
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    number, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.")  # several may write the same at once
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except OSError:
        Path(beside).unlink()
        raise


def _patiently(name: str, action: Callable[[], Result]) -> Result:
    """Try again what may be over in a moment, after pauses that grow and are never the same."""
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except (ImportError, ValueError) as error:
            raise StorageError(f"{name}: {error}") from None
        except Exception as error:  # each storage raises errors of its own making
            if attempt == _ATTEMPTS - 1 or isinstance(error, _FINAL) or not is_remote(name):
                raise StorageError(f"{name}: {_said(error)}") from None
            time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.5))
    raise AssertionError("the last attempt returns or raises")


def _said(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
