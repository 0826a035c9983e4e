"""What was said and what was heard in; the differences out, marked for people, or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import jiwer


def aligned(reference: str, answer: str, measure: str) -> str:
    """Give both as one piece of HTML, errors marked by more than colour: words (`wer`), characters (`cer`), labels (`error`)."""
    if measure == "error":
        return f"{escape(reference)} → {escape(answer)}"
    if not reference.split():
        return f"<ins>{escape(answer)}</ins>"
    apart = _between(measure)
    said, heard = _units(reference, measure), _units(answer, measure)
    parts = []
    for chunk in _alignments([reference], [answer], measure)[0]:
        own = escape(apart.join(said[chunk.ref_start_idx : chunk.ref_end_idx]))
        other = escape(apart.join(heard[chunk.hyp_start_idx : chunk.hyp_end_idx]))
        marked = {
            "equal": own,
            "delete": f"<del>{own}</del>",
            "insert": f"<ins>{other}</ins>",
            "substitute": f"<mark>{own} → {other}</mark>",
        }
        parts.append(marked[chunk.type])
    return apart.join(parts)


def confused(references: Sequence[str], answers: Sequence[str], measure: str) -> Counter[tuple[str, str]]:
    """Count the words, or characters (`cer`), that were taken for others: said and heard."""
    spoken = [(reference, answer) for reference, answer in zip(references, answers, strict=True) if reference.split()]
    pairs: Counter[tuple[str, str]] = Counter()
    alignments = _alignments([one for one, _ in spoken], [other for _, other in spoken], measure) if spoken else []
    for (reference, answer), chunks in zip(spoken, alignments, strict=True):
        said, heard = _units(reference, measure), _units(answer, measure)
        for chunk in (chunk for chunk in chunks if chunk.type == "substitute"):
            own, other = said[chunk.ref_start_idx : chunk.ref_end_idx], heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
            pairs.update(zip(own, other, strict=True))
    return pairs


def _units(text: str, measure: str) -> list[str]:
    return list(text) if measure == "cer" else text.split()


def _between(measure: str) -> str:
    return "" if measure == "cer" else " "


def _alignments(references: list[str], answers: list[str], measure: str) -> Sequence[Any]:
    process = jiwer.process_characters if measure == "cer" else jiwer.process_words
    alignments: Sequence[Any] = process(references, answers).alignments
    return alignments
