"""The batcher: company changes no answer, the urgent go first, an error reaches who asked, and closing answers everybody."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from speechxfer.calls import Batcher
from speechxfer.calls.batcher import Urgency
from speechxfer.transcription import Stretch


class Counting:
    """Answers with the number of samples; remembers its batches; can be held up."""

    model, frame_seconds, batch_seconds = SimpleNamespace(writes=True), 0.02, 4.0

    def __init__(self):
        self.batches = []
        self.writings = []
        self.free = threading.Event()

    def answers(self, stretches, writing):
        assert self.free.wait(10)
        self.writings.append(dict(writing))
        self.batches.append([len(stretch.samples) for stretch in stretches])
        if any(len(stretch.samples) == 13 for stretch in stretches):
            raise RuntimeError("unlucky")
        return self.batches[-1]


def stretch(num_samples):
    return Stretch(0, 0.0, np.zeros(num_samples, dtype=np.float32))


@pytest.fixture
def counting():
    return Counting()


@pytest.fixture
def batcher(counting):
    batcher = Batcher(counting)
    yield batcher
    counting.free.set()
    batcher.close()


def occupy(batcher):
    batcher.submit(stretch(5 * 16_000), lambda answer: answer, Urgency.FINAL)
    while batcher.waiting_seconds:
        pass


def test_who_wants_it_written_otherwise_is_answered_apart(counting, batcher):
    occupy(batcher)
    prompted = {"prompt": "router"}
    asked = [batcher.submit(stretch(number), lambda answer: answer, Urgency.FILE, prompted) for number in (1, 2)]
    asked.append(batcher.submit(stretch(3), lambda answer: answer, Urgency.FILE))
    counting.free.set()
    assert [future.result(10) for future in asked] == [1, 2, 3]
    assert counting.batches[1:] == [[1, 2], [3]] and counting.writings[1:] == [prompted, {}]


def test_what_waits_is_one_batch_with_the_urgent_first(counting, batcher):
    occupy(batcher)
    asked = {}
    for urgency, seconds in ((Urgency.FILE, 1), (Urgency.PARTIAL, 1), (Urgency.FINAL, 2), (Urgency.FILE, 2)):
        asked[seconds, urgency] = batcher.submit(stretch(seconds * 16_000), lambda answer: answer / 16_000, urgency)
    counting.free.set()
    assert all(future.result(10) == seconds for (seconds, _), future in asked.items())
    # At most four seconds, but never nothing; and though a second of a file had room beside the calls, they do not wait for it.
    assert counting.batches == [[80_000], [32_000, 16_000], [16_000, 32_000]]


def test_an_error_reaches_who_asked_and_nobody_after(counting, batcher):
    counting.free.set()
    with pytest.raises(RuntimeError, match="unlucky"):
        batcher.submit(stretch(13), lambda answer: answer, Urgency.FINAL).result(10)
    with pytest.raises(ZeroDivisionError):
        batcher.submit(stretch(14), lambda answer: answer / 0, Urgency.FINAL).result(10)
    assert batcher.answers([stretch(15), stretch(16)]) == [15, 16]


def test_other_work_is_done_on_the_same_thread(counting, batcher):
    counting.free.set()
    first = batcher.submit(stretch(1), lambda _: threading.current_thread(), Urgency.FINAL).result(10)
    assert batcher.call(threading.current_thread).result(10) is first is not threading.current_thread()


def test_it_says_when_too_much_of_calls_waits(counting, batcher):
    occupy(batcher)
    for _ in range(61):
        batcher.submit(stretch(16_000), lambda answer: answer, Urgency.FILE)
    assert not batcher.overloaded and batcher.waiting_seconds == 61
    for _ in range(9):
        assert not batcher.overloaded
        batcher.submit(stretch(16_000), lambda answer: answer, Urgency.PARTIAL)
    assert batcher.overloaded


def test_closing_answers_what_waits(counting):
    batcher = Batcher(counting)
    futures = [batcher.submit(stretch(3 * 16_000), lambda answer: answer, Urgency.FILE) for _ in range(5)]
    counting.free.set()
    batcher.close()
    assert all(future.result(0) == 48_000 for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        batcher.call(print)
