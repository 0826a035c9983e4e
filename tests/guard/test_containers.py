"""Container files: a linter finds nothing, and what they say to do is done here without a container engine."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("examples/distributed/Dockerfile", "examples/serve/Dockerfile")
START_SECONDS = 60


@pytest.mark.parametrize("name", FILES)
def test_a_linter_finds_nothing(name):
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, str(ROOT / name)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_and_installed_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for sources in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert [one for one in sources.split() if not (ROOT / one).exists()] == []
    (extras,) = re.findall(r"'/src\[([a-z0-9,]+)\]'", text)
    known = re.findall(r"^([a-z0-9]+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(extras.split(",")) <= set(known)


def test_the_server_starts_and_its_health_check_says_so(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    text = (ROOT / "examples/serve/Dockerfile").read_text(encoding="utf-8").replace("8000", port).replace("0.0.0.0", "127.0.0.1")
    found = dict(re.findall(r"^(ENTRYPOINT|CMD|HEALTHCHECK .*CMD) (\[.*\])$", text, re.MULTILINE))
    check = next(json.loads(words) for name, words in found.items() if name.startswith("HEALTHCHECK"))
    command = [*json.loads(found["ENTRYPOINT"]), *json.loads(found["CMD"])]
    command[0], check[0] = str(Path(sys.executable).parent / command[0]), sys.executable
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while (failed := subprocess.run(check, capture_output=True).returncode) and time.monotonic() < deadline:
            assert server.poll() is None
            time.sleep(0.2)
        assert not failed
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=START_SECONDS) == 0
    finally:
        server.kill()
        server.wait()
