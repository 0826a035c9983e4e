"""Features of utterances in, what a decoder writes about them out: `Segment`s with word confidences, and times if asked for.

Greedy or beam search over batches; an answer that repeats itself or that the model does not believe is drawn again, warmer and
alone, so that it does not depend on its company (A. Radford et al., "Robust speech recognition via large-scale weak supervision",
2022, section 4.5). What stands in an answer is then read once more, for its probabilities and for where the decoder looked.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin
from transformers.modeling_outputs import BaseModelOutput

from speechxfer.data import plan_batches
from speechxfer.decoding.cross_attention import attention_to_frames, token_times
from speechxfer.models import FeatureBatch, Features, SplitModel, Tokens, autocast, collate
from speechxfer.transcript import Segment, Word

_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
_MAX_COMPRESSION, _MIN_LOG_PROB = 2.4, -1.0
# No language is spoken faster, not even where each letter takes several tokens; what is longer is a loop.
_TOKENS_PER_SECOND, _TOKENS_AT_LEAST = 15, 16


@dataclass(frozen=True)
class _Answer:
    tokens: list[int]  # without the end
    log_probs: list[float]  # of these, and of the end
    starts: list[float]  # of these, and of the end, in seconds; empty unless asked for

    @property
    def log_prob(self) -> float:
        return sum(self.log_probs) / len(self.log_probs)


def write(
    split: SplitModel,
    features: Sequence[Features],
    tokens: Tokens,
    precision: str = "fp32",
    *,
    num_beams: int = 1,
    times: bool = False,
    batch_frames: int = 6400,
) -> list[Segment]:
    """Decode utterances.

    Parameters
    ----------
    split
        A model with a decoder; it is run in evaluation mode.
    features
        At the model's cut, one per utterance.
    tokens
        The model's own.
    precision
        `fp32` or `bf16`.
    num_beams
        1 is greedy.
    times
        Whether words get times; otherwise they all span the utterance.
    batch_frames
        Upper bound of padded frames in one forward.

    Returns
    -------
    list of Segment
        In the order of `features`, times from the start of each utterance.
    """
    split.eval()
    found: dict[int, Segment] = {}
    lengths = split.frame_lengths(torch.tensor([item.input_length for item in features])).tolist()
    for rows in plan_batches(lengths, batch_frames):
        batch = collate([features[row] for row in rows]).to(split.device)
        with torch.no_grad(), autocast(split.device, precision):
            answers = [*_Writer(split, tokens, batch, num_beams=num_beams, times=times).answers()]
        seconds = [lengths[row] * split.frame_seconds for row in rows]
        found |= {row: _segment(one, tokens, length) for row, one, length in zip(rows, answers, seconds, strict=True)}
    return [found[row] for row in range(len(features))]


def share_with_times(
    split: SplitModel, features: Sequence[Features], tokens: Tokens, precision: str = "fp32", batch_frames: int = 6400
) -> float:
    """Tell how often the decoder, asked for times, says when speech begins and, later, when it ends.

    Parameters
    ----------
    split, features, tokens, precision, batch_frames
        As for `write`.

    Returns
    -------
    float
        The share of utterances.
    """
    split.eval()
    lengths = split.frame_lengths(torch.tensor([item.input_length for item in features])).tolist()
    kept = 0
    for rows in plan_batches(lengths, batch_frames):
        batch = collate([features[row] for row in rows]).to(split.device)
        with torch.no_grad(), autocast(split.device, precision):
            for answer in _Writer(split, tokens, batch, timed=True).first_answers():
                kept += bool(answer) and tokens.first_time <= answer[0] < answer[-1]
    return kept / len(features)


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
    return Segment(" ".join(word.text for word in words), later[0].start, later[-1].end, round(confidence, 4), tuple(words))


class _Writer:
    """Writes about one batch."""

    def __init__(
        self,
        split: SplitModel,
        tokens: Tokens,
        batch: FeatureBatch,
        *,
        num_beams: int = 1,
        times: bool = False,
        timed: bool = False,
    ) -> None:
        self._split = split
        self._tokens = tokens
        self._batch = batch
        self._hidden = split.encode(batch)
        self._lengths = split.frame_lengths(batch.input_lengths)
        self._num_beams = num_beams
        self._times = times
        self._prompts = self._find_prompts(timed)

    def answers(self) -> Iterator[_Answer]:
        everything = list(range(len(self._prompts)))
        for row, answer in zip(everything, self._read(everything, self.first_answers()), strict=True):
            yield self._believable(row, answer)

    def first_answers(self) -> list[list[int]]:
        return self._generate(range(len(self._prompts)))

    def _believable(self, row: int, answer: _Answer) -> _Answer:
        """Give the answer, or a warmer one that neither loops nor is doubted; failing that, the likeliest without its loop."""
        tried = [answer]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for temperature in _TEMPERATURES:
                if not self._loops(tried[-1]) and tried[-1].log_prob >= _MIN_LOG_PROB:
                    return tried[-1]
                tried += self._read([row], self._generate([row], temperature))
        best = max([one for one in tried if not self._loops(one)] or tried, key=lambda one: one.log_prob)
        return self._read([row], [_without_loop(best.tokens)])[0] if self._loops(best) else best

    def _loops(self, answer: _Answer) -> bool:
        text = self._tokens.text(answer.tokens).encode()
        return len(text) / len(zlib.compress(text)) > _MAX_COMPRESSION

    def _find_prompts(self, timed: bool) -> list[list[int]]:
        if not self._tokens.is_multilingual or self._tokens.language:
            return [self._tokens.prompt(timed=timed)] * len(self._hidden)
        start = torch.full((len(self._hidden), 1), self._tokens.start, device=self._hidden.device)
        names = [*self._tokens.languages]
        logits = self._logits(range(len(self._hidden)), start)[:, 0, [*self._tokens.languages.values()]]
        return [self._tokens.prompt(names[number], timed=timed) for number in logits.argmax(dim=-1).tolist()]

    def _generate(self, rows: Sequence[int], temperature: float = 0.0) -> list[list[int]]:
        generation = self._tokens.generation
        prompts = torch.tensor([self._prompts[row] for row in rows], device=self._hidden.device)
        limits = [_max_tokens(int(self._lengths[row]) * self._split.frame_seconds) for row in rows]
        settings = GenerationConfig(
            max_length=min(self._tokens.max_length, prompts.shape[1] + max(limits)),
            num_beams=1 if temperature else self._num_beams,
            do_sample=temperature > 0,
            temperature=temperature or None,
            eos_token_id=self._tokens.end,
            pad_token_id=self._tokens.end,
            decoder_start_token_id=self._tokens.start,
            suppress_tokens=generation.suppress_tokens,
            begin_suppress_tokens=generation.begin_suppress_tokens,
        )
        model: Any = self._split.model
        with self._encoded(rows) as encoded:
            # Whisper's own `generate` wants 30 s of log-mel; the general one takes encoder outputs of any length.
            sequences = GenerationMixin.generate(
                model,
                encoder_outputs=encoded,
                attention_mask=self._lengths.new_ones(len(rows), 1),  # ends a warning, no more
                decoder_input_ids=prompts,
                generation_config=settings,
            )
        answers = sequences[:, prompts.shape[1] :].tolist()
        return [_before(self._tokens.end, answer)[:limit] for answer, limit in zip(answers, limits, strict=True)]

    def _read(self, rows: Sequence[int], answers: Sequence[list[int]]) -> list[_Answer]:
        """Give answers their probabilities, and the times at which the decoder looked at their tokens."""
        prompt_length = len(self._prompts[0])
        longest = prompt_length + max(map(len, answers))
        given = torch.full((len(rows), longest), self._tokens.end, device=self._hidden.device)
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            given[place, : prompt_length + len(answer)] = torch.tensor([*self._prompts[row], *answer])
        heads = getattr(self._tokens.generation, "alignment_heads", None) if self._times else ()
        with attention_to_frames(self._split.model, heads, self._lengths[list(rows)]) as attention:
            log_probs = self._logits(rows, given).float().log_softmax(dim=-1).cpu()
        read = []
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            places = slice(prompt_length - 1, prompt_length + len(answer))  # each answers with the token after it
            expected = torch.tensor([*answer, self._tokens.end])
            own = log_probs[place, places].gather(1, expected[:, None])[:, 0].tolist()
            starts: list[float] = []
            if self._times:
                weights = attention.of(place)[:, :, : int(self._lengths[row])]
                starts = [frame * self._split.frame_seconds for frame in token_times(weights, places)]
            read.append(_Answer(answer, own, starts))
        return read

    def _logits(self, rows: Sequence[int], given: Tensor) -> Tensor:
        model: Any = self._split.model
        with self._encoded(rows) as encoded:
            logits: Tensor = model(encoder_outputs=encoded, decoder_input_ids=given, use_cache=False).logits
        return logits

    @contextmanager
    def _encoded(self, rows: Sequence[int]) -> Iterator[BaseModelOutput]:
        """Give what the decoder attends to, no longer padded than these rows need."""
        lengths = self._lengths[list(rows)]
        with self._split.attending_to(lengths):
            yield BaseModelOutput(last_hidden_state=self._hidden[list(rows), : int(lengths.max())])


def _max_tokens(seconds: float) -> int:
    return _TOKENS_AT_LEAST + math.ceil(seconds * _TOKENS_PER_SECOND)


def _before(end: int, answer: list[int]) -> list[int]:
    return answer[: answer.index(end)] if end in answer else answer


def _without_loop(answer: list[int]) -> list[int]:
    """Leave of what is said over and over at the end of an answer the first time."""
    for period in range(1, len(answer) // 3 + 1):
        unit = answer[-period:]
        start = len(answer)
        while answer[max(start - period, 0) : start] == unit:
            start -= period
        if len(answer) - start >= 3 * period:
            return answer[: start + period]
    return answer


def _segment(answer: _Answer, tokens: Tokens, seconds: float) -> Segment:
    words = []
    for text, places in tokens.words(answer.tokens):
        confidence = math.exp(sum(answer.log_probs[place] for place in places) / len(places))
        start, end = (answer.starts[places[0]], answer.starts[places[-1] + 1]) if answer.starts else (0.0, seconds)
        words.append(Word(text, round(start, 3), round(end, 3), round(confidence, 4)))
    return Segment(tokens.text(answer.tokens), 0.0, round(seconds, 3), round(math.exp(answer.log_prob), 4), tuple(words))
