"""Features of utterances in, what a decoder writes about them out: `Segment`s with word confidences, and times if asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from speechxfer.data import plan_batches
from speechxfer.decoding.answers import Writer, believed, read_first, to_segment
from speechxfer.decoding.ct2_writer import Ct2Writer
from speechxfer.decoding.hotwords import Hotword, read_hotwords, write_forms
from speechxfer.decoding.split_writer import SplitWriter
from speechxfer.errors import ModelError
from speechxfer.models import Ct2Inference, Features, InferenceModel, SpeechModel, SplitModel, Tokens, collate
from speechxfer.transcript import Segment

_NO_HOTWORDS = "an exported model cannot listen for hotwords; use the one that it was exported from, or a prompt"


def write(
    model: InferenceModel,
    features: Sequence[Features],
    tokens: Tokens,
    precision: str = "fp32",
    *,
    num_beams: int = 1,
    times: bool = False,
    redraws: bool = True,
    prompt: str = "",
    hotwords: Sequence[Hotword] = (),
    language: str | None = None,
    batch_frames: int = 6400,
) -> list[Segment]:
    """Decode utterances.

    Parameters
    ----------
    model
        With a decoder, split or exported; it is run in evaluation mode.
    features
        At the model's cut, one per utterance.
    tokens
        The model's own.
    precision
        `fp32` or `bf16`; an exported model has its own.
    num_beams
        1 is greedy.
    times
        Whether words get times; otherwise they may all span the utterance.
    redraws
        Whether answers that loop or are doubted are drawn again, see `speechxfer.decoding.answers`.
    prompt
        What the decoder is told that was said before, such as names that may come.
    hotwords
        Terms to listen for, by beam search; an exported model cannot.
    language
        ISO code, for a multilingual model; None is the one it was fine-tuned for, or for none, what it hears.
    batch_frames
        Upper bound of padded frames in one forward.

    Returns
    -------
    list of Segment
        In the order of `features`, times from the start of each utterance.

    Raises
    ------
    ModelError
        If an exported model is to listen for hotwords, the model does not know the language, or there is a prompt and it takes
        none.

    Notes
    -----
    Answers are drawn again as in A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2022, section
    4.5.
    """
    tokens = tokens.speaking(language)
    found: dict[int, Segment] = {}
    lengths = model.frame_lengths(torch.tensor([item.input_length for item in features])).tolist()
    options = {"num_beams": num_beams, "times": times, "previous": prompt, "hotwords": hotwords}
    batches = _writers(model, features, tokens, precision, batch_frames, **options)
    for rows, writer in batches:
        answers = believed(writer, tokens, len(rows)) if redraws else read_first(writer, len(rows))
        for row, answer, language in zip(rows, answers, writer.languages, strict=True):
            spelled = to_segment(answer, tokens, lengths[row] * model.frame_seconds, language)
            found[row] = write_forms(spelled, hotwords)
    return [found[row] for row in range(len(features))]


def writing_options(
    model: SpeechModel,
    hotwords: str | Path | Sequence[str] = (),
    language_model: str | Path | None = None,
    prompt: str = "",
    language: str | None = None,
) -> dict[str, Any]:
    """Give the options of `write` for what a user wants listened for; the counterpart of `make_decoder`.

    Parameters
    ----------
    model
        That is to write.
    hotwords
        A file or lines, see `speechxfer.decoding.read_hotwords`.
    language_model
        None: a decoder is its own.
    prompt, language
        See `write`.

    Returns
    -------
    dict
        `hotwords`, `prompt`, `language`.

    Raises
    ------
    ModelError
        If there is a language model, the model does not know the language, or it was exported and is to listen for hotwords.
    DataError
        With all that is wrong with the hotwords.
    """
    if language_model:
        raise ModelError("language models need a model that writes letters (CTC); a decoder is its own")
    if hotwords and model.is_exported:
        raise ModelError(_NO_HOTWORDS)
    if model.tokens:
        model.tokens.speaking(language)
    return {"prompt": prompt, "language": language, "hotwords": read_hotwords(hotwords, None) if hotwords else ()}


def share_with_times(
    model: InferenceModel, features: Sequence[Features], tokens: Tokens, precision: str = "fp32", batch_frames: int = 6400
) -> float:
    """Tell how often the decoder, asked for times, says when speech begins and, later, when it ends.

    Parameters
    ----------
    model, features, tokens, precision, batch_frames
        As for `write`.

    Returns
    -------
    float
        The share of utterances.
    """
    kept = 0
    for rows, writer in _writers(model, features, tokens, precision, batch_frames, timed=True):
        for answer in writer.generate(range(len(rows))):
            kept += bool(answer) and tokens.first_time <= answer[0] < answer[-1]
    return kept / len(features)


def _writers(
    model: InferenceModel, features: Sequence[Features], tokens: Tokens, precision: str, batch_frames: int, **options: Any
) -> Iterator[tuple[list[int], Writer]]:
    """Give batches of rows of similar length, each with what writes about it."""
    model.eval()
    lengths = model.frame_lengths(torch.tensor([item.input_length for item in features])).tolist()
    if isinstance(model, Ct2Inference):
        options.pop("times", None)  # they come with the probabilities
        if options.pop("hotwords", ()):
            raise ModelError(_NO_HOTWORDS)
        for length in sorted(set(lengths)):
            equal = [row for row, own in enumerate(lengths) if own == length]
            size = max(1, batch_frames // length)
            for start in range(0, len(equal), size):
                rows = equal[start : start + size]
                yield rows, Ct2Writer(model, tokens, [features[row] for row in rows], **options)
        return
    assert isinstance(model, SplitModel)
    for rows in plan_batches(lengths, batch_frames):
        batch = collate([features[row] for row in rows]).to(model.device)
        yield rows, SplitWriter(model, tokens, batch, precision, **options)


def join_written(segments: Sequence[Segment], starts: Sequence[float], overlap: float) -> Segment:
    """Join what was written about windows of one stretch of speech: each gives way to the next in the middle of their overlap.

    Parameters
    ----------
    segments
        With times, each from the start of its window.
    starts
        Of the windows, in seconds.
    overlap
        Of each window with the one before, in seconds.

    Returns
    -------
    Segment
        Times from the start of the first window.
    """
    if len(segments) == 1:
        return segments[0]
    later = [segment.later(start) for segment, start in zip(segments, starts, strict=True)]
    changes = [0.0, *(start + overlap / 2 for start in starts[1:]), math.inf]
    words = [
        word
        for segment, first, last in zip(later, changes, changes[1:], strict=False)
        for word in segment.words
        if first <= word.start < last
    ]
    confidence = math.exp(sum(math.log(max(segment.confidence, 1e-9)) for segment in later) / len(later))
    text = " ".join(word.text for word in words)
    return Segment(text, later[0].start, later[-1].end, round(confidence, 4), tuple(words), language=later[0].language)
