"""Whisper on the frames there are: log-mel `[batch, mels, mel frames]` in, hidden states `[batch, frames, width]` out.

The stock encoder insists on 30 s of mel frames and attends to the silence it is padded with. This one takes the frames there
are: positions are sliced from the start, and where clips of different length share a batch, the padding is masked as
attention keys. The cost is then in proportion to the audio. On 30 s it computes what the stock encoder does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, WhisperConfig, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder, sinusoids


class AdaptiveWhisperEncoder(WhisperEncoder):
    """Whisper's encoder with its forward replaced; weights and names are the stock encoder's."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__(config)
        # transformers skips this part of the initialisation for classes that live outside of it.
        with torch.no_grad():
            self.embed_positions.weight.copy_(sinusoids(*self.embed_positions.weight.shape))

    def forward(self, input_features: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> BaseModelOutput:
        """Encode log-mel features of any even length up to the trained 30 s.

        Parameters
        ----------
        input_features
            float `[batch, mels, mel frames]`; padding must be zeros, and each clip's own length even, or the strided
            convolution would see the padding.
        attention_mask
            int `[batch, mel frames]`, 1 on real frames; None when none is padded.

        Returns
        -------
        BaseModelOutput
            `last_hidden_state` `[batch, mel frames / 2, width]`; rows beyond a clip's own length mean nothing. With
            `output_hidden_states=True` also what goes into each layer, and the last hidden state after these.

        Raises
        ------
        ValueError
            If the input is longer than the positions the model has.
        """
        hidden = nn.functional.gelu(self.conv1(input_features))
        hidden = nn.functional.gelu(self.conv2(hidden)).transpose(1, 2)
        num_frames = hidden.shape[1]
        if num_frames > self.max_source_positions:
            raise ValueError(f"{num_frames} frames, but the model has {self.max_source_positions} positions")
        hidden = hidden + self.embed_positions.weight[:num_frames]
        hidden = nn.functional.dropout(hidden, p=self.dropout, training=self.training)
        key_mask = _key_mask(attention_mask)
        states = []
        for layer in self.layers:
            states.append(hidden)
            hidden = layer(hidden, key_mask)
        hidden = self.layer_norm(hidden)
        kept = (*states, hidden) if kwargs.get("output_hidden_states") else None
        return BaseModelOutput(last_hidden_state=hidden, hidden_states=kept)


def _key_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Give the boolean mask `[batch, 1, 1, frames]` of real keys, or None if all are: unmasked attention is faster."""
    # What is exported must do for other masks than the one it was traced with.
    if attention_mask is None or (not torch.onnx.is_in_onnx_export() and bool(attention_mask.all())):
        return None
    return attention_mask[:, ::2].to(torch.bool)[:, None, None, :]


def adaptive_whisper(config: WhisperConfig) -> WhisperForConditionalGeneration:
    """Give a native model with random weights whose encoder takes any length; saved, it is a native model again."""
    model = WhisperForConditionalGeneration(config)
    model.model.encoder = AdaptiveWhisperEncoder(config)
    return model


def layers_of_decoder(model: PreTrainedModel) -> Sequence[nn.Module]:
    """Give the layers of a model's decoder, each of which attends to the encoder's frames."""
    base: Any = model.base_model
    return list(base.decoder.layers)


@contextmanager
def attending_to_own_frames(model: PreTrainedModel, lengths: Tensor) -> Iterator[None]:
    """For one call, give the decoder the mask of encoder frames that its own forward does not take.

    Parameters
    ----------
    model
        With a decoder; it may run several rows (beams) in place of each clip, side by side.
    lengths
        Encoder frames of each clip, `[batch]`, of hidden states padded to the longest.
    """
    longest = int(lengths.max())
    real = (torch.arange(longest, device=lengths.device) < lengths[:, None])[:, None, None, :]

    def mask(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> Any:
        beams = len(args[0]) // len(real)
        return args, {**kwargs, "encoder_attention_mask": real.repeat_interleave(beams, dim=0)}

    with ExitStack() as undo:
        if not bool(real.all()):
            for layer in layers_of_decoder(model):
                undo.callback(layer.register_forward_pre_hook(mask, with_kwargs=True).remove)
        yield
