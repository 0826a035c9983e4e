"""Engines that need no model: they read what a file says, and misbehave as its name says."""

import errno
import os
import time
from pathlib import Path

from speechxfer.errors import AudioError
from speechxfer.transcript import Segment, Transcript


class Reader:
    """Gives what stands in each file as its transcript."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def transcribe_all(self, recordings):
        for path in recordings:
            time.sleep(self._seconds)
            name = Path(path).name
            if "poison" in name:
                os._exit(1)
            if "bad" in name:
                yield AudioError(f"{path}: cannot be read")
            else:
                yield Transcript("", 1.0, (Segment(Path(path).read_text(), 0.0, 1.0, 0.9),))


class SlowOnOneNode(Reader):
    """Takes its time on one node, and notes where each file was read."""

    def __init__(self, node: str, notes: str) -> None:
        import ray

        here = ray.get_runtime_context().get_node_id()
        super().__init__(1.0 if here == node else 0.05)
        self._note = Path(notes) / here

    def transcribe_all(self, recordings):
        for result in super().transcribe_all(recordings):
            with self._note.open("a") as file:
                file.write(".")
            yield result


class OnFullDisk(Reader):
    """Lets the disk run full, once some transcripts are written, for as long as a file is there."""

    def __init__(self, full: str) -> None:
        from speechxfer.data import storage

        super().__init__()
        written, real = [0], os.fsync

        def fsync(number):
            written[0] += 1
            if written[0] > 7 and Path(full).exists():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(number)

        storage.os = type("Os", (), {**vars(os), "fsync": staticmethod(fsync)})
