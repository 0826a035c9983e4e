"""Pieces of a page that needs nothing beside it: tables, sound and pictures in; HTML out."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import soundfile

from speechxfer.data import Utterance, load_audio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RATE = 16_000
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --faint: #d6d6da; --paper: #fff; --good: #06682d; --bad: #a11212 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf0; --faint: #48484d; --paper: #19191b; --good: #6bd391; --bad: #ff8f8f }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
body { color: var(--ink); background: var(--paper) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--faint) }
th { border-bottom: 2px solid var(--ink) } audio { height: 2rem; width: 14rem } pre { overflow-x: auto; font-size: .85rem }
figure { margin: 1rem 0; background: #fff; overflow-x: auto } figure svg { max-width: 100%; height: auto }
.verdict { font-size: 1.25rem; font-weight: 600 } .better { color: var(--good); font-weight: 600 } .worse { color: var(--bad) }
del { color: var(--bad) } ins { color: var(--good); text-decoration: none } ins::before { content: "+" }
mark { background: none; color: inherit; border-bottom: 2px dashed var(--bad) }
@media (max-width: 40rem) { th, td { padding: .3rem } audio { width: 6rem } }
@media print { body { margin: 0; max-width: none } audio { display: none } tr, figure { break-inside: avoid } }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """Put a page together."""
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<!doctype html><html lang="en"><meta charset="utf-8">{viewport}<title>{escape(title)}</title><style>{_STYLE}</style>'
    return "\n".join([head, f"<h1>{escape(title)}</h1>", *parts, "</html>\n"])


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table; cells are HTML."""
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def player(utterance: Utterance) -> str:
    """Give an audio player that holds the utterance's sound."""
    sound = io.BytesIO()
    soundfile.write(sound, load_audio(utterance, _RATE), _RATE, format="OGG", subtype="OPUS")
    return f'<audio controls src="data:audio/ogg;base64,{base64.b64encode(sound.getvalue()).decode()}"></audio>'


def picture(figure: Figure, description: str) -> str:
    """Give a figure as a picture of lines."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    svg = drawn.getvalue()
    return f'<figure role="img" aria-label="{escape(description)}">{svg[svg.index("<svg") :]}</figure>'


def percent(share: Any) -> str:
    """Give a share in per cent, or a dash."""
    return "–" if share is None else f"{100 * share:.1f} %"
