"""Several processes train one model: each runs the whole program, and gradients are exchanged.

Every process prepares, evaluates and decides as the others do, from the same data and the same weights; only what the first one
writes is kept. Started by `torchrun` or `accelerate launch`, which name the processes in the environment.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_first_process() -> bool:
    """Tell whether this process writes, and talks to the user; with a single process it does."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def own_directory(out: Path, *, resume: bool) -> Iterator[Path]:
    """Give the directory that this process writes to: the first one's is the user's, the others' go with them.

    Parameters
    ----------
    out
        The user's.
    resume
        Whether the others begin with a copy of what is in it.
    """
    if is_first_process():
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="speechxfer-") as temporary:
        directory = Path(temporary) / "run"
        if resume and out.is_dir():
            shutil.copytree(out, directory)
        yield directory
