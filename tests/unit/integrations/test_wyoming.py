"""A Wyoming client of the package's own against the server: what it sends is what is listened to, whatever its format."""

import asyncio
import logging
import socket
import time
from types import SimpleNamespace

import numpy as np
import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

from speechxfer.errors import AudioError
from speechxfer.integrations import answer_by, serve_wyoming, wyoming_asr

RATE = 16_000


@pytest.fixture
def server():
    """Give a function that lets a client talk to a server that answers with a function."""

    def talk(answer, client):
        async def run():
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            serving = asyncio.create_task(serve_wyoming(answer, f"tcp://127.0.0.1:{port}", language="ro"))
            for _ in range(100):
                try:
                    asyncio.get_running_loop()
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.02)
            try:
                return await asyncio.wait_for(client(port), 20)
            finally:
                serving.cancel()

        return asyncio.run(run())

    return talk


async def say(client, samples, rate=RATE, width=2, channels=1, chunk=700):
    form = {"rate": rate, "width": width, "channels": channels}
    audio = np.repeat(samples[:, None], channels, axis=1).astype({2: "<i2", 4: "<i4"}[width])
    audio = (audio * (2**16 if width == 4 else 1)).astype(audio.dtype).tobytes()
    await client.write_event(Transcribe(language="ro").event())
    await client.write_event(AudioStart(**form).event())
    step = chunk * width * channels
    for start in range(0, len(audio), step):
        await client.write_event(AudioChunk(**form, audio=audio[start : start + step]).event())
    await client.write_event(AudioStop().event())
    event = await client.read_event()
    return Transcript.from_event(event).text


def tone(rate, seconds=0.5):
    return (8000 * np.sin(2 * np.pi * 300 * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def test_what_is_sent_is_what_is_listened_to(server):
    heard = []

    def answer(samples):
        heard.append(samples)
        return f"text {len(heard)}"

    async def client(port):
        async with AsyncTcpClient("127.0.0.1", port) as one:
            forms = [{}, {"rate": 8_000, "channels": 2}, {"rate": 48_000, "width": 4}]
            return [await say(one, tone(form.get("rate", RATE)), **form) for form in forms]

    assert server(answer, client) == ["text 1", "text 2", "text 3"]
    np.testing.assert_allclose(heard[0], tone(RATE) / 32768, atol=1e-4)
    for samples in heard[1:]:
        assert samples.dtype == np.float32 and abs(len(samples) - RATE / 2) < 200
        spectrum = np.abs(np.fft.rfft(samples))
        assert abs(spectrum.argmax() * RATE / len(samples) - 300) < 5


def test_it_says_what_it_is(server):
    async def client(port):
        async with AsyncTcpClient("127.0.0.1", port) as one:
            await one.write_event(Describe().event())
            return Info.from_event(await one.read_event())

    (program,) = server(lambda samples: "", client).asr
    assert program.name == "speechxfer" and program.installed and program.models[0].languages == ["ro"]


def test_an_engine_is_asked_by_one_client_at_a_time(server):
    under_way, most = [], []

    class Engine:
        def transcribe(self, audio):
            under_way.append(None)
            most.append(len(under_way))
            time.sleep(0.1)
            under_way.pop()
            return SimpleNamespace(text=f"{len(audio.samples)}")

    async def client(port):
        async with AsyncTcpClient("127.0.0.1", port) as one, AsyncTcpClient("127.0.0.1", port) as other:
            return await asyncio.gather(say(one, tone(RATE, 0.2)), say(other, tone(RATE, 0.4)))

    assert server(answer_by(Engine()), client) == ["3200", "6400"] and most == [1, 1]


def test_one_client_s_fault_is_not_another_s(server, monkeypatch, caplog):
    monkeypatch.setattr(wyoming_asr, "MAX_SECONDS", 0.25)
    lengths = []

    def answer(samples):
        lengths.append(len(samples))
        if not samples.size:
            raise AudioError("no samples")
        return "fine"

    async def client(port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\xff\x00 no such protocol\n" * 50)
        writer.close()
        async with AsyncTcpClient("127.0.0.1", port) as one, AsyncTcpClient("127.0.0.1", port) as other:
            empty = await say(one, tone(RATE)[:0])
            return [empty, *await asyncio.gather(say(one, tone(RATE, 0.2)), say(other, tone(RATE)))]

    with caplog.at_level(logging.WARNING):
        assert server(answer, client) == ["", "fine", "fine"]
    assert sorted(lengths) == [0, RATE // 5, RATE // 4]
    assert "nothing understood: no samples" in caplog.text and "cut off" in caplog.text
