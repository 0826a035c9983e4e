"""A Pipecat pipeline that listens with a model of your own; here to a file, as if somebody were speaking to it.

    python examples/pipecat_bot.py [MODEL [AUDIO [SPEED]]]

Without arguments: the customer in the first 16 s of the package's call, eight times as fast as it was spoken. In your own bot a
transport takes the place of the frames that are queued here, and behind the service stand the aggregators, an LLM and a TTS.
"""

import asyncio
import sys
from importlib.resources import files

import numpy as np
import soundfile
from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from speechxfer.integrations import PipecatSTTService


class Printer(FrameProcessor):
    """Prints what is heard."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Print a text, and pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterimTranscriptionFrame | TranscriptionFrame):
            print("said:" if isinstance(frame, TranscriptionFrame) else "   …", frame.text)
        await self.push_frame(frame, direction)


async def main(model: str, samples: np.ndarray, rate: int, speed: float) -> None:
    """Run a pipeline without a transport."""
    worker = PipelineWorker(Pipeline([PipecatSTTService(model), Printer()]), enable_rtvi=False)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def begin(worker: PipelineWorker, frame: Frame) -> None:
        started.set()

    async def speak() -> None:
        await started.wait()
        for first in range(0, len(samples), rate // 50):
            await worker.queue_frame(InputAudioRawFrame(samples[first : first + rate // 50].tobytes(), rate, 1))
            await asyncio.sleep(0.02 / speed)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), speak())


model, audio, speed = [*sys.argv[1:], *("tiny", str(files("speechxfer") / "assets/demo/call.flac"), "8")[len(sys.argv) - 1 :]]
samples, rate = soundfile.read(audio, dtype="int16", always_2d=True)
if len(sys.argv) == 1:
    samples = samples[: 16 * rate, 1:]
asyncio.run(main(model, np.ascontiguousarray(samples[:, 0]), rate, float(speed)))
