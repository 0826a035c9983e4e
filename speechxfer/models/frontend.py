"""Samples `[num_samples]` in, the model's inputs `[input positions, width]` out: one utterance alone, before any batching."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from speechxfer.data import Samples
from speechxfer.errors import ModelError
from speechxfer.models.families import Family


class Frontend:
    """Log-mel features of the clip as long as it is, padded with silence to a whole frame only.

    Parameters
    ----------
    extractor
        The model's own feature extractor.
    family
        The model's family.
    """

    def __init__(self, extractor: WhisperFeatureExtractor, family: Family) -> None:
        self._extractor = extractor
        self._family = family
        self.sampling_rate = int(extractor.sampling_rate)

    @classmethod
    def load(cls, directory: Path, family: Family) -> Frontend:
        """Read `preprocessor_config.json`.

        Raises
        ------
        ModelError
            If it is missing or not readable.
        """
        try:
            return cls(WhisperFeatureExtractor.from_pretrained(directory, local_files_only=True), family)
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{directory}: cannot read preprocessor_config.json: {error}") from None

    def save(self, directory: Path) -> None:
        """Write `preprocessor_config.json`."""
        self._extractor.save_pretrained(directory)

    @property
    def max_seconds(self) -> float:
        """The longest utterance the model takes."""
        return float(self._extractor.chunk_length)

    def num_frames(self, num_samples: int) -> int:
        """Give the frames that this many samples become at the head."""
        return max(1, -(-num_samples // self._family.samples_per_frame))

    def __call__(self, samples: Samples) -> Tensor:
        """Give float32 `[mel frames, mels]`; the number of mel frames is even."""
        padded = np.pad(samples, (0, self.num_frames(len(samples)) * self._family.samples_per_frame - len(samples)))
        features = self._extractor(
            padded, sampling_rate=self.sampling_rate, padding="do_not_pad", truncation=False, return_tensors="np"
        )
        return torch.from_numpy(features["input_features"][0].T)
