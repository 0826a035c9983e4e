"""Features by key in a folder: `Features` in, the same `Features` out in the storage precision, whole or not at all.

`features-N.bin` holds raw frames one after the other; `index` holds a record of fixed size for each, with checksums, written once
the frames are on the disk. So a record exists or does not, whenever a process is killed. One process writes, any number read.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import torch
from filelock import FileLock, Timeout

from speechxfer.errors import StoreError
from speechxfer.models import Features

KEY_BYTES = 32
_MAGIC = b"speechxfer2\0"
_HEADER = struct.Struct("<12sI")  # magic, number of the data file
# key, offset, frames, width, input length, dtype, checksum of the frames
_ENTRY = struct.Struct(f"<{KEY_BYTES}sQIIIII")
_CHECKSUM = struct.Struct("<I")  # of what stands before it
_HEADER_BYTES, _RECORD_BYTES = (layout.size + _CHECKSUM.size for layout in (_HEADER, _ENTRY))
_ATTEMPTS = 5
_SAMPLES = 0  # the width of what has none: samples as they are, where nothing is frozen
_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class _Entry:
    """Where a key's frames lie, and what they must be."""

    offset: int
    frames: int
    width: int
    input_length: int
    dtype: int
    checksum: int

    @property
    def num_bytes(self) -> int:
        return self.frames * max(self.width, 1) * _DTYPES[self.dtype].itemsize

    def pack(self, key: bytes) -> bytes:
        values = (self.offset, self.frames, self.width, self.input_length, self.dtype, self.checksum)
        return _with_checksum(_ENTRY.pack(key, *values))


