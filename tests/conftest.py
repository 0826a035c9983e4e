"""What all tests share: no network, and the shared folder of real speech and models."""

import os
from pathlib import Path

import pytest

# Before any test imports a library that reads them; subprocesses inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

ROOT = Path(__file__).resolve().parents[1]
NO_SHARED = "no shared speech data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared data and models, or skip the test."""
    folder = Path(os.environ.get("SPEECHXFER_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"{NO_SHARED}: {folder} is not a folder (SPEECHXFER_SHARED names another)")
    return folder.resolve()


def pytest_itemcollected(item: pytest.Item) -> None:
    if "shared" in getattr(item, "fixturenames", ()):
        item.add_marker("real")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    count = sum(NO_SHARED in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if count:
        terminalreporter.write_line(f"skipped for missing shared data: {count}", yellow=True)
