"""Transcribing many recordings, killed twice and gone on with: the same files as without any kill, none of them half."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

import speechxfer

CALL = Path(speechxfer.__file__).parent / "assets" / "demo" / "call.flac"
RECORDINGS = 12


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Return a folder with a minute of a call in each of some recordings, each from another moment on."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(RECORDINGS):
        samples, rate = soundfile.read(CALL, start=number * 4 * 8000, frames=60 * 8000)
        soundfile.write(folder / f"{number:02}.wav", samples, rate)
    return folder


def command(calls: Path, out: Path) -> list[str]:
    words = ["transcribe", str(calls), "--model", "tiny", "--precision", "fp32", "--channels", "split", "--format", "json"]
    return [sys.executable, "-m", "speechxfer", *words, "--out", str(out), "--skip-existing", "--quiet"]


def written(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.json")}


def test_killed_twice_and_gone_on_with(calls: Path, tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert subprocess.run(command(calls, whole), env=environment).returncode == 0
    for enough in (1, 5):
        process = subprocess.Popen(command(calls, parts), env=environment)
        while len(written(parts)) < enough:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert len(written(parts)) < RECORDINGS
    assert subprocess.run(command(calls, parts), env=environment).returncode == 0
    assert written(parts) == written(whole) and len(written(whole)) == RECORDINGS
