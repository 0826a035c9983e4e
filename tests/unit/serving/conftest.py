"""A server in a thread of this process, on the loopback."""

import asyncio
import contextlib
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import uvicorn

import speechxfer
from speechxfer.serving import ServerSettings, create_app

DEMO = Path(speechxfer.__file__).parent / "assets" / "demo"


@contextlib.contextmanager
def running(**options):
    """Serve until the block ends; gives `host:port` and the application."""
    app = create_app(ServerSettings(**{"models": {"tiny": "tiny", "other": "tiny"}, "precision": "fp32"} | options))
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="websockets-sansio", ws_max_size=1 << 17)
    config.timeout_graceful_shutdown = 2
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([bound])), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"127.0.0.1:{bound.getsockname()[1]}", app
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def served():
    with running() as (address, app):
        yield address, app


@pytest.fixture(scope="session")
def address(served):
    return served[0]


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """Return the first turns of the package's call, both channels, 8 s."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, *soundfile.read(DEMO / "call.flac", frames=8 * 8_000))
    return path


@pytest.fixture(scope="session")
def silence(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("silence") / "silence.wav"
    soundfile.write(path, np.zeros(800), 8_000)
    return path.read_bytes()
