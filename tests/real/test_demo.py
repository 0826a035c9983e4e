"""The demo, whole: it learns what it says it learns, and its random twin does not. RESULTS.md has its figures and bars."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [sys.executable, "-m", "speechxfer", "demo", "--out", str(out)], capture_output=True, text=True, check=True
    )
    return out, done


@pytest.fixture(scope="module")
def parts(place):
    return {part["measure"]: part for part in json.loads((place[0] / "demo.json").read_text())["parts"]}


def test_an_accent_is_learned(parts):
    assert parts["WER"]["after"] <= 0.55 * parts["WER"]["before"]
    assert parts["WER"]["from_random"] > parts["WER"]["after"] + 0.2


def test_new_words_are_learned(parts):
    assert parts["recall"]["before"] < 0.2 and parts["recall"]["after"] > 0.7
    assert parts["recall"]["from_random"] < 0.2


def test_commands_are_learned(parts):
    assert parts["right"]["after"] >= 0.95
    assert parts["right"]["from_random"] < parts["right"]["after"] - 0.1


def test_the_terminal_shows_one_table_and_the_call(place):
    printed = place[1].stdout
    assert all(word in printed for word in ("a new accent", "new words", "commands", "from random", "customer:", "page: "))
    assert "Traceback" not in place[1].stderr


def test_the_page_holds_all_that_it_shows(place):
    page = (place[0] / "demo.html").read_text(encoding="utf-8")
    assert page.count('<audio controls src="data:audio/ogg') == 13
    assert "http:" not in page and "https:" not in page  # nothing comes from elsewhere
