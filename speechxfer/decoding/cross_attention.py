"""Where a decoder looks in: its cross-attention to the encoder's frames; the time of each token out.

As in OpenAI's Whisper: some heads follow the speech; their weights, standardised over tokens and smoothed over frames, are a path
that dynamic time warping finds. A second pass, which cannot change the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import librosa
import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel

from speechxfer.models import layers_of_decoder

_SMOOTHED_FRAMES = 7


class Attention:
    """Weights of chosen heads, as they come by."""

    def __init__(self) -> None:
        self._heads: list[Tensor] = []

    def add(self, weights: Tensor) -> None:
        """Take those of one layer, `[batch, heads, tokens, frames]`."""
        self._heads.append(weights.float().cpu())

    def of(self, row: int) -> Tensor:
        """Give those of one utterance, `[heads, tokens, frames]`."""
        return torch.cat([weights[row] for weights in self._heads])


@contextmanager
def attention_to_frames(model: PreTrainedModel, heads: Sequence[tuple[int, int]] | None, lengths: Tensor) -> Iterator[Attention]:
    """For one forward, keep the weights that heads of the decoder give to the encoder's frames.

    Parameters
    ----------
    model
        With a decoder.
    heads
        (layer, head) of those that follow the speech; None, where no one has looked, all of the upper half of the layers.
    lengths
        Frames of each utterance, `[batch]`.

    Yields
    ------
    Attention
        Filled by the forward.
    """
    attention = Attention()
    layers: Any = layers_of_decoder(model)
    chosen: dict[int, list[int]] = {}
    if heads is None:
        chosen = {layer: list(range(layers[layer].encoder_attn.num_heads)) for layer in range(len(layers) // 2, len(layers))}
    for layer, head in heads or ():
        chosen.setdefault(layer, []).append(head)
    with ExitStack() as undo:
        for layer, own in chosen.items():
            hook = _keeping(own, lengths, attention)
            undo.callback(layers[layer].encoder_attn.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield attention


def _keeping(heads: list[int], lengths: Tensor, attention: Attention) -> Any:
    def hook(module: Any, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> None:
        hidden, frames = args[0], kwargs["key_value_states"]
        queries, keys = (
            projection(states).unflatten(-1, (module.num_heads, -1)).transpose(1, 2)[:, heads]
            for projection, states in ((module.q_proj, hidden), (module.k_proj, frames))
        )
        scores = module.scaling * queries @ keys.transpose(-1, -2)
        is_real = torch.arange(frames.shape[1], device=lengths.device) < lengths[:, None]
        attention.add(scores.masked_fill(~is_real[:, None, None], float("-inf")).softmax(dim=-1))

    return hook


def token_times(weights: Tensor, places: slice) -> list[int]:
    """Find the frame at which the decoder begins to look at each token.

    Parameters
    ----------
    weights
        `[heads, tokens given, frames]`.
    places
        Of the tokens given, those that are answered with the tokens in question.

    Returns
    -------
    list of int
        A frame for each place; they never decrease.
    """
    standard = (weights - weights.mean(dim=1, keepdim=True)) / weights.std(dim=1, keepdim=True, correction=0).clamp_min(1e-9)
    side = _SMOOTHED_FRAMES // 2
    padded = pad(standard, (side, side), mode="reflect" if standard.shape[-1] > side else "replicate")
    smooth = padded.unfold(-1, _SMOOTHED_FRAMES, 1).median(dim=-1).values
    costs = -smooth.mean(dim=0)[places]
    _, path = librosa.sequence.dtw(C=costs.double().numpy(), backtrack=True)
    first: dict[int, int] = {}
    for token, frame in path[::-1].tolist():
        first.setdefault(token, frame)
    return [first[token] for token in range(len(costs))]
