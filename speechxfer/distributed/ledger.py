"""Which inputs of an archive are done: markers beside the transcripts, on any storage, so that nothing is lost or done twice.

Inputs go in batches. A batch's transcripts are written first, then its marker: a batch counts once its marker stands, and what
was written without one is removed before work goes on. Markers are made beside and renamed, or put as one object, so they are
whole; and since a batch is named by its inputs, whoever does it again writes the same files, be it a worker whose driver is gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

from speechxfer.data import exists, list_files, read_text, remove, write_whole
from speechxfer.errors import StorageError

FOLDER = "_speechxfer"


@dataclass(frozen=True)
class Input:
    """A recording of the archive: its path or URL, and its place in the tree of transcripts."""

    path: str
    place: str


@dataclass(frozen=True)
class Batch:
    """Inputs that are done together.

    Attributes
    ----------
    number
        Of its first input in the archive.
    inputs
        In order.
    run
        0 for what was never done; else the number of the run that tries again what failed, which is another batch.
    """

    number: int
    inputs: tuple[Input, ...]
    run: int = 0

    @property
    def name(self) -> str:
        """What its files are called; in order of name, shards are in order of inputs."""
        told = json.dumps([one.path for one in self.inputs]).encode()
        return f"part-{self.number:09}-{self.run:04}-{hashlib.blake2b(told, digest_size=6).hexdigest()}"

    def to_row(self) -> dict[str, str]:
        """Give it as a row of a data set."""
        return {"batch": json.dumps(asdict(self))}

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> Batch:
        """Read what `to_row` gave."""
        content = json.loads(row["batch"])
        return cls(content["number"], tuple(Input(**one) for one in content["inputs"]), content["run"])


@dataclass(frozen=True)
class Done:
    """What became of one input: seconds of audio, or the error for which there is no transcript, or not all of it."""

    path: str
    seconds: float
    error: str | None = None


@dataclass
class Attempts:
    """How often a batch was begun, and, once that is more than once, which of its inputs ended how many workers."""

    begun: int = 0
    suspect: int | None = None
    strikes: dict[str, int] = field(default_factory=dict)


class Ledger:
    """The books of one archive; each of its methods raises `StorageError` if the storage cannot be read or written.

    Parameters
    ----------
    out
        Directory or URL that transcripts are written to.

    Attributes
    ----------
    run
        Which one it is, from 1, since `open`.
    """

    def __init__(self, out: str) -> None:
        self.out = out.rstrip("/")
        self.run = 0
        self._root = f"{self.out}/{FOLDER}"

    def open(self, made: Mapping[str, str]) -> dict[str, Done]:
        """Begin a run, and remove what was left unfinished.

        Parameters
        ----------
        made
            What transcripts depend on, by name: the same as in the runs before.

        Returns
        -------
        dict
            What became of each input so far, by its path.

        Raises
        ------
        StorageError
            If the storage cannot be read or written, or holds what was made in another way.
        """
        book = f"{self._root}/begun.json"
        before: dict[str, Any] = json.loads(read_text(book)) if exists(book) else {"run": 0, "made": made}
        if other := [name for name in sorted({*made, *before["made"]}) if made.get(name) != before["made"].get(name)]:
            what = ", ".join(f"{name} {before['made'].get(name)!r}, not {made.get(name)!r}" for name in other)
            raise StorageError(f"{self.out}: the transcripts in it were made with {what}; give another --out")
        self.run = before["run"] + 1
        write_whole(book, json.dumps({"run": self.run, "made": dict(made)}) + "\n")  # whoever may not write here should know now
        marked = {PurePath(name).name for name in list_files(f"{self._root}/done")}
        for shard in list_files(f"{self._root}/shards"):
            if PurePath(shard).name not in marked:
                remove(shard)
        return {one.path: one for one in self.all_done()}

    def all_done(self) -> Iterator[Done]:
        """Give what became of all inputs so far; of one that was tried again, the last comes last."""
        for name in _by_run(list_files(f"{self._root}/done")):
            yield from _read(name)

    def shards(self) -> Iterator[list[dict[str, Any]]]:
        """Give the transcripts of each shard, as JSON objects; those of later runs come later."""
        for name in _by_run(list_files(f"{self._root}/shards")):
            yield [json.loads(line) for line in _lines(name)]

    def find(self, batch: Batch) -> list[Done] | None:
        """Give what became of a batch's inputs, if it is done."""
        name = f"{self._root}/done/{batch.name}.jsonl"
        return _read(name) if exists(name) else None

    def begin(self, batch: Batch) -> Attempts:
        """Note that a batch is begun, and give what is known of attempts before, their suspect counted."""
        name = self._attempts(batch)
        attempts = Attempts(**json.loads(read_text(name))) if exists(name) else Attempts()
        if attempts.suspect is not None:
            path = batch.inputs[attempts.suspect].path
            attempts.strikes[path] = attempts.strikes.get(path, 0) + 1
        self.note(batch, Attempts(attempts.begun + 1, None, attempts.strikes))
        return attempts

    def note(self, batch: Batch, attempts: Attempts) -> None:
        """Write down an attempt at a batch."""
        write_whole(self._attempts(batch), json.dumps(asdict(attempts)) + "\n")

    def commit(self, batch: Batch, transcripts: Mapping[str, str], lines: Sequence[str], done: Sequence[Done]) -> None:
        """Write the transcripts of a batch, its shard, and, last, its marker.

        Parameters
        ----------
        batch
            That is done.
        transcripts
            Text of each file, by its place below `out`.
        lines
            Of the shard, each with its newline.
        done
            What became of each input.
        """
        for place, text in transcripts.items():
            write_whole(f"{self.out}/{place}", text)
        shard = f"{self._root}/shards/{batch.name}.jsonl"
        write_whole(shard, "".join(lines))
        write_whole(f"{self._root}/done/{batch.name}.jsonl", "".join(json.dumps(asdict(one)) + "\n" for one in done))
        if not exists(shard):  # a driver that began just now took it for one that nobody would finish
            write_whole(shard, "".join(lines))

    def close(self, failures: Sequence[Done], summary: Mapping[str, object]) -> None:
        """Write `failures.jsonl` and `summary.json`.

        Parameters
        ----------
        failures
            Inputs with errors.
        summary
            Ready for JSON.
        """
        lines = (json.dumps({"input": one.path, "error": one.error}, ensure_ascii=False) + "\n" for one in failures)
        write_whole(f"{self.out}/failures.jsonl", "".join(lines))
        write_whole(f"{self.out}/summary.json", json.dumps(summary, indent=1) + "\n")

    def _attempts(self, batch: Batch) -> str:
        return f"{self._root}/attempts/{batch.name}.json"


def _read(name: str) -> list[Done]:
    return [Done(**json.loads(line)) for line in _lines(name)]


def _lines(name: str) -> list[str]:
    # A text may hold other characters that end a line.
    return [line for line in read_text(name).split("\n") if line]


def _by_run(names: Sequence[str]) -> list[str]:
    """Sort files of batches by their run, and within it by their inputs."""
    return sorted(names, key=lambda name: PurePath(name).name.split("-")[2::-1])
