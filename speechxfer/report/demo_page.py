"""Results of the demo in, one HTML page with numbers, sound and text out; it needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import soundfile

from speechxfer.data import Utterance, load_audio
from speechxfer.report.schema import write_text
from speechxfer.transcript import Transcript

_RATE = 16_000
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem } th, td { text-align: left; padding: .35rem .6rem }
th { border-bottom: 2px solid #222 } td { border-bottom: 1px solid #ddd } audio { height: 2rem; width: 14rem }
td.number { text-align: right } .better { color: #06682d; font-weight: 600 }
"""


@dataclass(frozen=True)
class DemoExample:
    """One utterance: what was said, and what was heard before and after."""

    utterance: Utterance
    said: str
    before: str
    after: str


@dataclass(frozen=True)
class DemoResult:
    """What one part of the demo came to.

    Attributes
    ----------
    measure
        `WER`, `recall` (of the new words) or `right`; all between 0 and 1.
    before, after, from_random
        Of the pretrained model, of the fine-tuned one, and of one fine-tuned by the same recipe from random weights.
    seconds
        Of the fine-tuning.
    """

    title: str
    measure: str
    utterances: int
    before: float
    after: float
    from_random: float
    seconds: float
    examples: tuple[DemoExample, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the numbers, ready for JSON."""
        return {name: value for name, value in vars(self).items() if name != "examples"}


def write_demo_page(path: Path, results: Sequence[DemoResult], call: Transcript, call_wer: float) -> None:
    """Write the page."""
    head = "<!doctype html><html lang=en><meta charset=utf-8><title>speechxfer demo</title>"
    parts = [head, f"<style>{_STYLE}</style><h1>What transfer is worth</h1>"]
    parts.append(
        "<p>The pretrained model <i>tiny</i> as it comes, the same model after a short fine-tuning on this machine, and a model "
        "of its shape that started from random weights and had the same lessons. Voices and sentences of the tests are in no "
        "training set. Word error rates should be low, the other measures high.</p>"
    )
    parts.append(_table(("", "measure", "tests", "before", "after", "training", "from random weights"), map(_scores, results)))
    for result in results:
        rows = ((_player(example.utterance), example.said, example.before, example.after) for example in result.examples)
        cells = ((player, *map(escape, texts)) for player, *texts in rows)
        parts.append(f"<h2>{escape(result.title)}</h2>")
        parts.append(_table(("the first test of some voices", "said", "heard before", "heard after"), cells))
    parts.append(f"<h2>A call, as tiny hears it: WER {_percent(call_wer)}</h2>{_player(Utterance('call', call.audio))}")
    turns = ((f"{turn.start:.1f} s", escape(turn.role or ""), escape(turn.text)) for turn in call.segments)
    parts.append(_table(("time", "channel", "heard"), turns))
    write_text(path, "\n".join(parts) + "</html>\n")


def _scores(result: DemoResult) -> tuple[str, ...]:
    after = f"<span class=better>{_percent(result.after)}</span>"
    scores = (_percent(result.before), after, f"{result.seconds:.0f} s", _percent(result.from_random))
    return escape(result.title), result.measure, str(result.utterances), *scores


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(headings: Sequence[str], rows: Any) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _player(utterance: Utterance) -> str:
    sound = io.BytesIO()
    soundfile.write(sound, load_audio(utterance, _RATE), _RATE, format="OGG", subtype="OPUS")
    return f'<audio controls src="data:audio/ogg;base64,{base64.b64encode(sound.getvalue()).decode()}"></audio>'
