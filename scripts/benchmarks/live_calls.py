"""Live calls at telephone pace against a server: latency of partials, nothing dropped, text as of a file, memory.

    python scripts/benchmarks/live_calls.py [--channels 20] [--seconds 60] [--sessions 1000] [--quick]

A server is started as users start it (`speechxfer serve --model tiny`), on the loopback. Calls of two channels, the package's
own, each from another point, are streamed to it as Twilio does: 20 ms of µ-law in base64, each channel, in real time. Latency is
taken at the client: from sending the audio that a partial reaches up to, to its arrival. `dropped` are calls with an error and
stretches of speech, as the file has them, with no final over their middle. Then many short sessions, for what they leave behind.
There is no peer in this one: it is about time. The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import psutil
import soundfile
from websockets.asyncio.client import ClientConnection, connect

from speechxfer import Transcriber, read_manifest
from speechxfer.data import Waveform, decode_ulaw, encode_ulaw

DEMO = Path(str(files("speechxfer"))) / "assets/demo"
RATE, PACKET = 8_000, 160
TRACKS = ("outbound", "inbound")
START = {"event": "start", "streamSid": "MZ", "start": {}}


class Call:
    """What one call sent, and what came back."""

    def __init__(self, samples: np.ndarray) -> None:
        self.codes = [encode_ulaw(np.ascontiguousarray(channel)) for channel in samples.T]
        self.packets = len(samples) // PACKET
        self.sent: dict[str, list[float]] = {track: [] for track in TRACKS}
        self.latencies: list[float] = []
        self.late_packets = 0.0
        self.finals: list[dict[str, Any]] = []
        self.error = ""

    async def run(self, url: str, delay: float) -> None:
        """Send it at telephone pace, and read at the same time."""
        await asyncio.sleep(delay)
        try:
            async with connect(url, max_size=None) as socket:
                await socket.send(json.dumps(START))
                reader = asyncio.create_task(self._read(socket))
                start = time.monotonic()
                for number in range(self.packets):
                    for track, codes in zip(TRACKS, self.codes, strict=True):
                        payload = base64.b64encode(codes[number * PACKET : (number + 1) * PACKET].tobytes()).decode()
                        packet = {"track": track, "timestamp": str(number * 20), "payload": payload}
                        await socket.send(json.dumps({"event": "media", "media": packet}))
                        self.sent[track].append(time.monotonic())
                    ahead = start + (number + 1) * PACKET / RATE - time.monotonic()
                    self.late_packets = max(self.late_packets, -ahead)
                    await asyncio.sleep(max(0.0, ahead))
                await socket.send('{"event": "stop"}')
                await reader
        except Exception as error:  # a call that fails is a figure here
            self.error = repr(error)

    async def _read(self, socket: ClientConnection) -> None:
        async for message in socket:
            now, told = time.monotonic(), json.loads(message)["transcript"]
            if told["type"] == "partial":
                number = min(int(told["end"] * RATE / PACKET), len(self.sent[told["channel"]]) - 1)
                self.latencies.append(now - self.sent[told["channel"]][number])
            elif told["type"] == "final":
                self.finals.append(told)

    def text(self, track: str) -> str:
        """Give what was heard on a track."""
        return " ".join(final["segment"]["text"] for final in self.finals if final["channel"] == track)


def compare_with_files(calls: list[Call], starts: list[int], seconds: float) -> dict[str, Any]:
    """Give WER live and of the files of the same calls, and the stretches that no final covers."""
    transcriber = Transcriber("tiny", precision="fp32", channels="split")
    turns = [*read_manifest(DEMO / "call.csv")]
    said, live, filed, dropped = [], [], [], 0
    for call, start in zip(calls, starts, strict=True):
        samples = np.stack([decode_ulaw(codes) for codes in call.codes], axis=1).astype(np.float32) / np.float32(32768)
        transcript = transcriber.transcribe(Waveform(samples, RATE))
        first, last = start / RATE, start / RATE + seconds
        for channel, track in enumerate(TRACKS):
            # Turns that the call holds whole; heard is what lies in the time of these.
            whole = [turn for turn in turns if turn.channel == channel and first <= turn.start and turn.end <= last]
            if not whole:
                continue
            low, high = whole[0].start - first - 0.2, whole[-1].end - first + 0.2
            said.append(" ".join(turn.text for turn in whole))
            segments = [segment for segment in transcript.segments if segment.channel == channel]
            finals = [final["segment"] for final in call.finals if final["channel"] == track]
            filed.append(" ".join(w.text for s in segments for w in s.words if low <= (w.start + w.end) / 2 <= high))
            live.append(" ".join(w["text"] for s in finals for w in s["words"] if low <= (w["start"] + w["end"]) / 2 <= high))
            middles = [(segment.start + segment.end) / 2 for segment in segments if len(segment.text) > 3]
            dropped += sum(not any(final["start"] <= middle <= final["end"] for final in finals) for middle in middles)
    return {"wer_live": jiwer.wer(said, live), "wer_file": jiwer.wer(said, filed), "dropped": dropped}


async def many_sessions(url: str, count: int, process: psutil.Process) -> float:
    """Open and end so many sessions; gives by how many MB memory grew over the last three quarters of them."""
    payload = base64.b64encode(b"\x7f" * 1600).decode()
    media = json.dumps({"event": "media", "media": {"track": "inbound", "payload": payload}})

    async def one() -> None:
        async with connect(url) as socket:
            for message in (json.dumps(START), media, media, '{"event": "stop"}'):
                await socket.send(message)
            async for _ in socket:
                pass

    before = 0
    for number in range(0, count, 10):
        await asyncio.gather(*(one() for _ in range(10)))
        if number + 10 == max(10, count // 40 * 10):
            before = process.memory_info().rss
    return (process.memory_info().rss - before) / 1e6


async def measure(args: argparse.Namespace, address: str, process: psutil.Process) -> dict[str, Any]:
    """Run all; gives the figures."""
    url = address.replace("http", "ws") + "/v1/realtime/media"
    samples, rate = soundfile.read(DEMO / "call.flac", dtype="int16")
    assert rate == RATE
    count = args.channels // 2
    size = round(args.seconds * RATE)
    starts = [round(number * max(0, len(samples) - size) / max(1, count - 1)) for number in range(count)]
    calls = [Call(samples[start : start + size]) for start in starts]
    before = process.cpu_times()
    await asyncio.gather(*(call.run(url, 0.37 * number % 2) for number, call in enumerate(calls)))
    after = process.cpu_times()
    latencies = np.array([latency for call in calls for latency in call.latencies])
    compared = compare_with_files(calls, starts, args.seconds)
    errors = [call.error for call in calls if call.error]
    for error in errors:
        print("error:", error)
    return {
        "channels": args.channels,
        "seconds": args.seconds,
        "partials": len(latencies),
        "p50_partial_ms": round(1000 * float(np.percentile(latencies, 50))),
        "p95_partial_ms": round(1000 * float(np.percentile(latencies, 95))),
        "dropped": compared["dropped"] + len(errors),
        "sent_late_ms": round(1000 * max(call.late_packets for call in calls)),
        "server_cores": round((after.user + after.system - before.user - before.system) / args.seconds, 2),
        "wer_live": round(compared["wer_live"], 4),
        "wer_file": round(compared["wer_file"], 4),
        "rss_growth_mb": round(await many_sessions(url, args.sessions, process), 1),
        "sessions": args.sessions,
    }


def main() -> int:
    """Start the server, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="15 s, 100 sessions")
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.sessions = 15, 100
    command = [sys.executable, "-m", "speechxfer", "serve", "--model", "tiny", "--port", "0", "--precision", "fp32"]
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as server:
        try:
            assert server.stderr is not None
            address = server.stderr.readline().split()[-1]
            start_seconds = time.monotonic() - began
            figures = asyncio.run(measure(args, address, psutil.Process(server.pid)))
        finally:
            server.terminate()
            server.communicate(timeout=60)
    figures["start_seconds"] = round(start_seconds, 1)
    figures["load_average"] = round(os.getloadavg()[0], 1)
    bars = {
        "p95_partial_ms": [figures["p95_partial_ms"], 700, figures["p95_partial_ms"] <= 700],
        "dropped": [figures["dropped"], 0, figures["dropped"] == 0],
        "wer_points": [
            round(100 * (figures["wer_live"] - figures["wer_file"]), 2),
            1,
            figures["wer_live"] - figures["wer_file"] <= 0.01,
        ],
        "start_seconds": [figures["start_seconds"], 8, figures["start_seconds"] <= 8],
        "rss_growth_mb": [figures["rss_growth_mb"], 20, figures["rss_growth_mb"] <= 20],
    }
    print(json.dumps({"benchmark": "live_calls", "figures": figures, "bars": bars}))
    return 0 if all(passed for _, _, passed in bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
