"""Results of the demo in, one HTML page with numbers, sound and text out; it needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from speechxfer.data import Utterance, write_whole
from speechxfer.report.html import page, percent, player, table
from speechxfer.transcript import Transcript


@dataclass(frozen=True)
class DemoExample:
    """One utterance of a test.

    Attributes
    ----------
    utterance
        To be heard.
    said
        The text, or label.
    before, after
        What was heard before and after the fine-tuning.
    """

    utterance: Utterance
    said: str
    before: str
    after: str


@dataclass(frozen=True)
class DemoResult:
    """What one part of the demo came to.

    Attributes
    ----------
    title
        Of the part.
    measure
        `WER`, `recall` (of the new words) or `right`; all between 0 and 1.
    utterances
        That were tested.
    before, after, from_random
        Of the pretrained model, of the fine-tuned one, and of one fine-tuned by the same recipe from random weights.
    seconds
        Of the fine-tuning.
    examples
        Of the utterances, for the page.
    remark
        What else there is to know about these numbers.
    """

    title: str
    measure: str
    utterances: int
    before: float
    after: float
    from_random: float
    seconds: float
    examples: tuple[DemoExample, ...]
    remark: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the numbers, ready for JSON."""
        return {name: value for name, value in vars(self).items() if name != "examples"}


def write_demo_page(path: Path, results: Sequence[DemoResult], call: Transcript, call_wer: float) -> None:
    """Write the page.

    Parameters
    ----------
    path
        The file; it needs no other.
    results
        Of the parts of the demo.
    call, call_wer
        A transcribed call, whose `audio` is a file, and its WER between 0 and 1.

    Raises
    ------
    StorageError
        If it cannot be written.
    AudioError
        If sound that is to be heard in it cannot be read.
    """
    parts = [
        "<p>The pretrained model <i>tiny</i> as it comes, the same model after a short fine-tuning on this machine, and a model "
        "of its shape that started from random weights and had the same lessons. Voices and sentences of the tests are in no "
        "training set. Word error rates should be low, the other measures high.</p>",
        table(("", "measure", "tests", "before", "after", "training", "from random weights"), map(_scores, results)),
    ]
    for result in results:
        cells = [
            (player(example.utterance), *map(escape, (example.said, example.before, example.after)))
            for example in result.examples
        ]
        parts.append(f"<h2>{escape(result.title)}</h2>")
        if result.remark:
            parts.append(f"<p>{escape(result.remark)}</p>")
        parts.append(table(("the first test of some voices", "said", "heard before", "heard after"), cells))
    parts.append(f"<h2>A call, as tiny hears it: WER {percent(call_wer)}</h2>{player(Utterance('call', call.audio))}")
    turns = [(f"{turn.start:.1f} s", escape(turn.role or ""), escape(turn.text)) for turn in call.segments]
    parts.append(table(("time", "channel", "heard"), turns))
    write_whole(str(path), page("What transfer is worth", parts))


def _scores(result: DemoResult) -> tuple[str, ...]:
    after = f'<span class="better">{percent(result.after)}</span>'
    scores = (percent(result.before), after, f"{result.seconds:.0f} s", percent(result.from_random))
    return escape(result.title), result.measure, str(result.utterances), *scores
