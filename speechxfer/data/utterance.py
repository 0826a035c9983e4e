"""Utterance: one stretch of audio with what is known about it. Times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Waveform:
    """Samples in memory, which must carry their rate.

    Attributes
    ----------
    samples
        float32 `[num_samples]` or `[num_samples, channels]`, full scale at ±1.
    sampling_rate
        In Hz.

    Raises
    ------
    ValueError
        If the samples have another number of dimensions, or the rate is not positive.
    """

    samples: npt.NDArray[np.float32]
    sampling_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim not in (1, 2):
            raise ValueError(f"samples must be [num_samples] or [num_samples, channels], found shape {self.samples.shape}")
        if self.sampling_rate <= 0:
            raise ValueError(f"sampling_rate must be positive, found {self.sampling_rate}")


@dataclass(frozen=True)
class Utterance:
    """A stretch of audio with its text or label.

    Attributes
    ----------
    id
        Unique in its manifest.
    audio
        Path of the file, or samples in memory.
    start, end
        The stretch in seconds; `end` None means to the end of the file.
    channel
        Which channel, from 0; None mixes all.
    text, label
        What is said; the class. None when unknown.
    fields
        All other columns, as text.
    """

    id: str
    audio: str | Waveform
    start: float = 0.0
    end: float | None = None
    channel: int | None = None
    text: str | None = None
    label: str | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __getstate__(self) -> dict[str, object]:
        """Give what is sent to another process, which takes no read-only view."""
        return {**self.__dict__, "fields": dict(self.fields)}
