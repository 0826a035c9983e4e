"""Every config that is shipped loads, and says at its top what it is for."""

from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*") if path.suffix in {".yaml", ".yml"})
# A config leaves out what only the user knows.
OVERRIDES = ["model.path=m", "data.train=t.csv", "data.test=t.csv"]
HEADER_WORDS = ("command", "data", "time", "result")

each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))


def test_there_are_configs() -> None:
    assert CONFIGS


@each_config
def test_config_loads(path: Path) -> None:
    from speechxfer.recipe import Recipe, read_recipe

    assert isinstance(read_recipe(path, overrides=OVERRIDES), Recipe)


@each_config
def test_config_header_says_what_to_expect(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = " ".join(takewhile(lambda line: line.startswith("#"), lines)).lower()
    assert [word for word in HEADER_WORDS if word not in header] == []
