"""The page for people: verdict first, whole in one file, nothing from elsewhere, nothing that a text could break."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from huggingface_hub import ModelCard

from speechxfer.data import parse_manifest
from speechxfer.evaluation import RowErrors, compare
from speechxfer.report import make_report, write_card, write_page

SCORES = {"utterances": 9, "wer": 0.25, "cer": 0.1, "wer_interval": (0.2, 0.3), "interval_blocks": "speaker"}
GROUPS = {"gender": {name: {"utterances": 5, "wer": 0.2, "wer_interval": (0.1, 0.3)} for name in ("f", "m")}}


@pytest.fixture
def manifest(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 8_000), 16_000)
    lines = [f"u{number},a.wav,s{number}" for number in range(9)]
    (tmp_path / "data.csv").write_text("id,audio,speaker\n" + "\n".join(lines) + "\n")
    return parse_manifest(tmp_path / "data.csv")


@pytest.fixture
def rows():
    references = ["turn the light on", "a <b> & c", "", *["fine"] * 6]
    answers = ["turn light on now", "a <i> & c", "noise", *["fine"] * 6]
    speakers = [f"s{number}" for number in range(9)]
    return RowErrors([2, 1, 1, *[0] * 6], [4, 4, 0, *[1] * 6], speakers, "speaker", "wer", references, answers)


@pytest.fixture
def report(rows):
    before = RowErrors([4, 3, 1, *[1] * 6], rows.sizes, rows.blocks, "speaker", "wer", rows.references, ["x"] * 9)
    trade_off = [{"share": share, "dev_error": 0.5 - share / 4, "losses": {"guard": share / 10}} for share in (0.0, 0.5, 1.0)]
    verdict = {"sentence": "broken: +9 points"}
    return make_report(
        "ctc",
        "runs/x/model",
        {"dev": SCORES, "test": SCORES | {"groups": GROUPS}},
        before={"kind": "pretrained model", "sets": {"test": SCORES | {"wer": 0.9, "groups": GROUPS}}},
        proof={"test": compare(before, rows).to_dict()},
        guard={"outcome": "refused", "verdicts": {"guard": verdict}, "trade_off": trade_off},
        training={"seconds": 90.0, "stages": []},
        notes=["left out: <one>"],
    )


class Checker(HTMLParser):
    """Collects tags, and whether each is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(path):
    checker = Checker()
    text = path.read_text(encoding="utf-8")
    checker.feed(text)
    assert checker.open == []
    return text, checker.seen


def test_the_verdict_comes_first_and_all_parts_are_there(report, rows, manifest, tmp_path):
    write_page(tmp_path / "page.html", report, rows, manifest, audio=True, recipe="task: ctc", environment={"python": "3"})
    text, tags = read(tmp_path / "page.html")
    assert report["proof"]["test"]["sentence"][1:] in text.split("<h2>")[0]
    assert "The guard has refused this model. guard: broken: +9 points." in text
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert [heading.split(":")[0].split(" of ")[0] for heading in headings] == [
        "Scores",
        "Groups",
        "Guard",
        "Worst utterances",
        "Words most often taken for others",
        "The run",
    ]
    assert "25.0 % (20.0 – 30.0)" in text and "1.5 minutes" in text and "&lt;one&gt;" in text
    assert sum(tag == "audio" for tag, _ in tags) == 3 and sum(tag == "svg" for tag, _ in tags) == 2


def test_errors_are_marked_by_more_than_colour_and_texts_break_nothing(report, rows, manifest, tmp_path):
    write_page(tmp_path / "page.html", report, rows, manifest, audio=False)
    text, tags = read(tmp_path / "page.html")
    assert "turn <del>the</del> light on <ins>now</ins>" in text
    assert "a <mark>&lt;b&gt; → &lt;i&gt;</mark> &amp; c" in text and "<ins>noise</ins>" in text
    assert ("b", {}) not in tags and ("i", {}) not in tags
    assert not any(tag == "audio" for tag, _ in tags)


def test_nothing_comes_from_elsewhere(report, rows, manifest, tmp_path):
    write_page(tmp_path / "page.html", report, rows, manifest, audio=True)
    _, tags = read(tmp_path / "page.html")
    for tag, attributes in tags:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("data:", "#")), (tag, value)


def test_a_classifier_shows_its_confusions(manifest, tmp_path):
    confusion = {"labels": ["off", "on"], "true_by_recognised": [[4, 1], [0, 4]]}
    scores = {"utterances": 9, "accuracy": 8 / 9, "macro_f1": 0.9, "confusion": confusion}
    labels = ["on", "off"] * 4 + ["off"]
    rows = RowErrors([0] * 8 + [1], [1] * 9, labels, "speaker", "error", labels, ["on", "off"] * 4 + ["on"])
    write_page(tmp_path / "page.html", make_report("classification", "m", {"test": scores}), rows, manifest, audio=False)
    text, _ = read(tmp_path / "page.html")
    assert "There is no before and after" in text and "off → on" in text
    assert "<td><b>off</b></td><td>4</td><td>1</td>" in text


def test_the_card_is_one_that_the_hub_reads(report, tmp_path):
    write_card(tmp_path / "README.md", report, "/home/me/models/base", "/data/private/train.csv", "/data/private/test.csv")
    card = ModelCard.load(tmp_path / "README.md")
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {"wer": 0.25, "cer": 0.1}
    assert card.data.pipeline_tag == "automatic-speech-recognition"
    assert "/home/me" not in card.content and "/data/private" not in card.content
    assert report["proof"]["test"]["sentence"] in card.text
