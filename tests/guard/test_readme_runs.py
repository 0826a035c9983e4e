"""The README's first hour, run as it is written: its commands in order, then its Python."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_first_hour(workplace):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = 0
    for language, body in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        lines = [line for line in body.splitlines() if line.startswith("speechxfer ")]
        for words in [shlex.split(line) for line in lines] if language == "bash" else [[sys.executable, "-c", body]]:
            done = subprocess.run(words, cwd=workplace, env=environment, capture_output=True, text=True)
            # 1 is allowed: noise under random labels may well end in a collapsed model, which is reported so.
            assert done.returncode in (0, 1) and "Traceback" not in done.stderr, f"{words}\n{done.stdout}{done.stderr}"
            ran += 1
    assert ran >= 5
    assert (workplace / "runs/dialect/report.json").is_file()
