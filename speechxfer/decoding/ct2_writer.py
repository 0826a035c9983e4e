"""Log-mel of equally long clips in, answers by CTranslate2 out.

It knows no padding, so clips of other lengths do not share a batch. What it draws is another answer each time: its dice belong to
its threads, which cannot be asked to begin again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from speechxfer.decoding.answers import Answer, max_tokens
from speechxfer.models import Ct2Inference, Features, Tokens


class Ct2Writer:
    """Writes about one batch.

    Parameters
    ----------
    model
        Exported for CTranslate2.
    tokens
        The model's own.
    features
        Log-mel `[mel frames, mels]`, equally long.
    num_beams
        1 is greedy.
    timed
        Whether answers hold times.
    previous
        What the decoder is told that was said before.
    """

    def __init__(
        self,
        model: Ct2Inference,
        tokens: Tokens,
        features: Sequence[Features],
        *,
        num_beams: int = 1,
        timed: bool = False,
        previous: str = "",
    ) -> None:
        self._model = model.model
        self._frame_seconds = model.frame_seconds
        self._tokens = tokens
        self._mel = np.stack([item.frames.float().numpy().T for item in features])
        self._num_beams = num_beams
        self._seconds = features[0].input_length * model.family.samples_per_input / model.family.sampling_rate
        self._encoded = self._model.encode(self._mel)
        self.languages = self._find_languages()
        self._prompts = [tokens.prompt(language, timed=timed, previous=previous) for language in self.languages]

    def limit(self, row: int) -> int:
        """Give how many tokens an answer may have; see `Writer`."""
        # Aligning takes a position for the end as well.
        return min(max_tokens(self._seconds), self._tokens.max_length - len(self._prompts[row]) - 1)

    def generate(self, rows: Sequence[int], temperature: float = 0.0) -> list[list[int]]:
        """Give answers, without the end; see `Writer`."""
        prompts = [self._prompts[row] for row in rows]
        limit = self.limit(rows[0])
        results = self._model.engine.generate(
            self._of(rows),
            prompts,
            beam_size=1 if temperature else self._num_beams,
            max_length=2 * limit,  # of which it takes half for an answer
            sampling_topk=0 if temperature else 1,
            sampling_temperature=temperature or 1.0,
            suppress_tokens=self._tokens.generation.suppress_tokens or [],
            suppress_blank=True,
        )
        return [[token for token in result.sequences_ids[0] if token != self._tokens.end][:limit] for result in results]

    def read(self, rows: Sequence[int], answers: Sequence[list[int]]) -> list[Answer]:
        """Give answers their times, and their probabilities among all tokens of text; see `Writer`."""
        read = {place: Answer([], [], [0.0]) for place in range(len(rows))}
        # It aligns answers behind one and the same prompt, in which it says itself that there are no times.
        behind: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            if answer:
                behind[tuple(token for token in self._prompts[row] if token != self._tokens.first_time - 1)].append(place)
        for prompt, places in behind.items():
            own = [answers[place] for place in places]
            encoded = self._of([rows[place] for place in places])
            found = self._model.engine.align(encoded, list(prompt), own, self._mel.shape[2])
            read |= {place: self._answer(*one) for place, *one in zip(places, own, found, strict=True)}
        return [read[place] for place in range(len(rows))]

    def _answer(self, answer: list[int], aligned: Any) -> Answer:
        starts: dict[int, float] = {}
        for token, frame in aligned.alignments:
            starts.setdefault(token, frame * self._frame_seconds)
        times = [starts.get(place, self._seconds) for place in range(len(answer) + 1)]
        return Answer(answer, np.log(np.maximum(aligned.text_token_probs, 1e-9)).tolist(), times)

    def _find_languages(self) -> list[str | None]:
        if not self._tokens.is_multilingual or self._tokens.language:
            return [self._tokens.language] * len(self._mel)
        heard = self._model.engine.detect_language(self._encoded)
        return [found[0][0].strip("<|>") for found in heard]

    def _of(self, rows: Sequence[int]) -> Any:
        """Give what the encoder made of some rows; of less than all it is made again."""
        return self._encoded if len(rows) == len(self._mel) else self._model.encode(self._mel[list(rows)])
