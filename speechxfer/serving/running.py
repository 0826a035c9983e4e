"""The server as a process: it says when it listens, and on SIGTERM lets what is under way come to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import torch
import uvicorn

from speechxfer.errors import SpeechxferError
from speechxfer.serving.app import create_app
from speechxfer.serving.settings import ServerSettings

_MAX_MESSAGE = 1 << 17  # bytes of a WebSocket message; a second of µ-law in base64 is 11,000
_MAX_CONNECTIONS = 1_000
_IDLE_SECONDS = 20


def serve(settings: ServerSettings, host: str, port: int, listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Parameters
    ----------
    settings
        What to serve.
    host, port
        Where; port 0 takes a free one.
    listening
        Called with the address when it answers.

    Raises
    ------
    SpeechxferError
        If the address is taken, or a model cannot be loaded.
    """
    # A core is left for the calls themselves: two threads that wait for each other in each layer would stop for any packet.
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) - 1)))
    app = create_app(settings)
    try:
        bound = socket.create_server((host, port), reuse_port=False)
    except (OSError, OverflowError) as error:
        raise SpeechxferError(f"cannot listen on {host}:{port}: {error}; take another --port") from None
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=_MAX_MESSAGE,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=5,
        server_header=False,
        log_level="warning",
    )
    server = _Draining(config)
    server.after_start = lambda: listening(f"http://{host}:{bound.getsockname()[1]}")
    server.run([bound])


class _Draining(uvicorn.Server):
    """After SIGTERM takes nothing new, and stops when nothing is under way, or after a while; a second signal stops it."""

    after_start: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.after_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        access = self.config.app.state.server.access  # type: ignore[union-attr]
        if sig == signal.SIGINT or access.draining:
            super().handle_exit(sig, frame)
            return
        access.draining = True
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._drain()))

    async def _drain(self) -> None:
        server = self.config.app.state.server  # type: ignore[union-attr]
        end = self._loop.time() + server.settings.drain_seconds
        while server.access.under_way and self._loop.time() < end:
            await asyncio.sleep(0.1)
        self.should_exit = True
