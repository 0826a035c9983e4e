"""Moonshine's encoder alone: waveforms `[batch, samples]` in, hidden states `[batch, frames, width]` out.

It has no positions to run out of and is not padded to a window, so its own forward serves; only what is asked about it is mended.
"""

from __future__ import annotations

import copy
from typing import Any

from transformers import MoonshineConfig
from transformers.models.moonshine.modeling_moonshine import MoonshineEncoder


class LoneMoonshineEncoder(MoonshineEncoder):
    """The encoder without its decoder; weights, names and forward are the native one's."""

    def __init__(self, config: MoonshineConfig) -> None:
        own: Any = copy.deepcopy(config)
        own.decoder_num_hidden_layers = own.encoder_num_hidden_layers  # which is what `num_hidden_layers` means there
        super().__init__(own)

    def _get_feat_extract_output_lengths(self, input_lengths: Any) -> Any:
        """Give the frames of so many samples, an int or `[batch]`; the native one knows one length only."""
        for convolution in (self.conv1, self.conv2, self.conv3):
            input_lengths = (input_lengths - convolution.kernel_size[0]) // convolution.stride[0] + 1
        return input_lengths
