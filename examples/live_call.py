"""A two-channel recording played as a live call: 20 ms of µ-law at a time, and what is heard, while it is said.

    python examples/live_call.py [MODEL [CALL [SPEED]]]

Without arguments: the first half minute of the package's call, eight times as fast as it was spoken.
"""

import asyncio
import sys
import time
from importlib.resources import files

import numpy as np
import soundfile

from speechxfer.calls import AsyncCallSession, Batcher, EndOfTurn, Final, Partial, Redactor
from speechxfer.data import encode_ulaw, resample
from speechxfer.transcription import Recogniser

CHANNELS = ("agent", "customer")
RATE, PACKET = 8_000, 160


async def play(session: AsyncCallSession, samples: np.ndarray, speed: float) -> None:
    """Send both channels at telephone pace, times a speed."""
    start = time.monotonic()
    lines = [encode_ulaw((32767 * np.clip(channel, -1, 1)).astype(np.int16)).tobytes() for channel in samples.T]
    for first in range(0, len(samples), PACKET):
        for name, line in zip(CHANNELS, lines, strict=True):
            await session.push(name, line[first : first + PACKET], first / RATE)
        await asyncio.sleep(max(0.0, start + first / RATE / speed - time.monotonic()))
    await session.finish()


async def show(session: AsyncCallSession) -> None:
    """Print what is heard."""
    async for event in session.events():
        if isinstance(event, Partial):
            print(f"{event.end:6.2f}  {event.channel:8}  … {event.unstable}")
        elif isinstance(event, Final):
            print(f"{event.segment.end:6.2f}  {event.channel:8}  {event.segment.text}")
        elif isinstance(event, EndOfTurn):
            print(f"{event.end:6.2f}  {event.channel:8}  (end of turn)")


async def main(model: str, samples: np.ndarray, speed: float) -> None:
    """Play a call and listen to it."""
    batcher = Batcher(Recogniser(model))  # one for all calls of a process
    session = AsyncCallSession(batcher, channels=CHANNELS, redact=Redactor())
    await asyncio.gather(play(session, samples, speed), show(session))
    batcher.close()


model, call, speed = [*sys.argv[1:], *("tiny", str(files("speechxfer") / "assets/demo/call.flac"), "8")[len(sys.argv) - 1 :]]
samples, rate = soundfile.read(call, dtype="float32", always_2d=True)
if len(sys.argv) == 1:
    samples = samples[: 30 * rate]
samples = np.stack([resample(np.ascontiguousarray(channel), rate, RATE) for channel in samples.T[:2]], axis=1)
asyncio.run(main(model, samples, float(speed)))
