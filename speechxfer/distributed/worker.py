"""One device's work: batches of inputs in, their transcripts written and marked as done, what became of them out.

The engine is that of a single machine. An input that ends its worker, rather than being refused by it, is found by going on
one by one, and after the second time it is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ray.util.metrics import Counter

from speechxfer.data import AudioSource
from speechxfer.distributed.ledger import Attempts, Batch, Done, Ledger
from speechxfer.errors import AudioError
from speechxfer.transcript import Transcript
from speechxfer.transcription import render

SHARDS_ONLY = "jsonl"
_STRIKES = 2


class Engine(Protocol):
    """What turns recordings into transcripts, in their order: a `Transcriber`."""

    def transcribe_all(self, recordings: Iterable[AudioSource]) -> Iterator[Transcript | AudioError]:
        """Give a transcript or an error for each."""


@dataclass(frozen=True)
class Job:
    """What is to be done, the same on every worker.

    Attributes
    ----------
    make_engine
        Loads what transcribes; called once by each worker.
    out
        Directory or URL for the transcripts.
    output_format
        Of the file for each input; shards are JSON lines, and with `jsonl` there is nothing else.
    """

    make_engine: Callable[[], Engine]
    out: str
    output_format: str


class ArchiveWorker:
    """Holds one engine.

    Parameters
    ----------
    job
        What is to be done.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._engine = job.make_engine()
        self._ledger = Ledger(job.out)
        self._files = Counter("speechxfer_recordings", "Recordings by what became of them.", ("outcome",))
        self._seconds = Counter("speechxfer_audio_seconds", "Seconds of audio transcribed.")

    def __call__(self, row: Mapping[str, str]) -> dict[str, Any]:
        """Do one batch, unless it is done already."""
        batch, begin = Batch.from_row(row), time.time()
        done = self._ledger.find(batch)
        if done is None:
            done = self._do(batch)
            for one in done:
                self._files.inc(tags={"outcome": "failed" if one.error else "done"})
            if any(one.seconds for one in done):  # the counter takes no zero
                self._seconds.inc(sum(one.seconds for one in done))
        audio = sum(one.seconds for one in done)
        failed = sum(one.error is not None for one in done)
        spent = time.time() - begin
        return {"inputs": len(done), "failed": failed, "seconds": audio, "device_seconds": spent, "begun": begin}

    def _do(self, batch: Batch) -> list[Done]:
        attempts = self._ledger.begin(batch)
        transcripts: dict[str, str] = {}
        lines: list[str] = []
        done: list[Done] = []
        for one, result in zip(batch.inputs, self._results(batch, attempts), strict=True):
            if isinstance(result, AudioError):
                done.append(Done(one.path, 0.0, str(result)))
                continue
            result = replace(result, audio=one.path)
            if self._job.output_format != SHARDS_ONLY:
                transcripts[f"{one.place}.{self._job.output_format}"] = render(result, self._job.output_format)
            lines.append(render(result, "jsonl"))
            done.append(Done(one.path, result.duration, "; ".join(result.problems) or None))
        self._ledger.commit(batch, transcripts, lines, done)
        return done

    def _results(self, batch: Batch, attempts: Attempts) -> Iterator[Transcript | AudioError]:
        if not attempts.begun:
            yield from self._engine.transcribe_all(one.path for one in batch.inputs)
            return
        for number, one in enumerate(batch.inputs):
            strikes = attempts.strikes.get(one.path, 0)
            if strikes >= _STRIKES:
                yield AudioError(f"{one.path}: left out: it ended its worker {strikes} times")
                continue
            self._ledger.note(batch, replace(attempts, begun=attempts.begun + 1, suspect=number))
            yield from self._engine.transcribe_all([one.path])
