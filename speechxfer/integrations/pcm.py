"""What agents' frameworks give in frames, as a call takes it."""

from __future__ import annotations

import numpy as np


def mono_pcm16(data: bytes | memoryview, num_channels: int) -> bytes:
    """Give the mean of the channels of 16-bit samples, which follow each other in turn; little-endian both ways."""
    samples = np.frombuffer(data, dtype="<i2").reshape(-1, num_channels)
    return samples.mean(axis=1).astype("<i2").tobytes()
