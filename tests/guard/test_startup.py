"""A quick start: neither `import speechxfer` nor `--help` pays for torch."""

import subprocess
import sys
import time

import pytest

HEAVY = ("torch", "torchaudio", "transformers", "accelerate", "librosa", "numpy", "scipy")
HELP = [sys.executable, "-m", "speechxfer", "--help"]
SECONDS = 0.5

IMPORT = "import speechxfer"
# What `python -m speechxfer --help` does, in a process that can be asked afterwards what it loaded.
RUN_HELP = """
import runpy, sys
sys.argv = ["speechxfer", "--help"]
try:
    runpy.run_module("speechxfer", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    assert not stop.code, stop.code
"""


@pytest.mark.parametrize("code", [IMPORT, RUN_HELP], ids=["import", "help"])
def test_loads_nothing_heavy(code: str) -> None:
    ask = f"\nimport sys\nprint('loaded:', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + ask], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_help_answers_at_once() -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run(HELP, capture_output=True, text=True)
        times.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout
    assert min(times) < SECONDS, [round(seconds, 2) for seconds in times]
