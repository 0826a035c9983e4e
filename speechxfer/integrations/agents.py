"""What the frameworks of agents need alike: a model that listens, and their frames as a call takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from speechxfer.calls import Batcher, CallSession
from speechxfer.errors import SpeechxferError
from speechxfer.models import SpeechModel
from speechxfer.transcription import Recogniser


def open_model(model: Batcher | SpeechModel | str | Path, options: Mapping[str, Any]) -> tuple[Batcher, str]:
    """Have a model ready, and say what is wrong before anybody speaks.

    Parameters
    ----------
    model
        What several agents of a process share; or a model, or its directory, for one alone.
    options
        Of the calls that it is to listen to, see `CallSession`.

    Returns
    -------
    Batcher
        The one that was given, or a new one, which is for the caller to close.
    str
        Its name: that of the directory, or of the model's family.

    Raises
    ------
    ModelError
        If the model is none, or writes no text.
    DataError
        With all that is wrong with the hotwords.
    """
    batcher = model if isinstance(model, Batcher) else Batcher(Recogniser(model))
    try:
        CallSession(batcher, **options)
    except SpeechxferError:
        if batcher is not model:
            batcher.close()
        raise
    return batcher, Path(model).name if isinstance(model, str | Path) else batcher.model.family.name


def mono_pcm16(data: bytes | memoryview, num_channels: int) -> bytes:
    """Give the mean of the channels of 16-bit samples, which follow each other in turn; little-endian both ways."""
    samples = np.frombuffer(data, dtype="<i2").reshape(-1, num_channels)
    return samples.mean(axis=1).astype("<i2").tobytes()
