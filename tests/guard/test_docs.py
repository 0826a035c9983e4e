"""The README's commands exist with the flags it shows, and its Python compiles."""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from functools import cache
from itertools import groupby, takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
# Plain and wide: a flag that is coloured or cut off at the terminal's edge would not be found.
PLAIN = {"COLUMNS": "250", "TERMINAL_WIDTH": "250", "NO_COLOR": "1", "TERM": "dumb"}
COLOURFUL = {"FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"}


def blocks(text: str, language: str) -> list[str]:
    return [textwrap.dedent(found["body"]) for found in FENCE.finditer(text) if found["language"] == language]


def commands(text: str, program: str) -> list[list[str]]:
    """Return the words after `program` of each of its commands in the bash blocks; `&&` and pipes part them."""
    found = []
    for line in "\n".join(blocks(text, "bash")).replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for parts, group in groupby(lexer, lambda word: set(word) <= set("|&;<>")):
            first, *words = group
            if not parts and first.removeprefix(".venv/bin/") == program:
                found.append(words)
    return found


@cache
def help_of(*verb: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in COLOURFUL} | PLAIN
    done = subprocess.run(
        [sys.executable, "-m", "speechxfer", *verb, "--help"], capture_output=True, text=True, env=env, cwd=ROOT
    )
    assert done.returncode == 0, f"speechxfer {' '.join(verb)} --help: {done.stderr}"
    return done.stdout


def verb_of(words: list[str]) -> tuple[str, ...]:
    """Return the leading words that name a verb: more than one where its help says that a command follows."""
    verb: tuple[str, ...] = ()
    for word in takewhile(lambda word: not word.startswith("-"), words):
        if "COMMAND" not in next(line for line in help_of(*verb).splitlines() if "Usage" in line):
            break
        verb += (word,)
    return verb


def flags_of(words: list[str]) -> list[str]:
    return [word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]


TEXT = README.read_text(encoding="utf-8") if README.is_file() else ""


def test_there_is_a_readme_with_commands() -> None:
    assert commands(TEXT, "speechxfer")
    assert commands(TEXT, "make")


@pytest.mark.parametrize("words", commands(TEXT, "speechxfer"), ids=" ".join)
def test_command_has_these_flags(words: list[str]) -> None:
    text = help_of(*verb_of(words))
    assert [flag for flag in flags_of(words) if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text)] == []


@pytest.mark.parametrize("words", commands(TEXT, "make"), ids=" ".join)
def test_make_has_this_target(words: list[str]) -> None:
    done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", blocks(TEXT, "python"), ids=lambda block: block.partition("\n")[0])
def test_python_compiles(block: str) -> None:
    compile(block, str(README), "exec")


def test_commands_are_found() -> None:
    text = textwrap.dedent("""
        - make it:
          ```bash
          make setup && make demo   # once
          $ speechxfer finetune configs/x.yaml "data.train=a b.csv[split=train]" \\
              --out runs/x --seed=1 | tee log
          ```
        ```python
        import speechxfer
        ```
        """)
    assert commands(text, "make") == [["setup"], ["demo"]]
    (words,) = commands(text, "speechxfer")
    assert words == ["finetune", "configs/x.yaml", "data.train=a b.csv[split=train]", "--out", "runs/x", "--seed=1"]
    assert flags_of(words) == ["--out", "--seed"]
    assert blocks(text, "python") == ["import speechxfer\n"]
