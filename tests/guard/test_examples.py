"""Every example runs as a user would run it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

FOLDER = Path(__file__).resolve().parents[2] / "examples"


def test_there_is_a_folder_of_examples() -> None:
    assert FOLDER.is_dir()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    # In an empty folder, so that what it writes stays out of the checkout.
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_call_center_pipeline_finds_commands(tmp_path: Path) -> None:
    demo = FOLDER.parent / "speechxfer/assets/demo"
    header, *rows = (demo / "commands.csv").read_text().splitlines()
    two = [row for row in rows if row.endswith("train") and row.split(",")[4] in ("volume up", "lights on")]
    shutil.copy(demo / "commands.ogg", tmp_path)
    (tmp_path / "two.csv").write_text("\n".join([header, *two]))
    enrol = ["commands", "enrol", "two.csv", "--model", "tiny", "--out", "commands", "--quiet"]
    subprocess.run([sys.executable, "-m", "speechxfer", *enrol], cwd=tmp_path, check=True, capture_output=True)
    samples, rate = soundfile.read(demo / "commands.ogg", stop=16_000 * 4)
    soundfile.write(tmp_path / "call.wav", samples, rate)
    words = [str(FOLDER / "call_center_pipeline.py"), "--commands", "commands", "call.wav"]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    (row,) = map(json.loads, done.stdout.splitlines())
    heard = [command["command"] for command in row["commands"]]
    assert heard[:2] == ["volume up", "volume up"], "what it was enrolled from comes first"
