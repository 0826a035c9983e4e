"""Files made on the spot: manifests as text, and tones as WAV."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the examples of a property test may share."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a text file, line ends as given."""

    def write_text(text: str, name: str = "m.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write_text


@pytest.fixture
def tone() -> Callable[..., np.ndarray]:
    """Make `[num_samples, channels]`, each channel a sine of its own frequency."""

    def make(seconds: float, frequencies: Sequence[float] = (440.0,), rate: int = 16_000) -> np.ndarray:
        time = np.arange(round(seconds * rate)) / rate
        return 0.5 * np.stack([np.sin(2 * np.pi * frequency * time) for frequency in frequencies], axis=1).astype(np.float32)

    return make


@pytest.fixture
def wav(tmp_path: Path, tone: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """Write a tone as 16-bit WAV."""

    def write_wav(name: str, seconds: float, frequencies: Sequence[float] = (440.0,), rate: int = 16_000) -> Path:
        path = tmp_path / name
        soundfile.write(path, tone(seconds, frequencies, rate), rate)
        return path

    return write_wav
