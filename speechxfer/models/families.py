"""Families: what differs between model families, as entries. A family is data about names and frames, not code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """How to find one's way in a model of this family.

    Attributes
    ----------
    name
        Also the `model_type` of the pretrained encoder's configuration.
    encoder
        Path of the module whose output the head takes, inside the whole model.
    below_layers
        Paths, inside the encoder, of the modules below the first layer, in forward order.
    layers
        Path of the list of layers, inside the encoder.
    above_layers
        Paths, inside the encoder, of the modules above the last layer.
    placeholders
        Modules below the layers that a suffix replaces, each with the factor by which it shortens time.
    never_trains
        Parameters, inside the encoder, that stay fixed in every setting.
    samples_per_frame
        At the head.
    inputs_per_frame
        Input positions (mel frames or samples) that one frame at the head covers.
    sampling_rate
        Of the audio the family was trained on, in Hz.
    """

    name: str
    encoder: str
    below_layers: tuple[str, ...]
    layers: str
    above_layers: tuple[str, ...]
    placeholders: dict[str, int]
    never_trains: tuple[str, ...]
    samples_per_frame: int
    inputs_per_frame: int
    sampling_rate: int = 16_000

    @property
    def frame_seconds(self) -> float:
        """Time between two frames at the head."""
        return self.samples_per_frame / self.sampling_rate


WHISPER = Family(
    name="whisper",
    encoder="encoder",
    below_layers=("conv1", "conv2", "embed_positions"),
    layers="layers",
    above_layers=("layer_norm",),
    placeholders={"conv1": 1, "conv2": 2},
    never_trains=("embed_positions.weight",),
    samples_per_frame=320,
    inputs_per_frame=2,
)
