"""Keys of features: everything that they depend on in, 32 bytes out. A changed cause is another key, never a stale hit.

The first half of a key is the content of the audio, so that a store can be asked for what comes from it: the bytes of a file and
which stretch of it is meant. Decoding it only to know it would cost a tenth of a small encoder's pass; what decodes is a cause
instead. Of a file elsewhere, and of samples in memory, the samples are the content.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from speechxfer.data import Utterance, Waveform, WaveformAugmenter, is_remote, load_audio
from speechxfer.errors import AudioError, StoreError
from speechxfer.features.item import Item
from speechxfer.features.record_file import KEY_BYTES
from speechxfer.models import Frontend, InferenceModel

_PACKAGES = ("torch", "torchaudio", "transformers", "numpy", "soundfile", "av")
_CODE = (
    "models/*.py",
    "data/audio.py",
    "data/augment.py",
    "data/batching.py",
    "data/effects.py",
    "data/g711.py",
    "features/prefix_runner.py",
    "features/source.py",
    "integrations/trainer.py",
)
_WRITTEN_TOGETHER = 64
_DECIMALS = 6  # of times in seconds: finer than a sample
_YOUNG_SECONDS = 2.0  # a file changed again within its clock's tick looks unchanged


def _digest(*parts: str | bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=KEY_BYTES // 2)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()


class FeatureKeys:
    """Gives the keys of items under one prefix.

    Parameters
    ----------
    split, frontend
        The model with its cut, on its device, and what makes its inputs.
    precision, dtype
        Of the computation and of storage.
    augmenter
        Makes the views; may be None if no item has a view.
    contents
        Tells the content of audio.
    """

    def __init__(
        self,
        split: InferenceModel,
        frontend: Frontend,
        precision: str,
        dtype: torch.dtype,
        augmenter: WaveformAugmenter | None,
        contents: AudioContents,
    ) -> None:
        self._rate = frontend.sampling_rate
        self._augmenter = augmenter
        self._contents = contents
        self._prefix = _causes(split, frontend.settings(), precision, dtype)

    def __call__(self, item: Item) -> bytes:
        """Give an item's key.

        Raises
        ------
        AudioError
            If its audio cannot be read.
        """
        view = "" if item.view is None or self._augmenter is None else self._augmenter.causes(item.utterance.id, item.view)
        return self._contents.digest(item.utterance, self._rate) + _digest(self._prefix, view)


class InputKeys:
    """Gives the keys of model inputs that others made, whose content stands for all that they were made of.

    Parameters
    ----------
    split
        The model with its cut, on its device.
    precision, dtype
        Of the computation and of storage.
    """

    def __init__(self, split: InferenceModel, precision: str, dtype: torch.dtype) -> None:
        self._prefix = _causes(split, "made by others", precision, dtype)

    def __call__(self, inputs: Tensor) -> bytes:
        """Give the key of one utterance's inputs, `[input positions, width]` or `[samples]`, on the CPU, unpadded."""
        return _digest(str(inputs.shape), inputs.contiguous().numpy().tobytes()) + self._prefix


def _causes(split: InferenceModel, settings: str, precision: str, dtype: torch.dtype) -> bytes:
    """Hash all that features depend on but for the audio: weights, code, and how inputs are made and computed with."""
    versions = [f"{package} {version(package)}" for package in _PACKAGES] + [soundfile.__libsndfile_version__]
    attention = str(getattr(split.model.config, "_attn_implementation", ""))
    computing = [precision, str(dtype), split.device.type, attention]
    return _digest(split.prefix_digest(), settings, *computing, *versions, _code_digest())


