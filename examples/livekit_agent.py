"""A LiveKit agent that listens with a model of your own; here to a file, as if somebody were speaking in its room.

    python examples/livekit_agent.py [MODEL [AUDIO [SPEED]]]

Without arguments: the customer in the first 16 s of the package's call, eight times as fast as it was spoken. In your own agent,
`LiveKitSTT` is what `AgentSession` gets as `stt`; a room takes the place of `Played`, and with an `llm` and a `tts` it answers.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib.resources import files

import numpy as np
import soundfile
from livekit import rtc
from livekit.agents import Agent, AgentSession, UserInputTranscribedEvent, UserStateChangedEvent
from livekit.agents.voice.io import AudioInput

from speechxfer.integrations import LiveKitSTT


class Played(AudioInput):
    """Gives frames of 20 ms when a microphone would, times a speed; `over` is set after the last."""

    def __init__(self, samples: np.ndarray, rate: int, speed: float) -> None:
        super().__init__(label="file")
        self.over = asyncio.Event()
        self._frames = self._play(samples, rate, speed)

    async def __anext__(self) -> rtc.AudioFrame:
        """Give the next frame."""
        return await anext(self._frames)

    async def _play(self, samples: np.ndarray, rate: int, speed: float) -> AsyncIterator[rtc.AudioFrame]:
        for first in range(0, len(samples), rate // 50):
            part = samples[first : first + rate // 50]
            yield rtc.AudioFrame(part.tobytes(), rate, 1, len(part))
            await asyncio.sleep(0.02 / speed)
        self.over.set()


async def main(model: str, samples: np.ndarray, rate: int, speed: float) -> None:
    """Start a session without a room, and print what it hears."""
    listener = LiveKitSTT(model)
    session: AgentSession[None] = AgentSession(stt=listener, vad=None, turn_handling={"turn_detection": "stt"})

    @session.on("user_input_transcribed")
    def heard(event: UserInputTranscribedEvent) -> None:
        print("said:" if event.is_final else "   …", event.transcript)

    @session.on("user_state_changed")
    def changed(event: UserStateChangedEvent) -> None:
        print(f"({event.new_state})")

    session.input.audio = played = Played(samples, rate, speed)
    await session.start(Agent(instructions="Listen."))
    await played.over.wait()
    await session.commit_user_turn(skip_reply=True)  # what is being said when the file ends is over, too
    await session.aclose()
    await listener.aclose()


model, audio, speed = [*sys.argv[1:], *("tiny", str(files("speechxfer") / "assets/demo/call.flac"), "8")[len(sys.argv) - 1 :]]
samples, rate = soundfile.read(audio, dtype="int16", always_2d=True)
if len(sys.argv) == 1:
    samples = samples[: 16 * rate, 1:]
asyncio.run(main(model, np.ascontiguousarray(samples[:, 0]), rate, float(speed)))
