"""Samples `[num_samples]` in, the model's inputs out: one utterance alone, before any batching.

Log-mel or filterbank `[frames, width]`, or the waveform `[samples]` itself, normalised as the checkpoint says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import SequenceFeatureExtractor

from speechxfer.data import Samples
from speechxfer.errors import ModelError
from speechxfer.models.families import Family


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
    sampling_rate
        Of the samples that it takes, in Hz.
    max_seconds
        The longest utterance that is taken whole.
    """

    def __init__(self, extractor: SequenceFeatureExtractor, family: Family, context: str = "adaptive") -> None:
        self._extractor: Any = extractor
        self._family = family
        self.context = context
        self.sampling_rate = int(self._extractor.sampling_rate)
        self.max_seconds = family.max_seconds

    @classmethod
    def load(cls, directory: Path, family: Family, context: str = "adaptive") -> Frontend:
        """Read `preprocessor_config.json`.

        Parameters
        ----------
        directory
            Of the model.
        family, context
            As for the class.

        Returns
        -------
        Frontend
            With the model's own feature extractor.

        Raises
        ------
        ModelError
            If it is missing or not readable.
        """
        try:
            kind = getattr(transformers, family.extractor)
            return cls(kind.from_pretrained(directory, local_files_only=True), family, context)
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

    @property
    def normalises_waveform(self) -> bool:
        """Whether the inputs are the waveform itself, with mean 0 and variance 1."""
        return self._family.inputs == "waveform" and bool(self._extractor.do_normalize)

    def num_inputs(self, num_samples: int) -> int:
        """Give the input positions (mel frames or samples) that this many samples become."""
        at_least = max(num_samples, self._family.min_samples)
        if self._family.inputs == "waveform":
            return at_least
        if self._family.inputs == "filterbank":
            return (at_least - self._family.min_samples) // self._family.samples_per_input + 1
        return self._num_frames(num_samples) * self._family.samples_per_frame // self._family.samples_per_input

    def seconds_computed(self, seconds: float) -> float:
        """Give how much audio the model works on for so much."""
        return self.max_seconds if self.context == "stock" else seconds

    def _num_frames(self, num_samples: int) -> int:
        if self.context == "stock":
            num_samples = round(self.max_seconds * self.sampling_rate)
        return max(1, -(-num_samples // self._family.samples_per_frame))

    def __call__(self, samples: Samples) -> Tensor:
        """Make the inputs of one utterance.

        Parameters
        ----------
        samples
            float32 `[num_samples]` at the model's rate.

        Returns
        -------
        torch.Tensor
            float32: log-mel `[mel frames, mels]`, an even number of mel frames; filterbank `[frames, width]`; or the waveform
            `[samples]`.
        """
        if self._family.inputs == "waveform":
            # Normalised alone and before padding: a clip's features must not depend on its company.
            made = self._extractor(samples, sampling_rate=self.sampling_rate, padding="do_not_pad", return_tensors="np")
            values = np.asarray(made["input_values"][0], dtype=np.float32)
            return torch.from_numpy(np.pad(values, (0, self.num_inputs(len(values)) - len(values))))
        if self._family.inputs == "filterbank":
            padded = np.pad(samples, (0, max(0, self._family.min_samples - len(samples))))
            made = self._extractor(padded, sampling_rate=self.sampling_rate, padding="do_not_pad", return_tensors="np")
            # Made of all there is, since it is normalised over time; a last frame that is not whole is masked by its makers.
            return torch.from_numpy(np.asarray(made["input_features"][0, : self.num_inputs(len(samples))], dtype=np.float32))
        wanted = self._num_frames(len(samples)) * self._family.samples_per_frame
        features = self._extractor(
            np.pad(samples, (0, wanted - len(samples))),
            sampling_rate=self.sampling_rate,
            padding="do_not_pad",
            truncation=False,
            return_tensors="np",
        )
        return torch.from_numpy(features["input_features"][0].T)