def content_of(key: bytes) -> bytes:
    """Give the hash of the audio that a key's features come from."""
    return key[: KEY_BYTES // 2]


@functools.cache
def _code_digest() -> bytes:
    package = Path(str(files("speechxfer")))
    sources = sorted(path for pattern in _CODE for path in package.glob(pattern))
    return _digest(*(path.read_bytes() for path in sources))


class AudioContents:
    """Hashes of audio, remembered for files that did not change.

    Parameters
    ----------
    path
        A SQLite file, made if missing, which several processes may use at once.

    Raises
    ------
    StoreError
        If it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unwritten: dict[str, tuple[str, bytes]] = {}
        self._files: dict[str, tuple[str, bytes]] = {}
        self._lock = threading.Lock()
        with self._saying_which():
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=60.0, check_same_thread=False, isolation_level=None)
            self._database.execute("CREATE TABLE IF NOT EXISTS contents (stretch TEXT PRIMARY KEY, file TEXT, digest BLOB)")

    @contextmanager
    def _saying_which(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: cannot be used: {error}; remove it, and it is made anew") from None

    def digest(self, utterance: Utterance, rate: int) -> bytes:
        """Give the hash of an utterance's audio at a rate.

        Raises
        ------
        AudioError
            If it cannot be read.
        """
        if isinstance(utterance.audio, Waveform):
            return _digest(load_audio(utterance, rate).tobytes())
        path = utterance.audio if is_remote(utterance.audio) else os.path.abspath(utterance.audio)
        stretch = json.dumps([path, utterance.start, utterance.end, utterance.channel, rate])
        file = _identity(path)
        known = self._unwritten.get(stretch)
        if known is None:
            with self._saying_which():
                known = self._database.execute("SELECT file, digest FROM contents WHERE stretch = ?", (stretch,)).fetchone()
        if known and file and file == known[0]:
            return bytes(known[1])
        digest = self._content(utterance, path, file, rate)
        # Without an identity the file is read again the next time; that it was asked for must be known to `prune`.
        unchanged = file if file == _identity(path) else ""
        with self._lock:
            self._unwritten[stretch] = unchanged, digest
        if len(self._unwritten) >= _WRITTEN_TOGETHER:
            self.write()
        return digest

    def _content(self, utterance: Utterance, path: str, file: str, rate: int) -> bytes:
        if is_remote(path):
            return _digest(load_audio(utterance, rate).tobytes())
        times = [None if time is None else round(time, _DECIMALS) for time in (utterance.start, utterance.end)]
        return _digest(self._file_digest(path, file), json.dumps([*times, utterance.channel, rate]))

    def _file_digest(self, path: str, file: str) -> bytes:
        """Hash a file, once for all its stretches."""
        known = self._files.get(path)
        if known and file and known[0] == file:
            return known[1]
        digest = _hash_file(path)
        self._files[path] = file, digest
        return digest

    def write(self) -> None:
        """Remember for good what was hashed; many at once, since each time waits for the disk."""
        with self._lock, self._saying_which():
            if self._unwritten:
                with self._database:
                    self._database.execute("BEGIN IMMEDIATE")
                    rows = [(stretch, *known) for stretch, known in self._unwritten.items()]
                    self._database.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", rows)
                self._unwritten.clear()

    def contents_of(self, utterances: Iterable[Utterance]) -> set[bytes]:
        """Give the hashes of utterances' audio, at each rate that was ever asked for; what cannot be read has none."""
        rates = {json.loads(stretch)[-1] for stretch in self._stretches()}
        return {digest for utterance in utterances for rate in rates if (digest := self._if_readable(utterance, rate))}

    def still_there(self) -> set[bytes]:
        """Give the hashes of all stretches of files that exist, as these are now."""
        known = map(json.loads, self._stretches())
        return {
            digest
            for path, start, end, channel, rate in known
            if (digest := self._if_readable(Utterance("", path, start=start, end=end, channel=channel), rate))
        }

    def forget_all_but(self, contents: Collection[bytes]) -> None:
        """Forget which files had any other content."""
        self.write()
        with self._saying_which():
            rows = self._database.execute("SELECT stretch, digest FROM contents").fetchall()
            gone = [(stretch,) for stretch, digest in rows if digest not in contents]
            self._database.executemany("DELETE FROM contents WHERE stretch = ?", gone)
            # Paths of deleted calls stay in no free page.
            self._database.execute("VACUUM")

    def _stretches(self) -> list[str]:
        self.write()
        with self._saying_which():
            return [stretch for (stretch,) in self._database.execute("SELECT stretch FROM contents").fetchall()]

    def _if_readable(self, utterance: Utterance, rate: int) -> bytes | None:
        try:
            return self.digest(utterance, rate)
        except AudioError:
            return None

    def close(self) -> None:
        """Remember what was hashed, and let go of the file."""
        self.write()
        self._database.close()


def _hash_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=KEY_BYTES // 2)).digest()
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from None


def _identity(path: str) -> str:
    """Give what tells a file from a changed one, or nothing if it may yet change unseen."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    if time.time() - max(status.st_mtime, status.st_ctime) < _YOUNG_SECONDS:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
