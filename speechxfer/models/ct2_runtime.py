"""Whisper with its decoder by CTranslate2 on the CPU: an exported directory in, a model that answers out.

The directory holds the small files of the model's own, and in `ctranslate2/` what CTranslate2, and whoever builds on it, reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from speechxfer.errors import ModelError
from speechxfer.models.features import FeatureBatch, Features
from speechxfer.models.runtimes import ExportedInference

CT2_FOLDER = "ctranslate2"
QUANTISATION = {"fp32": "float32", "int8": "int8"}
_WEIGHTS = "model.bin"


class Ct2Model(PreTrainedModel):
    """An exported Whisper; it has no parameters and cannot train.

    Parameters
    ----------
    config
        Of the model it was exported from; its `speechxfer["exported"]` says how.
    directory
        In which CTranslate2's folder lies.

    Attributes
    ----------
    engine
        `ctranslate2.models.Whisper`.
    file
        Its weights.
    precision
        `fp32` or `int8`.

    Raises
    ------
    ModelError
        If CTranslate2 is missing, or cannot open the folder.
    """

    def __init__(self, config: PretrainedConfig, directory: Path) -> None:
        super().__init__(config)
        self.precision = str(config.speechxfer["exported"]["precision"])
        self.file = directory / CT2_FOLDER / _WEIGHTS
        threads = torch.get_num_threads()  # one setting for both
        try:
            self.engine: Any = import_ctranslate2().models.Whisper(
                str(self.file.parent), compute_type=QUANTISATION[self.precision], intra_threads=threads
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.file.parent}: CTranslate2 cannot open it: {error}; export the model again") from None

    def encode(self, mel: npt.NDArray[np.float32]) -> Any:
        """Run the encoder on log-mel `[batch, mels, mel frames]`; gives what the engine's other calls take."""
        return self.engine.encode(import_ctranslate2().StorageView.from_array(np.ascontiguousarray(mel)))

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor) -> Tensor:
        """Give the frames of clips with so many mel frames, by the name that transformers' own speech models have for it."""
        return (input_lengths - 1) // 2 + 1


class Ct2Inference(ExportedInference):
    """Gives log-mel on as features: CTranslate2 takes it from there, encoder and decoder in one."""

    model: Ct2Model

    def feature_shape(self, input_length: int) -> tuple[int, int]:
        """Give mel frames and mels."""
        return input_length, int(self.model.config.num_mel_bins)

    def prefix(self, inputs: FeatureBatch) -> list[Features]:
        """Give each utterance's own log-mel, `[mel frames, mels]`."""
        lengths = inputs.input_lengths.tolist()
        return [Features(part[:length].clone(), length) for part, length in zip(inputs.frames, lengths, strict=True)]

    def forward(self, features: FeatureBatch) -> Tensor:
        """Refuse: it answers with tokens, see `speechxfer.decoding.write`.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("CTranslate2 gives tokens, not logits")


def import_ctranslate2() -> Any:
    """Give the package, or say how to install it."""
    try:
        import ctranslate2
    except ImportError:
        raise ModelError("CTranslate2 is not installed: pip install 'speechxfer[ct2]'") from None
    return ctranslate2
