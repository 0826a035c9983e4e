"""A recording's log-probabilities and its text in; segments, one per line of the text, with word times out.

Text and recording are cut into blocks where what was recognised agrees with the text on both sides of a pause, so that an hour is
no harder to align than a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import jiwer
import torch
from torch import Tensor

from speechxfer.data import Vocabulary, normalise
from speechxfer.decoding import align_words, frames_needed, greedy
from speechxfer.errors import AlignmentError
from speechxfer.transcript import Segment, Word

_MAX_CELLS = 1.5e9  # frames x symbols of a block: bytes that the aligner needs
_ANCHOR_LETTERS = 5  # a word alone is trusted from this length on; two in a row always


@dataclass(frozen=True)
class Piece:
    """A stretch of speech: where it begins, in seconds, and float `[frames, vocabulary]`."""

    start: float
    log_probs: Tensor


def align_lines(
    pieces: Sequence[Piece], lines: Sequence[str], vocabulary: Vocabulary, normaliser: str, frame_seconds: float
) -> list[Segment]:
    """Find when each word of a text was said.

    Parameters
    ----------
    pieces
        All speech of the recording, in order.
    lines
        Its text.
    vocabulary, normaliser
        The model's.
    frame_seconds
        Time between two frames.

    Returns
    -------
    list of Segment
        One per line that has words, written as they were given.

    Raises
    ------
    AlignmentError
        If the text does not fit the recording.
    """
    written = [(number, word) for number, line in enumerate(lines) for word in line.split()]
    spoken = [normalise(word, normaliser) for _, word in written]
    if not written:
        return []
    if not pieces:
        raise AlignmentError("no speech was found that the text could belong to")
    timed: list[Word] = []
    for some, first, last in _blocks(pieces, spoken, vocabulary, frame_seconds):
        timed += _align_block(some, written[first:last], spoken[first:last], vocabulary, frame_seconds)
    by_line: dict[int, list[Word]] = {}
    for (number, _), word in zip(written, timed, strict=True):
        by_line.setdefault(number, []).append(word)
    return [_segment(words) for words in by_line.values()]


def _segment(words: Sequence[Word]) -> Segment:
    confidence = sum(word.confidence for word in words) / len(words)
    return Segment(" ".join(word.text for word in words), words[0].start, words[-1].end, round(confidence, 4), tuple(words))


def _align_block(
    pieces: Sequence[Piece],
    written: Sequence[tuple[int, str]],
    spoken: Sequence[str],
    vocabulary: Vocabulary,
    frame_seconds: float,
) -> Iterator[Word]:
    if not spoken:
        return
    log_probs = torch.cat([piece.log_probs for piece in pieces])
    needed, line = frames_needed(spoken, vocabulary), written[0][0] + 1
    if needed > len(log_probs):
        raise AlignmentError(
            f"line {line}: the words from {written[0][1]!r} to {written[-1][1]!r} do not fit into the speech at "
            f"{pieces[0].start:.1f} s; see whether they were said there"
        )
    if 2 * needed * len(log_probs) > _MAX_CELLS:
        raise AlignmentError(
            f"line {line}: too little of what follows {pieces[0].start:.1f} s was recognised to find the way; "
            "give shorter recordings, or a better model"
        )
    times = [piece.start + frame * frame_seconds for piece in pieces for frame in range(len(piece.log_probs))]
    for (_, word), place in zip(written, align_words(log_probs, spoken, vocabulary), strict=True):
        start = times[min(place.first, len(times) - 1)]
        end = times[place.last - 1] + frame_seconds if place.last > place.first else start
        yield Word(word, round(start, 3), round(end, 3), place.confidence)


def _blocks(
    pieces: Sequence[Piece], spoken: Sequence[str], vocabulary: Vocabulary, frame_seconds: float
) -> Iterator[tuple[Sequence[Piece], int, int]]:
    """Cut pieces and words where it is certain which words come before a pause; gives pieces, first word, last word."""
    heard = [
        (word.text, number)
        for number, piece in enumerate(pieces)
        for word in greedy(piece.log_probs, vocabulary, frame_seconds).words
    ]
    anchors = [*_anchors([text for text, _ in heard], spoken)]
    first_piece = first_word = 0
    for (here, word), (next_here, next_word) in pairwise(anchors):
        piece, next_piece = heard[here][1], heard[next_here][1]
        if piece == next_piece:
            continue
        # What lies between two anchors is on one side of one pause only, or nothing is certain.
        between = {number for _, number in heard[here + 1 : next_here]}
        if not between and next_word == word + 1 and next_piece == piece + 1:
            cut = next_word
        elif between == {piece} and next_piece == piece + 1:
            cut = next_word
        elif between == {next_piece} and next_piece == piece + 1:
            cut = word + 1
        else:
            continue
        yield pieces[first_piece:next_piece], first_word, cut
        first_piece, first_word = next_piece, cut
    yield pieces[first_piece:], first_word, len(spoken)


def _anchors(heard: Sequence[str], spoken: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Give pairs of a word heard and the same word of the text, by the alignment with the fewest edits."""
    parts = [(part, number) for number, word in enumerate(spoken) for part in word.split()]
    if not heard or not parts:
        return
    aligned = jiwer.process_words(" ".join(part for part, _ in parts), " ".join(heard)).alignments[0]
    for chunk in aligned:
        length = chunk.hyp_end_idx - chunk.hyp_start_idx
        if chunk.type == "equal" and (length > 1 or len(heard[chunk.hyp_start_idx]) >= _ANCHOR_LETTERS):
            yield from ((chunk.hyp_start_idx + offset, parts[chunk.ref_start_idx + offset][1]) for offset in range(length))
