"""Families: what differs between model families, as entries. A family is data about names and frames, not code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch.nn import Module


@dataclass(frozen=True)
class Family:
    """How to find one's way in the encoder of a model of this family; all paths are inside the encoder.

    Attributes
    ----------
    name
        The `model_type` of the pretrained encoder's configuration.
    inputs
        What the frontend makes: `log_mel` `[mel frames, mels]` or `waveform` `[samples]`.
    samples_per_input, samples_per_frame
        Samples that one input position, and one frame at the head, stand for; in the usual shape, see `of`.
    stem
        The convolutional stem's modules, in forward order.
    above_stem
        Modules between the stem and the first layer. Without any, the cut above the stem is the one before layer 0.
    layers
        The list of layers.
    final_norm
        The norm that stands above the layers, or below them where the configuration says `do_stable_layer_norm: false`.
    stand_ins
        Modules below the layers that a suffix need not run, with what stands in for their output, zeros of the right shape:
        `channels_first` `[batch, width, frames]`, `hidden` `[batch, frames, width]` or `hidden_pair`, two of these.
    lora_targets
        Names of the linear layers, inside a layer, that `lora:R` puts adapters on.
    never_trains
        Parameters that stay fixed in every setting, because nothing gives them a gradient.
    weight_prefixes
        What may stand before the encoder's parameters in a pretrained file, the longest first.
    sampling_rate
        Of the audio the family was trained on, in Hz.
    min_samples
        The fewest that give a frame; in the usual shape, see `of`.
    max_seconds
        The longest utterance that is taken whole.
    """

    name: str
    inputs: Literal["log_mel", "waveform"]
    samples_per_input: int
    samples_per_frame: int
    stem: tuple[str, ...]
    above_stem: tuple[str, ...]
    layers: str
    final_norm: str
    stand_ins: Mapping[str, Literal["channels_first", "hidden", "hidden_pair"]]
    weight_prefixes: tuple[str, ...]
    lora_targets: tuple[str, ...]
    never_trains: tuple[str, ...] = field(default=())
    sampling_rate: int = 16_000
    min_samples: int = 1
    max_seconds: float = 30.0

    def of(self, config: Mapping[str, Any]) -> Family:
        """Give this entry with the frames of one checkpoint, whose convolutions may be others than the usual ones."""
        if not {"conv_kernel", "conv_stride"} <= config.keys():
            return self
        samples_per_frame, min_samples = 1, 1
        for kernel, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True):
            min_samples += (kernel - 1) * samples_per_frame
            samples_per_frame *= stride
        return replace(self, samples_per_frame=samples_per_frame, min_samples=min_samples)

    def norms_above_layers(self, encoder: Module) -> tuple[str, ...]:
        """Give the norm's path if it stands above the layers."""
        return (self.final_norm,) if getattr(encoder.config, "do_stable_layer_norm", True) else ()

    def norms_below_layers(self, encoder: Module) -> tuple[str, ...]:
        """Give the norm's path if it stands below the layers."""
        return () if self.norms_above_layers(encoder) else (self.final_norm,)


WHISPER = Family(
    name="whisper",
    inputs="log_mel",
    samples_per_input=160,
    samples_per_frame=320,
    stem=("conv1", "conv2", "embed_positions"),
    above_stem=(),
    layers="layers",
    final_norm="layer_norm",
    stand_ins={"conv1": "channels_first", "conv2": "channels_first"},
    weight_prefixes=("model.encoder.", "encoder."),
    lora_targets=("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    never_trains=("embed_positions.weight",),
)
WAV2VEC2 = Family(
    name="wav2vec2",
    inputs="waveform",
    samples_per_input=1,
    samples_per_frame=320,
    stem=("feature_extractor",),
    above_stem=("feature_projection", "encoder.pos_conv_embed"),
    layers="encoder.layers",
    final_norm="encoder.layer_norm",
    stand_ins={"feature_extractor": "channels_first", "feature_projection": "hidden_pair", "encoder.pos_conv_embed": "hidden"},
    weight_prefixes=("wav2vec2.", ""),
    lora_targets=("q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense"),
    never_trains=("masked_spec_embed",),
    min_samples=400,
)
FAMILIES: Mapping[str, Family] = {family.name: family for family in (WHISPER, WAV2VEC2)}
