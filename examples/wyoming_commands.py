"""Voice commands for Home Assistant, or whatever else speaks the Wyoming protocol.

    python examples/wyoming_commands.py commands/ tcp://0.0.0.0:10300     # what `speechxfer commands enrol` wrote; until Ctrl-C
    python examples/wyoming_commands.py                                   # tries itself on the package's demo

In Home Assistant: Settings, Devices & services, Add integration, Wyoming Protocol; then choose `speechxfer` as the speech-to-text
of a voice assistant. What is no command comes back as an empty text.
"""

import asyncio
import socket
import sys
from importlib.resources import files

from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

from speechxfer import CommandRecognizer, read_manifest
from speechxfer.commands import enrol
from speechxfer.data import load_audio
from speechxfer.integrations import answer_by, serve_wyoming

RATE = 16_000
SOUND = {"rate": RATE, "width": 2, "channels": 1}


async def ask(port: int, audio: bytes) -> str:
    """Do what a satellite does with one utterance."""
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(AudioStart(**SOUND).event())
        for start in range(0, len(audio), 2048):
            await client.write_event(AudioChunk(**SOUND, audio=audio[start : start + 2048]).event())
        await client.write_event(AudioStop().event())
        while event := await client.read_event():
            if Transcript.is_type(event.type):
                return Transcript.from_event(event).text
    raise ConnectionError("the server ended the connection")


async def demo() -> None:
    """Enrol four commands from the demo's training speakers, and say them, and another word, as a speaker it never heard."""
    table = f"{files('speechxfer') / 'assets/demo/commands.csv'}"
    train, test = (read_manifest(f"{table}[split={name}]") for name in ("train", "test"))
    wanted = ("call home", "lights on", "pause", "volume up")
    examples = train.select([row for row, clip in enumerate(train) if clip.label in wanted])
    recognizer = await asyncio.to_thread(lambda: CommandRecognizer(enrol(examples, "tiny")))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = asyncio.create_task(serve_wyoming(answer_by(recognizer), f"tcp://127.0.0.1:{port}"))
    await asyncio.sleep(0.5)
    for name, clip in {clip.label: clip for clip in test}.items():
        audio = (32767 * load_audio(clip, RATE)).astype("<i2").tobytes()
        print(f"{name!r}: {await ask(port, audio)!r}")
    server.cancel()


if len(sys.argv) == 3:
    asyncio.run(serve_wyoming(answer_by(CommandRecognizer.from_pretrained(sys.argv[1])), sys.argv[2]))
else:
    asyncio.run(demo())
