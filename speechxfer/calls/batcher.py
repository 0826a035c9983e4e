"""Batcher: one model for all calls and files; stretches of speech from any thread in, answers out.

What waits is answered in one batched forward. Finished stretches of calls come first, then those still being spoken, then files,
which never lengthen a batch that a call waits for. All that the model computes runs on one thread, since a forward is not for two
at once.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

from speechxfer.transcription import NOTHING_SPECIAL, Answer, Recogniser, Stretch, Writing

Result = TypeVar("Result")


class Urgency(IntEnum):
    """Who waits for an answer; the lowest goes first."""

    FINAL = 0
    PARTIAL = 1
    FILE = 2


@dataclass(order=True)
class _Job:
    urgency: Urgency
    number: int
    work: Callable[..., Any] = field(compare=False)
    stretch: Stretch | None = field(compare=False)  # None: work of another kind
    future: Future[Any] = field(compare=False)
    writing: Writing = field(compare=False)


class Batcher:
    """Shares a model.

    Parameters
    ----------
    recogniser
        The model; from now on nobody else's.
    wait_ms
        How long a stretch may wait for company when nothing else is to be done.
    max_waiting_seconds
        Of speech in calls: over this, nothing should be asked for that may be left out. Whoever asks has to wait for it.

    Attributes
    ----------
    model
        The model.
    frame_seconds
        Time between two frames of an answer.
    """

    def __init__(self, recogniser: Recogniser, *, wait_ms: float = 10.0, max_waiting_seconds: float = 8.0) -> None:
        self.model = recogniser.model
        self.frame_seconds = recogniser.frame_seconds
        self._recogniser = recogniser
        self._wait_seconds = wait_ms / 1000
        self._max_waiting = max_waiting_seconds
        self._changed = threading.Condition()
        self._jobs: list[_Job] = []
        self._number = 0
        self._waiting = dict.fromkeys(Urgency, 0.0)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="speechxfer-model", daemon=True)
        self._thread.start()

    @property
    def waiting_seconds(self) -> float:
        """Speech that waits for the model."""
        return sum(self._waiting.values())

    @property
    def overloaded(self) -> bool:
        """Whether so much of calls waits that nothing should be asked for that may be left out."""
        return self._waiting[Urgency.FINAL] + self._waiting[Urgency.PARTIAL] > self._max_waiting

    def submit(
        self, stretch: Stretch, make: Callable[[Answer], Result], urgency: Urgency, writing: Writing = NOTHING_SPECIAL
    ) -> Future[Result]:
        """Ask for an answer.

        Parameters
        ----------
        stretch
            Of speech.
        make
            Called, on the model's thread, with the answer; see `speechxfer.transcription.Answering`.
        urgency
            Who waits.
        writing
            How a decoder is to write.

        Returns
        -------
        concurrent.futures.Future
            Of what `make` gives, or of the error that it or the model raised.

        Raises
        ------
        RuntimeError
            If the batcher is closed.
        """
        return self._add(urgency, make, stretch, writing)

    def call(self, work: Callable[[], Result]) -> Future[Result]:
        """Run something on the model's thread, in the order of the calls.

        Parameters
        ----------
        work
            What to run.

        Returns
        -------
        concurrent.futures.Future
            Of what it gives, or of the error that it raised.

        Raises
        ------
        RuntimeError
            If the batcher is closed.
        """
        return self._add(Urgency.FINAL, work, None)

    def answers(self, stretches: Sequence[Stretch], writing: Writing = NOTHING_SPECIAL) -> Sequence[Answer]:
        """See `speechxfer.transcription.Answering`: what a `Transcriber` asks for, given whenever nobody more urgent waits.

        Raises
        ------
        RuntimeError
            If the batcher is closed.
        ModelError
            If there is a prompt, and the model takes none.
        """
        asked = [self.submit(one, lambda answer: answer, Urgency.FILE, writing) for one in stretches]
        return [future.result() for future in asked]

    def close(self) -> None:
        """Answer what waits, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _add(
        self, urgency: Urgency, work: Callable[..., Any], stretch: Stretch | None, writing: Writing = NOTHING_SPECIAL
    ) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            heapq.heappush(self._jobs, _Job(urgency, self._number, work, stretch, future, writing))
            self._number += 1
            self._waiting[urgency] += stretch.seconds if stretch else 0.0
            self._changed.notify_all()
        return future

    def _work(self) -> None:
        while jobs := self._take():
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            for writing in {id(job.writing): job.writing for job in jobs}.values():
                self._answer([job for job in jobs if job.writing is writing and job.stretch], writing)
            for job in jobs:
                if not job.stretch:
                    _settle(job.future, job.work)

    def _answer(self, jobs: Sequence[_Job], writing: Writing) -> None:
        try:
            answers = self._recogniser.answers([job.stretch for job in jobs if job.stretch], writing)
        except Exception as error:  # it is the askers' to handle
            for job in jobs:
                job.future.set_exception(error)
        else:
            for job, answer in zip(jobs, answers, strict=True):
                _settle(job.future, job.work, answer)

    def _take(self) -> list[_Job]:
        """Wait for jobs, and a moment for their company; give the most urgent that fit into one batch. None: it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if self.waiting_seconds < self._recogniser.batch_seconds and not self._closed:
                self._changed.wait_for(
                    lambda: self.waiting_seconds >= self._recogniser.batch_seconds or self._closed, timeout=self._wait_seconds
                )
            taken: list[_Job] = []
            seconds = 0.0
            while self._jobs:
                first = self._jobs[0]
                length = first.stretch.seconds if first.stretch else 0.0
                is_file_after_call = first.urgency is Urgency.FILE and taken and taken[0].urgency is not Urgency.FILE
                if taken and (is_file_after_call or seconds + length > self._recogniser.batch_seconds):
                    break
                taken.append(heapq.heappop(self._jobs))
                seconds += length
                self._waiting[first.urgency] = max(0.0, self._waiting[first.urgency] - length)
            return taken


def _settle(future: Future[Any], work: Callable[..., Any], *given: Any) -> None:
    try:
        future.set_result(work(*given))
    except Exception as error:  # it is the asker's to handle
        future.set_exception(error)
