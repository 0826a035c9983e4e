"""Samples `[num_samples]` in, the model's inputs out: one utterance alone, before any batching.

Log-mel `[mel frames, mels]`, or the waveform `[samples]` itself, normalised as the checkpoint says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

from speechxfer.data import Samples
from speechxfer.errors import ModelError
from speechxfer.models.families import Family

_EXTRACTORS: dict[str, Any] = {"log_mel": WhisperFeatureExtractor, "waveform": Wav2Vec2FeatureExtractor}


class Frontend:
    """Makes inputs of the clip as long as it is, padded with silence to the shortest that gives a frame, or to a whole frame.

    Parameters
    ----------
    extractor
        The model's own feature extractor.
    family
        The model's family.
    context
        `adaptive`: as many inputs as there is audio. `stock`: always those of Whisper's window of 30 s.

    Attributes
    ----------
    context
        As given.
    max_seconds
        The longest utterance that is taken whole.
    """

    def __init__(
        self, extractor: WhisperFeatureExtractor | Wav2Vec2FeatureExtractor, family: Family, context: str = "adaptive"
    ) -> None:
        self._extractor = extractor
        self._family = family
        self.context = context
        self.sampling_rate = int(extractor.sampling_rate)
        self.max_seconds = family.max_seconds

    @classmethod
    def load(cls, directory: Path, family: Family, context: str = "adaptive") -> Frontend:
        """Read `preprocessor_config.json`.

        Raises
        ------
        ModelError
            If it is missing or not readable.
        """
        try:
            return cls(_EXTRACTORS[family.inputs].from_pretrained(directory, local_files_only=True), family, context)
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{directory}: cannot read preprocessor_config.json: {error}") from None

    def in_context(self, context: str) -> Frontend:
        """Give the same with another context."""
        return Frontend(self._extractor, self._family, context)

    def save(self, directory: Path) -> None:
        """Write `preprocessor_config.json`."""
        self._extractor.save_pretrained(directory)

    def settings(self) -> str:
        """Give everything that shapes the inputs, as text."""
        return f"{self._extractor.to_json_string()}{self._family}{self.context}"

    def num_inputs(self, num_samples: int) -> int:
        """Give the input positions (mel frames or samples) that this many samples become."""
        if self._family.inputs == "waveform":
            return max(num_samples, self._family.min_samples)
        return self._num_frames(num_samples) * self._family.samples_per_frame // self._family.samples_per_input

    def seconds_computed(self, seconds: float) -> float:
        """Give how much audio the model works on for so much."""
        return self.max_seconds if self.context == "stock" else seconds

    def _num_frames(self, num_samples: int) -> int:
        if self.context == "stock":
            num_samples = round(self.max_seconds * self.sampling_rate)
        return max(1, -(-num_samples // self._family.samples_per_frame))

    def __call__(self, samples: Samples) -> Tensor:
        """Give float32 `[mel frames, mels]`, an even number of mel frames, or `[samples]`."""
        if self._family.inputs == "waveform":
            # Normalised alone and before padding: a clip's features must not depend on its company.
            made = self._extractor(samples, sampling_rate=self.sampling_rate, padding="do_not_pad", return_tensors="np")
            values = np.asarray(made["input_values"][0], dtype=np.float32)
            return torch.from_numpy(np.pad(values, (0, self.num_inputs(len(values)) - len(values))))
        wanted = self._num_frames(len(samples)) * self._family.samples_per_frame
        features = self._extractor(
            np.pad(samples, (0, wanted - len(samples))),
            sampling_rate=self.sampling_rate,
            padding="do_not_pad",
            truncation=False,
            return_tensors="np",
        )
        return torch.from_numpy(features["input_features"][0].T)
