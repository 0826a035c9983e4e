"""The documentation builds without a warning, loads nothing from elsewhere and leaves nothing out; its commands work."""

import ast
import csv
import html
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path

import click
import pytest
import soundfile
import typer
from pydantic import BaseModel

from speechxfer import read_manifest
from speechxfer.cli import main
from speechxfer.cli.app import app
from speechxfer.data import load_audio
from speechxfer.recipe import Recipe
from tests.browser import CHROMIUM, chromium

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = sorted(page for page in DOCS.rglob("*.md") if BLOCK.search(page.read_text(encoding="utf-8")))
FACES = ["speechxfer", *(f"speechxfer.{init.parent.name}" for init in sorted((ROOT / "speechxfer").glob("*/__init__.py")))]
FACES.remove("speechxfer.cli")  # has a door, `main`, and is no room to import from
README_LINES = {line for _, body in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")) for line in body.splitlines()}
PLAIN_NUMBERS = {"learning_rate", "weight_decay", "l2_sp", "max_grad_norm", "seed"}
# Of the texts of a page, by their first words: contrast with what lies behind them, by WCAG's formula.
CONTRASTS = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colour, below) => {
    canvas.fillStyle = `rgb(${below})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (one) => one ? over(getComputedStyle(one).backgroundColor, behind(one.parentElement)) : [255, 255, 255];
  const light = (colour) => colour.map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, number) => sum + part * [0.2126, 0.7152, 0.0722][number], 0);
  const found = {};
  for (const one of document.querySelectorAll("article *, nav *, .md-header *")) {
    const text = [...one.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join(" ").trim();
    if (!text || !one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const ground = behind(one);
    const [high, low] = [light(over(getComputedStyle(one).color, ground)), light(ground)].sort((a, b) => b - a);
    found[text.slice(0, 40)] = (high + 0.05) / (low + 0.05);
  }
  return found;
})()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build as `make docs` does."""
    if not all(map(importlib.util.find_spec, ("mkdocs", "material", "mkdocstrings"))):
        pytest.skip("MkDocs is not installed: pip install 'speechxfer[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    return folder


class Loaded(HTMLParser):
    """Collects what a page loads by itself; a link that somebody may follow is not loaded."""

    def __init__(self):
        super().__init__()
        self.places = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("next", "prev", "canonical"):
            self.places.append(given["href"])
        elif tag != "a" and "src" in given:
            self.places.append(given["src"])
        self.places += re.findall(r"url\(([^)]+)\)", given.get("style") or "")


def test_nothing_is_loaded_from_elsewhere(site):
    places = []
    for page in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        places += parser.places
        assert 'class="mermaid"' not in page.read_text(encoding="utf-8"), "its script would come from elsewhere"
    for sheet in site.rglob("*.css"):
        places += re.findall(r"(?:url\(|@import )[\"']?([^)\"']+)", sheet.read_text(encoding="utf-8"))
    assert len(places) > 100
    assert [place for place in places if re.match(r"(\w+:)?//", place) and not place.startswith("data:")] == []


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Give each key with its type, those of sections included."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.annotation
        for kind in all_types(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from keys_of(kind, f"{prefix}{name}{'[]' if typing.get_origin(field.annotation) is list else ''}.")


def all_types(annotation: object) -> list[object]:
    parts = typing.get_args(annotation)
    return [inner for part in parts for inner in all_types(part)] if parts else [annotation]


def test_every_key_of_a_recipe_is_explained(site):
    page = (site / "reference/recipe.html").read_text(encoding="utf-8")
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in page.split("<tr>")]
    rows = {html.unescape(re.sub("<[^>]+>", "", row[0])): row[1:] for row in rows if row}
    keys = dict(keys_of(Recipe))
    assert len(keys) > 80
    assert set(keys) == set(rows)
    assert [key for key, (kind, _, _, meaning) in rows.items() if not kind or not meaning] == []
    numbers = [key for key, kind in keys.items() if {int, float} & {*all_types(kind)} and not key.startswith("data.")]
    assert [key for key in numbers if not rows[key][1] and not any(key.endswith(name) for name in PLAIN_NUMBERS)] == []
    assert [rows[key][:3] for key in ("store.max_gb", "training.epochs", "augment.noise.snr_db")] == [
        ["number &gt; 0", "GB", "<code>8.0</code>"],
        ["whole number ≥ 1", "epochs", "<code>20</code>"],
        ["[number, number]", "dB", "<code>[5.0, 20.0]</code>"],
    ]
    assert rows["model.path"][2] == rows["task"][2] == "must be given"


def test_every_public_name_is_documented(site):
    missing = []
    for face in FACES:
        page = (site / f"reference/python/{face}.html").read_text(encoding="utf-8")
        names = [name for name in importlib.import_module(face).__all__ if not name.startswith("__")]
        missing += [f"{face}.{name}" for name in names if f'id="{face}.{name}"' not in page]
    assert missing == []


def verbs(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    inner = getattr(command, "commands", {})
    for name, one in inner.items():
        yield from verbs(one, f"{words} {name}")
    if not inner:
        yield words, command


def test_every_verb_and_flag_is_documented(site):
    page = html.unescape((site / "reference/commands.html").read_text(encoding="utf-8"))
    found = dict(verbs(typer.main.get_command(app), "speechxfer"))
    assert len(found) > 20
    parts = {re.sub("<[^>]+>", "", part.partition("¶")[0].partition(">")[2]): part for part in re.split(r"<h[23] ", page)}
    missing = [
        f"{words} {flag}"
        for words, command in found.items()
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--") and flag not in parts.get(words, "")
    ]
    assert missing == []


def test_every_result_is_shown(site):
    page = re.sub("<[^>]+>", "", html.unescape((site / "results.html").read_text(encoding="utf-8")))
    measured = (ROOT / "scripts/benchmarks/RESULTS.md").read_text(encoding="utf-8")
    headings = [line[3:].replace("`", "") for line in measured.splitlines() if line.startswith("## ")]
    assert headings and [heading for heading in headings if heading not in page] == []


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one
        assert all(url.startswith(("file:", "data:", "blob:")) for url in one.requests) and one.requests
        assert one.complaints == []


def visit(browser, page: Path) -> None:
    browser("Page.navigate", url=page.as_uri())
    browser.wait(f"document.readyState === 'complete' && location.href === {page.as_uri()!r}")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", ["tutorial", "reference/recipe"])
def test_nothing_sticks_out(site, browser, page, width):
    browser("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    visit(browser, site / f"{page}.html")
    assert browser.js("innerWidth") == width
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_text_can_be_read(site, browser, scheme):
    visit(browser, site / "tutorial.html")
    browser.js(f"document.querySelector('[name=__palette][data-md-color-scheme={scheme}]').click()")
    browser.wait(f"document.body.dataset.mdColorScheme === {scheme!r}")
    ratios = browser.js(CONTRASTS)
    assert len(ratios) > 20
    assert {text: ratio for text, ratio in ratios.items() if ratio < 4.5} == {}, "WCAG 2, level AA"


def test_search_needs_neither_server_nor_mouse(site, browser):
    browser("Emulation.clearDeviceMetricsOverride")
    visit(browser, site / "tutorial.html")
    browser.key("Tab", 9)
    assert browser.js("document.activeElement.matches('.md-skip')")
    browser.key("/", 191, "/")
    browser.wait("document.activeElement.name === 'query'")
    browser.wait("document.querySelector('.md-search-result__meta').innerText.startsWith('Type to start')")
    for letter in "max_regression":
        browser.key(letter, ord(letter.upper()), letter)
    browser.wait("document.querySelector('a.md-search-result__link[href*=max_regression]') !== null")
    browser.key("ArrowDown", 40)
    browser.wait("document.activeElement.matches('.md-search-result__link')")
    browser.key("Enter", 13, "\r")
    browser.wait("!location.href.includes('tutorial.html')")


def templates() -> set[str]:
    """Give every text of the package's code, with `…` for what is filled in."""
    found = []
    for path in (ROOT / "speechxfer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
    return set(found)


def holds(template: str, parts: list[str]) -> bool:
    """Tell whether a text has all of these in this order."""
    return all(part in template for part in parts) and bool(re.search(".*".join(map(re.escape, parts)), template, re.DOTALL))


def test_every_message_is_one_that_the_program_gives():
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = [message.strip() for _, message in re.findall(r"^### (`+)(.+?)\1$", text, re.MULTILINE)]
    assert len(messages) == text.count("\n### ") > 30
    known = templates()
    assert [message for message in messages if not any(holds(template, message.split("…")) for template in known)] == []


@pytest.fixture(scope="module")
def place(workplace):
    """Add to what the README names a model that can write, speech for it to hear, and the package's audio."""
    demo = ROOT / "speechxfer/assets/demo"
    for number, sentence in enumerate(islice(read_manifest(demo / "dialect.csv"), 14), start=1):
        soundfile.write(workplace / f"calls/{number}.wav", load_audio(sentence, 16_000), 16_000)
    shutil.copytree(ROOT / "speechxfer/assets/tiny", workplace / "runs/dialect")
    (workplace / "speechxfer").symlink_to(ROOT / "speechxfer")
    (workplace / "configs").unlink()
    shutil.copytree(ROOT / "configs", workplace / "configs")
    for recipe in (workplace / "configs").glob("*.yaml"):
        hurry(recipe)
    return workplace


def hurry(recipe: Path) -> None:
    """Let each stage of a recipe have two epochs."""
    recipe.write_text(re.sub(r"epochs: \d+", "epochs: 2", recipe.read_text(encoding="utf-8")), encoding="utf-8")


def shorten(manifest: Path) -> None:
    """Keep a few rows of each set, of as many speakers."""
    with manifest.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    split, speaker = header.index("split"), header.index("speaker")
    first = {(row[split], row[speaker]): row for row in reversed(rows)}
    kept = [row for name in ("train", "dev", "test") for row in islice((r for r in first.values() if r[split] == name), 4)]
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *kept])


@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_works(page, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    for language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(body, str(page), "exec"), {"__name__": "__main__"})
            continue
        for line in body.splitlines():
            # What the README has too runs in its own test; commands that are enrolled are used further down a page.
            if line not in README_LINES or " enrol " in line:
                run(line, monkeypatch)


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command, those of ours in this process, which has loaded torch already."""
    if not line.startswith("speechxfer "):
        subprocess.run(["bash", "-c", line], check=True)
        if line.startswith("cp "):
            shorten(Path("accent/dialect.csv"))
            hurry(Path("accent/dialect.yaml"))
        return
    # A model that was trained for a second is sure of nothing.
    unsure = ["--min-confidence", "0"] if line.startswith("speechxfer adapt ") else []
    monkeypatch.setattr(sys, "argv", [*shlex.split(line), *unsure])
    with pytest.raises(SystemExit) as stopped:
        main()
    # 1 is allowed: noise under random labels may well end in a collapsed model, which is reported so.
    assert stopped.value.code in (0, None, 1), line
