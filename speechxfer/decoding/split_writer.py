"""Features of a batch in, answers of a decoder that runs in torch out.

Greedy, by beam search, or drawn. What stands in an answer is read once more, for its probabilities and for where the decoder
looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from speechxfer.decoding.answers import Answer, max_tokens
from speechxfer.decoding.cross_attention import attention_to_frames, token_times
from speechxfer.decoding.hotwords import Hotword
from speechxfer.decoding.token_hotwords import NUM_BEAMS, TokenBias
from speechxfer.models import FeatureBatch, SplitModel, Tokens, autocast


class SplitWriter:
    """Writes about one batch.

    Parameters
    ----------
    split
        With a decoder.
    tokens
        The model's own.
    batch
        Features at the cut, on the model's device.
    precision
        `fp32` or `bf16`.
    num_beams
        1 is greedy.
    times
        Whether answers that are read get times.
    timed
        Whether answers hold times.
    previous
        What the decoder is told that was said before.
    hotwords
        Terms to listen for, by beam search.
    """

    def __init__(
        self,
        split: SplitModel,
        tokens: Tokens,
        batch: FeatureBatch,
        precision: str,
        *,
        num_beams: int = 1,
        times: bool = False,
        timed: bool = False,
        previous: str = "",
        hotwords: Sequence[Hotword] = (),
    ) -> None:
        self._split = split
        self._tokens = tokens
        self._precision = precision
        self._lengths = split.frame_lengths(batch.input_lengths)
        self._num_beams = max(num_beams, NUM_BEAMS) if hotwords else num_beams
        self._times = times
        with self._computing():
            self._hidden = split.encode(batch)
            self.languages = self._find_languages()
        self._prompts = [tokens.prompt(language, timed=timed, previous=previous) for language in self.languages]
        self._bias = [TokenBias(hotwords, tokens, len(self._prompts[0]))] if hotwords else []

    def _find_languages(self) -> list[str | None]:
        if not self._tokens.is_multilingual or self._tokens.language:
            return [self._tokens.language] * len(self._hidden)
        start = torch.full((len(self._hidden), 1), self._tokens.start, device=self._hidden.device)
        names = [*self._tokens.languages]
        logits = self._logits(range(len(self._hidden)), start)[:, 0, [*self._tokens.languages.values()]]
        return [names[number] for number in logits.argmax(dim=-1).tolist()]

    def limit(self, row: int) -> int:
        """Give how many tokens an answer may have; see `Writer`."""
        return min(
            max_tokens(int(self._lengths[row]) * self._split.frame_seconds), self._tokens.max_length - len(self._prompts[0])
        )

    def generate(self, rows: Sequence[int], temperature: float = 0.0) -> list[list[int]]:
        """Give answers, without the end; see `Writer`."""
        generation = self._tokens.generation
        prompts = torch.tensor([self._prompts[row] for row in rows], device=self._hidden.device)
        limits = [self.limit(row) for row in rows]
        settings = GenerationConfig(
            max_length=prompts.shape[1] + max(limits),
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
        with self._computing(), self._encoded(rows) as encoded, _drawing_the_same(self._hidden.device, temperature):
            # Whisper's own `generate` wants 30 s of log-mel; the general one takes encoder outputs of any length.
            sequences = GenerationMixin.generate(
                model,
                encoder_outputs=encoded,
                attention_mask=self._lengths.new_ones(len(rows), 1),  # ends a warning, no more
                decoder_input_ids=prompts,
                generation_config=settings,
                logits_processor=LogitsProcessorList(self._bias),
            )
        answers = sequences[:, prompts.shape[1] :].tolist()
        return [_before(self._tokens.end, answer)[:limit] for answer, limit in zip(answers, limits, strict=True)]

    def read(self, rows: Sequence[int], answers: Sequence[list[int]]) -> list[Answer]:
        """Give answers their probabilities, and the times at which the decoder began to look at their tokens; see `Writer`."""
        prompt_length = len(self._prompts[0])
        longest = prompt_length + max(map(len, answers))
        given = torch.full((len(rows), longest), self._tokens.end, device=self._hidden.device)
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            given[place, : prompt_length + len(answer)] = torch.tensor([*self._prompts[row], *answer])
        heads = getattr(self._tokens.generation, "alignment_heads", None) if self._times else ()
        with self._computing(), attention_to_frames(self._split.model, heads, self._lengths[list(rows)]) as attention:
            logits = self._logits(rows, given).float()
        # Behind an answer, given is filled up with ends, so the first of them is what is expected there.
        expected = torch.nn.functional.pad(given[:, 1:], (0, 1), value=self._tokens.end)
        log_probs = (logits.gather(-1, expected[..., None])[..., 0] - logits.logsumexp(dim=-1)).cpu()
        read = []
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            places = slice(prompt_length - 1, prompt_length + len(answer))  # each answers with the token after it
            starts: list[float] = []
            if self._times:
                weights = attention.of(place)[:, :, : int(self._lengths[row])]
                starts = [frame * self._split.frame_seconds for frame in token_times(weights, places)]
            read.append(Answer(answer, log_probs[place, places].tolist(), starts))
        return read

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with torch.no_grad(), autocast(self._split.device, self._precision):
            yield

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


@contextmanager
def _drawing_the_same(device: torch.device, temperature: float) -> Iterator[None]:
    """Draw answers that do not depend on what was drawn before, and leave the generators as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else [], enabled=temperature > 0):
        if temperature:
            torch.manual_seed(0)
        yield


def _before(end: int, answer: list[int]) -> list[int]:
    return answer[: answer.index(end)] if end in answer else answer
