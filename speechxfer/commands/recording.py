"""Examples of commands from a microphone: names in, a folder of recordings for each out. Needs the package `sounddevice`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechxfer.data import Samples
from speechxfer.errors import AudioError

RATE = 16_000
_QUIETEST = 0.01  # peak, of full scale, that a take must reach
_LOUDEST = 0.999

Microphone = Callable[[float], Samples]
"""From seconds to float32 `[num_samples]` at 16 kHz."""


def microphone() -> Microphone:
    """Give this computer's.

    Returns
    -------
    Microphone
        From seconds to float32 `[num_samples]` at 16 kHz, recorded meanwhile.

    Raises
    ------
    AudioError
        If `sounddevice` is not installed, or there is no microphone.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: there is no PortAudio
        raise AudioError(f"a microphone needs sounddevice (pip install 'speechxfer[microphone]'): {error}") from None
    device: Any = sounddevice
    try:
        device.check_input_settings(samplerate=RATE, channels=1)
    except Exception as error:  # PortAudio's errors, of several kinds
        raise AudioError(f"no microphone can be used: {error}") from None

    def record(seconds: float) -> Samples:
        taken = device.rec(round(seconds * RATE), samplerate=RATE, channels=1, dtype="float32", blocking=True)
        return np.asarray(taken, dtype=np.float32)[:, 0]

    return record


def record_commands(
    commands: Sequence[str],
    out: Path,
    take: Microphone,
    ask: Callable[[str], object],
    *,
    takes: int = 5,
    seconds: float = 2.0,
) -> list[Path]:
    """Record each command so often; a take that is silent or clipped is asked for again.

    Parameters
    ----------
    commands
        Their names, which are to be said.
    out
        Directory for a folder each; takes that are there are kept, and new ones get further numbers.
    take
        See `microphone`.
    ask
        Told what is to be said next; returns when the speaker is ready.
    takes
        Of each command.
    seconds
        Of each take.

    Returns
    -------
    list of pathlib.Path
        What was written.
    """
    written = []
    for command in commands:
        folder = out / command
        folder.mkdir(parents=True, exist_ok=True)
        number = 0
        for count in range(1, takes + 1):
            samples = _good_take(f"{command!r}, {count} of {takes}", take, ask, seconds)
            while (file := folder / f"{number:02d}.wav").exists():
                number += 1
            soundfile.write(file, samples, RATE)
            written.append(file)
    return written


def _good_take(what: str, take: Microphone, ask: Callable[[str], object], seconds: float) -> Samples:
    again = ""
    while True:
        ask(f"{again}say {what}")
        samples = take(seconds)
        peak = float(np.abs(samples).max(initial=0.0))
        if _QUIETEST <= peak <= _LOUDEST:
            return samples
        again = "nothing was heard; again: " if peak < _QUIETEST else "that was too loud; again, from further away: "