class RecordFile:
    """Keeps features in a folder.

    Parameters
    ----------
    directory
        Made if missing; its files are readable by their owner only.
    dtype
        Storage precision of what is put: `float16`, `bfloat16` or `float32`.

    Attributes
    ----------
    is_writer
        False if another process writes there; then nothing may be put.

    Raises
    ------
    StoreError
        If the folder cannot be used, or holds something else.
    """

    def __init__(self, directory: str | Path, dtype: str) -> None:
        self._directory = Path(directory)
        self._dtype = _DTYPES.index(getattr(torch, dtype))
        with self._saying_which():
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(self._directory / "lock", mode=0o600)
            self.is_writer = self._take_lock()
            if self.is_writer and not self._index.exists():
                self._write_index(0, {})
            self._open()

    @contextmanager
    def _saying_which(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"{self._directory}: this feature store cannot be read or written: {error}"
            raise StoreError(f"{what}; free some space, give another store.directory, or none") from None

    @property
    def _index(self) -> Path:
        return self._directory / "index"

    def _data_path(self, number: int) -> Path:
        return self._directory / f"features-{number}.bin"

    def _take_lock(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def _open(self) -> None:
        """Read the index; as the writer, cut off what a kill left half-written."""
        self._open_data()
        self._index_bytes = _HEADER_BYTES
        self._entries: dict[bytes, _Entry] = {}
        self._sound: set[bytes] = set()  # whose checksum was seen to be right
        self._map: mmap.mmap | None = None
        self._read_index()
        self._end = max((entry.offset + entry.num_bytes for entry in self._entries.values()), default=0)
        if self.is_writer:
            # The data file is not cut: what lies behind its end is overwritten, and a reader may have it in its memory.
            os.truncate(self._index, self._index_bytes)
            for path in {*self._directory.glob("features-*.bin")} - {self._data_path(self._number)}:
                path.unlink()

    def _open_data(self) -> None:
        """Open the data file that the index names; a reader may have to look again, if another process prunes just then."""
        flags = os.O_RDWR | os.O_CREAT if self.is_writer else os.O_RDONLY
        for attempt in range(_ATTEMPTS):
            self._number = self._read_number()
            try:
                # Kept open: a reader can go on with it after another process has pruned the store.
                self._data = os.fdopen(os.open(self._data_path(self._number), flags, 0o600), "r+b" if self.is_writer else "rb")
                return
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise

    def _read_number(self) -> int:
        with self._index.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if len(header) != _HEADER_BYTES or header != _header(_HEADER.unpack(header[: _HEADER.size])[1]):
            raise StoreError(f"{self._index}: not the index of a feature store; remove {self._directory} to begin anew")
        return int(_HEADER.unpack(header[: _HEADER.size])[1])

    def _read_index(self) -> None:
        """Take in the records written since the last time, up to the first that is not whole."""
        with self._index.open("rb") as file:
            if file.read(_HEADER_BYTES) != _header(self._number):
                return  # pruned by another process: what was read before stays readable, the rest is not for us
            file.seek(self._index_bytes)
            while len(record := file.read(_RECORD_BYTES)) == _RECORD_BYTES and _is_sound(record):
                key, *values = _ENTRY.unpack(record[: _ENTRY.size])
                self._entries[key] = _Entry(*values)
                self._index_bytes += _RECORD_BYTES

    def __len__(self) -> int:
        """Give the number of keys."""
        return len(self._entries)

    def __iter__(self) -> Iterator[bytes]:
        """Give the keys."""
        return iter(list(self._entries))

    def __contains__(self, key: bytes) -> bool:
        """Tell whether a key is held, undamaged; what another process has written meanwhile counts."""
        if key not in self._entries and not self.is_writer:
            self._read_index()
        if key in self._entries and key not in self._sound:
            if self._is_damaged(self._entries[key]):
                del self._entries[key]
            else:
                self._sound.add(key)
        return key in self._entries

    @property
    def num_bytes(self) -> int:
        """Size of all frames held."""
        return sum(entry.num_bytes for entry in self._entries.values())

    def put(self, features: Mapping[bytes, Features]) -> None:
        """Append features by key: first the frames, then, once these are on the disk, their records.

        Parameters
        ----------
        features
            By keys of 32 bytes, their frames `[frames, width]`; where nothing is frozen, of some models, samples `[samples]`.

        Raises
        ------
        StoreError
            If the disk does not take them; those before stay.
        """
        entries: dict[bytes, _Entry] = {}
        end = self._end
        with self._saying_which():
            self._data.seek(end)
            for key, item in features.items():
                frames = item.frames.detach().to("cpu", _DTYPES[self._dtype]).contiguous()
                raw = frames.view(torch.uint8).numpy().tobytes()
                width = frames.shape[1] if frames.dim() > 1 else _SAMPLES
                entries[key] = _Entry(end, len(frames), width, item.input_length, self._dtype, zlib.crc32(raw))
                self._data.write(raw)
                end += len(raw)
            _sync(self._data)
            with self._index.open("r+b") as file:
                file.seek(self._index_bytes)
                file.write(b"".join(entry.pack(key) for key, entry in entries.items()))
                _sync(file)
                self._index_bytes = file.tell()
        self._end = end
        self._entries |= entries
        self._sound |= entries.keys()

    def get(self, key: bytes) -> Features:
        """Give a copy of the features of a key that is held, in the precision they were stored in; a KeyError says it is not."""
        entry = self._entries[key]
        frames = torch.frombuffer(self._raw(entry), dtype=_DTYPES[entry.dtype])
        return Features(frames if entry.width == _SAMPLES else frames.view(entry.frames, entry.width), entry.input_length)

    def damaged(self) -> list[bytes]:
        """Give the keys whose frames are not what was written."""
        return [key for key, entry in self._entries.items() if self._is_damaged(entry)]

    def prune(self, keep: Collection[bytes]) -> int:
        """Copy what is kept into a new file and delete the old one; readers keep what they have open. For the writer only.

        Parameters
        ----------
        keep
            Keys.

        Returns
        -------
        int
            The bytes freed.

        Raises
        ------
        StoreError
            If the disk does not take the new file; all that was held stays.
        """
        before = self._end
        kept: dict[bytes, _Entry] = {}
        position = 0
        path = self._data_path(self._number + 1)
        with self._saying_which():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for key in [key for key in self if key in keep and key in self]:
                    entry = self._entries[key]
                    file.write(self._raw(entry))
                    kept[key] = replace(entry, offset=position)
                    position += entry.num_bytes
                _sync(file)
            self._write_index(self._number + 1, kept)
            self._data.close()
            self._open()
        return before - self._end

    def close(self) -> None:
        """Let others write."""
        self._data.close()
        if self.is_writer:
            self._lock.release()

    def _write_index(self, number: int, entries: dict[bytes, _Entry]) -> None:
        beside = self._index.with_suffix(".part")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_header(number))
            file.writelines(entry.pack(key) for key, entry in entries.items())
            _sync(file)
        beside.replace(self._index)

    def _is_damaged(self, entry: _Entry) -> bool:
        raw = self._raw(entry)
        return len(raw) != entry.num_bytes or zlib.crc32(raw) != entry.checksum

    def _raw(self, entry: _Entry) -> bytearray:
        end = entry.offset + entry.num_bytes
        if self._map is None or len(self._map) < end:
            if os.fstat(self._data.fileno()).st_size < end:
                return bytearray()
            self._map = mmap.mmap(self._data.fileno(), 0, access=mmap.ACCESS_READ)
        return bytearray(self._map[entry.offset : end])


def _header(number: int) -> bytes:
    return _with_checksum(_HEADER.pack(_MAGIC, number))


def _with_checksum(data: bytes) -> bytes:
    return data + _CHECKSUM.pack(zlib.crc32(data))


def _is_sound(data: bytes) -> bool:
    return _with_checksum(data[: -_CHECKSUM.size]) == data


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
