"""Spoken-like tones enrolled on a small random encoder; speech is wherever there is sound: tones are no speech for a detector."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechxfer.commands import CommandRecognizer, Enrolment, enrol
from speechxfer.data import VAD_FRAME, Utterance, VoiceActivity, Waveform


def loudness(self: VoiceActivity, samples: np.ndarray) -> np.ndarray:
    """Say speech where a frame is loud; state is kept as by the real detector."""
    joined = np.concatenate([self._waiting, samples])
    count = len(joined) // VAD_FRAME
    self._waiting = joined[count * VAD_FRAME :]
    frames = joined[: count * VAD_FRAME].reshape(count, VAD_FRAME)
    return (np.sqrt((frames**2).mean(axis=1)) > 0.06).astype(np.float32)


@pytest.fixture
def sound_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VoiceActivity, "push", loudness)


RATE = 16_000
PITCHES = {"a": 300.0, "b": 1200.0}


def tone(frequency: float, seconds: float = 0.2, seed: int = 0) -> np.ndarray:
    """Return a tone with some noise."""
    sound = 0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)
    return (sound + np.random.default_rng(seed).normal(0, 0.01, len(sound))).astype(np.float32)


def silence(seconds: float, seed: int = 1) -> np.ndarray:
    """Return faint noise."""
    return np.random.default_rng(seed).normal(0, 0.01, int(seconds * RATE)).astype(np.float32)


def clips(number: int, seed: int) -> list[Utterance]:
    """Return so many tones of each command, by changing voices, in silence."""
    random, made = np.random.default_rng(seed), []
    for label, pitch in PITCHES.items():
        for one in range(number):
            sound = tone(pitch * random.uniform(0.95, 1.05), random.uniform(0.15, 0.3), seed + one)
            samples = np.concatenate([silence(0.4), sound, silence(0.4)])
            made.append(Utterance(f"{label}{one}", Waveform(samples, RATE), end=len(samples) / RATE, label=label))
    return made


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder per command, six tones each."""
    directory = tmp_path_factory.mktemp("commands")
    for clip in clips(6, seed=0):
        (directory / clip.label).mkdir(exist_ok=True)
        soundfile.write(directory / clip.label / f"{clip.id}.wav", clip.audio.samples, RATE)
    return directory


@pytest.fixture(scope="session")
def enrolment(small_whisper: Path, examples: Path) -> Enrolment:
    """Return both commands, enrolled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VoiceActivity, "push", loudness)
        return enrol(examples, small_whisper, device="cpu", precision="fp32")


@pytest.fixture
def unheard() -> list[Utterance]:
    """Return tones that were not enrolled."""
    return clips(4, seed=100)


@pytest.fixture
def recognizer(enrolment: Enrolment, sound_is_speech: None) -> CommandRecognizer:
    return CommandRecognizer(enrolment, device="cpu", precision="fp32")
