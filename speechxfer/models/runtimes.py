"""Models that run without torch's weights: an exported directory in, logits out, by ONNX Runtime on the CPU.

OnnxModel: native inputs (`input_values` or `input_features`, `attention_mask`) -> logits
WholeModel: inputs `[batch, input positions, width]` or `[batch, samples]` -> logits per utterance, as features
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import onnxruntime
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from speechxfer.errors import ModelError
from speechxfer.models.cut import frame_lengths
from speechxfer.models.families import Family
from speechxfer.models.features import FeatureBatch, Features

ONNX_FILE = "model.onnx"


class InferenceModel(Protocol):
    """What features are computed and answers decoded with: a `SplitModel`, or a `WholeModel`."""

    @property
    def model(self) -> PreTrainedModel:
        """The model as it was loaded."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def frame_seconds(self) -> float:
        """Time between two frames at the head."""

    def frame_lengths(self, input_lengths: Tensor) -> Tensor:
        """Give the frames at the head `[batch]` of utterances with so many input positions `[batch]`."""

    def feature_shape(self, input_length: int) -> tuple[int, int]:
        """Give frames and width of the features of an utterance with so many input positions."""

    def prefix(self, inputs: FeatureBatch) -> list[Features]:
        """Compute the features of each utterance of a batch, `[batch, input positions, width]` or `[batch, samples]`."""

    def prefix_digest(self) -> str:
        """Give a hash of all that the features depend on but the inputs."""

    def eval(self) -> Any:
        """Put it into evaluation mode."""

    def __call__(self, features: FeatureBatch) -> Tensor:
        """Give logits (`[batch, frames, vocabulary]` or `[batch, labels]`) of features."""


class OnnxModel(PreTrainedModel):
    """An exported model behind the interface of the class it was exported from; it has no parameters and cannot train.

    Parameters
    ----------
    config
        Of the model it was exported from; its `speechxfer["exported"]` says how.
    family
        Its entry.
    directory
        Where `model.onnx` lies.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot open the file.
    """

    def __init__(self, config: PretrainedConfig, family: Family, directory: Path) -> None:
        super().__init__(config)
        self.main_input_name = "input_values" if family.inputs == "waveform" else "input_features"
        self.precision = str(config.speechxfer["exported"]["precision"])
        self.file = directory / ONNX_FILE
        self._family = family
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # one setting for both
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own have no common base
            what = " ".join(str(error).split())
            raise ModelError(f"{self.file}: ONNX Runtime cannot open it: {what}; export the model again") from None

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor) -> Tensor:
        """Give the frames of clips with so many input positions, by the name that transformers' own speech models have for it."""
        samples = input_lengths * self._family.samples_per_input
        return (samples - self._family.min_samples) // self._family.samples_per_frame + 1

    def forward(self, attention_mask: Tensor, **inputs: Tensor) -> ModelOutput:
        """Give logits `[batch, frames, vocabulary]` (CTC) or `[batch, labels]` (classification).

        Parameters
        ----------
        attention_mask
            int `[batch, mel frames]` or `[batch, samples]`, 1 on real ones.
        **inputs
            `input_features`, float `[batch, mels, mel frames]`, or `input_values`, float `[batch, samples]`, padded with zeros.
        """
        values = inputs[self.main_input_name]
        given = {self.main_input_name: values.contiguous().numpy(), "attention_mask": attention_mask.numpy()}
        return ModelOutput(logits=torch.from_numpy(self._session.run(["logits"], given)[0]))


class ExportedInference(nn.Module):
    """What exported models have in common where features are computed and answers decoded.

    Parameters
    ----------
    model
        Runs elsewhere than in torch; `file` is where its weights lie.
    family
        Its entry.
    """

    def __init__(self, model: Any, family: Family) -> None:
        super().__init__()
        self.model = model
        self.family = family

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device("cpu")

    @property
    def frame_seconds(self) -> float:
        """Time between two frames at the head."""
        return self.family.samples_per_frame / self.family.sampling_rate

    def frame_lengths(self, input_lengths: Tensor) -> Tensor:
        """Give the frames at the head `[batch]` of utterances with so many input positions `[batch]`."""
        return frame_lengths(self.model, input_lengths)

    def prefix_digest(self) -> str:
        """Give a hash of the exported file."""
        with self.model.file.open("rb") as file:
            return hashlib.file_digest(file, hashlib.blake2b).hexdigest()


class WholeModel(ExportedInference):
    """A model that is prefix from end to end: its features are the logits, and calling it hands them on.

    So a forward takes as much audio as a batch of the prefix, and what is decoded comes from the same batches.

    Parameters
    ----------
    model
        Takes native inputs.
    family
        Its entry.
    task
        `ctc` or `classification`.
    """

    def __init__(self, model: OnnxModel, family: Family, task: str) -> None:
        super().__init__(model, family)
        self._classifies = task == "classification"

    def feature_shape(self, input_length: int) -> tuple[int, int]:
        """Give frames and width of the logits of an utterance with so many input positions."""
        if self._classifies:
            return 1, len(self.model.config.id2label or ())
        return int(self.frame_lengths(torch.tensor(input_length))), self.model.config.vocab_size

    def prefix(self, inputs: FeatureBatch) -> list[Features]:
        """Compute logits, `[frames, vocabulary]` or `[1, labels]` per utterance.

        Parameters
        ----------
        inputs
            `frames` `[batch, input positions, width]` or `[batch, samples]`.

        Returns
        -------
        list of Features
            One per utterance, each cut to its own length.
        """
        mask = (torch.arange(inputs.frames.shape[1]) < inputs.input_lengths[:, None]).long()
        values = inputs.frames.transpose(1, 2) if self.family.inputs == "log_mel" else inputs.frames
        logits = self.model(attention_mask=mask, **{self.model.main_input_name: values}).logits
        lengths = self.frame_lengths(inputs.input_lengths).tolist()
        found = (
            logits[:, None] if self._classifies else [part[:length].clone() for part, length in zip(logits, lengths, strict=True)]
        )
        return [Features(part, length) for part, length in zip(found, inputs.input_lengths.tolist(), strict=True)]

    def forward(self, features: FeatureBatch) -> Tensor:
        """Hand on the logits (`[batch, frames, vocabulary]` or `[batch, labels]`)."""
        return features.frames[:, 0] if self._classifies else features.frames
