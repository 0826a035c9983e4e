"""SpeechBrain as its CTC recipe on wav2vec 2.0 trains a head on a frozen encoder: sorted by length, eight clips a batch.

It is no dependency: `pip install speechbrain` first.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import speechbrain
import torch
from peer_trainer import BATCH_SIZE
from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
from speechbrain.nnet.losses import ctc_loss
from torch import Tensor, nn
from torch.utils.data import DataLoader

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class HeadOnly(speechbrain.Brain):
    """Trains the head, and notes how long each epoch takes."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.seconds: list[float] = []

    def compute_forward(self, batch: Batch, stage: Any) -> Tensor:
        """Give log-probabilities `[batch, frames, symbols]`."""
        samples, lengths, *_ = batch
        return self.modules.head(self.modules.encoder(samples, lengths)).log_softmax(-1)

    def compute_objectives(self, log_probs: Tensor, batch: Batch, stage: Any) -> Tensor:
        """Give the loss."""
        _, lengths, targets, target_lengths = batch
        loss: Tensor = ctc_loss(log_probs, targets, lengths, target_lengths, blank_index=0)
        return loss

    def on_stage_start(self, stage: Any, epoch: int | None = None) -> None:
        """Start the clock."""
        self._begin = time.perf_counter()

    def on_stage_end(self, stage: Any, stage_loss: float, epoch: int | None = None) -> None:
        """Stop it."""
        self.seconds.append(time.perf_counter() - self._begin)


def time_head(base: Path, clips: Sequence[dict[str, Any]], symbols: int, folder: Path, epochs: int) -> list[float]:
    """Train a CTC head on the frozen encoder; gives the seconds of each epoch."""
    torch.manual_seed(0)
    encoder = Wav2Vec2(str(base), save_path=str(folder / "speechbrain"), freeze=True)
    head = nn.Linear(encoder.model.config.hidden_size, symbols)
    brain = HeadOnly({"encoder": encoder, "head": head}, lambda parameters: torch.optim.AdamW(parameters, lr=1e-3))
    by_length = sorted(clips, key=lambda clip: clip["length"])
    brain.fit(range(epochs), DataLoader(by_length, BATCH_SIZE, collate_fn=padded), progressbar=False)  # type: ignore[arg-type]
    return brain.seconds


def padded(clips: Sequence[dict[str, Any]]) -> Batch:
    """Make a batch: samples and targets with zeros behind them, and which share of either is a clip's own."""
    parts = []
    for name, dtype in (("input_values", torch.float32), ("labels", torch.int64)):
        rows = [torch.as_tensor(clip[name], dtype=dtype) for clip in clips]
        values = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        parts += [values, torch.tensor([len(row) / values.shape[1] for row in rows])]
    samples, lengths, targets, target_lengths = parts
    return samples, lengths, targets, target_lengths
