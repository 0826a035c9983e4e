"""Heads: hidden states `[batch, frames, width]` and true lengths `[batch]` in, logits out; padding never changes a result.

All heads compute in fp32, whatever the autocast around them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_BLANK_SHARE = 0.2


class LinearCtcHead(nn.Module):
    """One linear layer per frame: logits `[batch, frames, vocabulary]`."""

    def __init__(self, width: int, vocab_size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, vocab_size)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Give logits per frame."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self.output(self.dropout(hidden.float()))


class BlstmCtcHead(nn.Module):
    """Two bidirectional LSTM layers and a linear layer (the ASR head of SUPERB): logits `[batch, frames, vocabulary]`.

    The backward direction runs over each clip reversed by its own length, so that it never starts in the padding; on a CPU
    this is several times faster than packed sequences.
    """

    NUM_LAYERS = 2

    def __init__(self, width: int, hidden_size: int, vocab_size: int, dropout: float) -> None:
        super().__init__()
        widths = [width] + [2 * hidden_size] * (self.NUM_LAYERS - 1)
        self.forwards = nn.ModuleList(nn.LSTM(size, hidden_size, batch_first=True) for size in widths)
        self.backwards = nn.ModuleList(nn.LSTM(size, hidden_size, batch_first=True) for size in widths)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * hidden_size, vocab_size)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Give logits per frame."""
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.float()
            order = _reversal(lengths, hidden.shape[1])
            for ahead, back in zip(self.forwards, self.backwards, strict=True):
                hidden = self.dropout(hidden)
                hidden = torch.cat([ahead(hidden)[0], _reorder(back(_reorder(hidden, order))[0], order)], dim=-1)
            return self.output(self.dropout(hidden))


def _reversal(lengths: Tensor, num_frames: int) -> Tensor:
    """Give frame indices `[batch, frames]` that reverse each clip within its length and leave the padding in place."""
    frames = torch.arange(num_frames, device=lengths.device)
    reversed_frames = lengths[:, None] - 1 - frames
    return torch.where(reversed_frames >= 0, reversed_frames, frames)


def _reorder(hidden: Tensor, order: Tensor) -> Tensor:
    return hidden.gather(1, order[..., None].expand_as(hidden))


class PooledClassificationHead(nn.Module):
    """Mean over a clip's own frames, standardised, then one linear layer: logits `[batch, labels]`.

    With several layers, each is pooled and standardised, and their learned weighted sum goes on. Mean and spread of the training
    clips are buffers (see `standardise`), so that one learning rate suits every encoder and no layer drowns another.

    Parameters
    ----------
    width
        Of the encoder.
    num_labels
        How many the logits are of.
    dropout
        Before the linear layer.
    num_layers
        How many layers are pooled.

    Notes
    -----
    The weighted sum is that of S. Yang et al., "SUPERB: Speech processing Universal PERformance Benchmark", Interspeech 2021.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, width: int, num_labels: int, dropout: float, num_layers: int = 1) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(num_layers, width))
        self.register_buffer("feature_scale", torch.ones(num_layers, width))
        if num_layers > 1:
            self.layer_weights = nn.Parameter(torch.zeros(num_layers))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, num_labels)

    @staticmethod
    def pool(layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Take the mean over each clip's true frames.

        Parameters
        ----------
        layers
            `[batch, frames, width]` each.
        lengths
            `[batch]`: true frames of each clip.

        Returns
        -------
        torch.Tensor
            float32 `[batch, layers, width]`.
        """
        real = (torch.arange(layers[0].shape[1], device=lengths.device) < lengths[:, None])[..., None]
        return torch.stack([layer.float().masked_fill(~real, 0.0).sum(dim=1) / lengths[:, None] for layer in layers], dim=1)

    def standardise(self, pooled: Tensor) -> None:
        """Take mean and spread from pooled training clips `[clips, layers, width]`."""
        self.feature_mean.copy_(pooled.mean(dim=0))
        self.feature_scale.copy_(pooled.std(dim=0, correction=0).clamp_min(1e-5))

    def forward(self, layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Give the logits of each clip.

        Parameters
        ----------
        layers
            `[batch, frames, width]` each, as many as are pooled.
        lengths
            `[batch]`: true frames of each clip.

        Returns
        -------
        torch.Tensor
            float32 `[batch, labels]`.
        """
        with torch.autocast(lengths.device.type, enabled=False):
            pooled = (self.pool(layers, lengths) - self.feature_mean) / self.feature_scale
            if pooled.shape[1] == 1:
                return self.output(self.dropout(pooled[:, 0]))
            return self.output(self.dropout((pooled * self.layer_weights.softmax(dim=0)[:, None]).sum(dim=1)))


def output_layer(model: nn.Module) -> tuple[str, nn.Linear]:
    """Give the layer that makes logits, and its name: of our own heads, or of a native CTC model or classifier."""
    name = next(name for name in ("head.output", "lm_head", "classifier") if name in dict(model.named_modules()))
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    return name, layer


@torch.no_grad()
def expect_blank(model: nn.Module) -> None:
    """Let a new CTC head begin with the blank likely, as it is in most frames once a model has learned.

    From equal shares CTC first learns which symbols are frequent, and by chance of the random weights may settle on spelling
    frame by frame, hardly a blank between, from where it does not come back (compare A. Zeyer, R. Schlüter and H. Ney, "Why does
    CTC result in peaky behavior?", 2021). A prior in the last bias is that of T.-Y. Lin et al., "Focal loss for dense object
    detection", ICCV 2017.
    """
    _, output = output_layer(model)
    num_symbols = max(1, output.out_features - 1)  # there are none where all texts are at fault, which is said once all is loaded
    output.bias[0] = math.log(_BLANK_SHARE / (1 - _BLANK_SHARE) * num_symbols)
