"""Families: what differs between model families, as entries. A family is data about names and frames, not code.

Other packages add theirs through the entry-point group `speechxfer.families`, each a `Family`; see `examples/plugin_family`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from typing import Any, Literal

from torch import Tensor, nn

from speechxfer.errors import ModelError

ENTRY_POINTS = "speechxfer.families"
StandIn = Literal["channels_first", "hidden", "hidden_pair", "squeezed_channels_first"]


@dataclass(frozen=True)
class Family:
    """How to find one's way in the encoder of a model of this family; all paths are inside the encoder.

    A path that one checkpoint of the family lacks is passed over.

    Attributes
    ----------
    name
        The `model_type` of the pretrained encoder's configuration.
    inputs
        What the frontend makes: `waveform` `[samples]`, `log_mel` `[mel frames, mels]`, which the model takes channels first, or
        `filterbank` `[frames, width]`, which it takes as it is.
    extractor
        Name of the feature extractor's class in transformers.
    samples_per_input, samples_per_frame
        Samples that one input position, and one frame at the head, stand for; in the usual shape, see `of`.
    layers
        The list of layers.
    weight_prefixes
        What may stand before the encoder's parameters in a pretrained file, the longest first.
    lora_targets
        Names of the linear layers, inside a layer, that `lora:R` puts adapters on.
    stem
        The convolutional stem's modules, in forward order; empty if there is none.
    above_stem, below_layers, above_layers
        Modules between the stem and the first layer, norms directly below it, and what stands above the last layer. Without
        any above the stem, the cut above the stem is the one before layer 0.
    final_norm
        A norm that stands above the layers where the configuration says `do_stable_layer_norm`, else below them; see `of`.
    stand_ins
        Modules below the layers that a suffix need not run, with what stands in for their output, zeros of the right shape:
        `channels_first` `[batch, width, frames]`, `hidden` `[batch, frames, width]`, `hidden_pair`, two of these, or
        `squeezed_channels_first`, with as many frames as there are between the layers.
    language_adapter
        Name, inside a layer, of the small adapter that checkpoints for many languages (MMS) exchange per language.
    never_trains
        Parameters, or modules, that stay fixed in every setting, because nothing gives them a gradient.
    native_heads
        Names of the classes in transformers that put a linear head on the encoder, by task: `ctc`, `classification`.
    input_width
        Name in the configuration of the width of an input position; None for waveforms.
    padding
        Of all that lies above the stem: `masked`, or `equal_length` where a clip would depend on its padding even with a mask.
        The stem's own class is measured, see `sees_padding`.
    squeeze_factor
        Frames at the head, and above the stem, for one frame between the layers; see `of`.
    extra_inputs
        What a layer needs beside hidden states and masks, by name, from the encoder and the hidden states at the cut,
        `[batch, frames, width]`.
    sampling_rate
        Of the audio the family was trained on, in Hz.
    min_samples
        The fewest that give a frame; in the usual shape, see `of`.
    max_seconds
        The longest utterance that is taken whole.
    """

    name: str
    inputs: Literal["log_mel", "filterbank", "waveform"]
    extractor: str
    samples_per_input: int
    samples_per_frame: int
    layers: str
    weight_prefixes: tuple[str, ...]
    lora_targets: tuple[str, ...]
    stem: tuple[str, ...] = ()
    above_stem: tuple[str, ...] = ()
    below_layers: tuple[str, ...] = ()
    above_layers: tuple[str, ...] = ()
    final_norm: str | None = None
    stand_ins: Mapping[str, StandIn] = field(default_factory=dict)
    language_adapter: str | None = None
    never_trains: tuple[str, ...] = ()
    native_heads: Mapping[str, str] = field(default_factory=dict)
    input_width: str | None = None
    padding: Literal["masked", "equal_length"] = "masked"
    squeeze_factor: int = 1
    # Not shown, since its text would hold an address and change the digest of a prefix.
    extra_inputs: Callable[[nn.Module, Tensor], Mapping[str, Tensor]] | None = field(default=None, repr=False)
    sampling_rate: int = 16_000
    min_samples: int = 1
    max_seconds: float = 30.0

    def of(self, config: Mapping[str, Any]) -> Family:
        """Give this entry as it is for one checkpoint, whose convolutions and norms may be others than the usual ones.

        Parameters
        ----------
        config
            Of the encoder, as a dictionary.

        Returns
        -------
        Family
            With the checkpoint's own `samples_per_frame`, `min_samples` and `squeeze_factor`, and its final norm placed.

        Raises
        ------
        ValueError
            If the configuration says `add_adapter`: such an encoder shortens its frames behind the last layer.
        """
        if config.get("add_adapter"):
            raise ValueError("add_adapter shortens the frames behind the encoder, which no head of ours expects; leave it out")
        placed = self._with_norm_placed(bool(config.get("do_stable_layer_norm")))
        if not {"conv_kernel", "conv_stride"} <= config.keys():
            return placed
        samples_per_frame, min_samples = 1, 1
        for kernel, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True):
            min_samples += (kernel - 1) * samples_per_frame
            samples_per_frame *= stride
        squeeze_factor = int(config.get("squeeze_factor", 1))
        min_samples += (squeeze_factor - 1) * samples_per_frame
        return replace(placed, samples_per_frame=samples_per_frame, min_samples=min_samples, squeeze_factor=squeeze_factor)

    def _with_norm_placed(self, above: bool) -> Family:
        if self.final_norm is None:
            return self
        if above:
            return replace(self, above_layers=(self.final_norm, *self.above_layers), final_norm=None)
        return replace(self, below_layers=(*self.below_layers, self.final_norm), final_norm=None)

    def is_fixed(self, parameter: str) -> bool:
        """Tell whether the encoder's parameter of this name never trains."""
        return any(parameter == name or parameter.startswith(f"{name}.") for name in self.never_trains)


def _position_bias(encoder: nn.Module, hidden: Tensor) -> Mapping[str, Tensor]:
    """Give WavLM's relative position bias `[batch * heads, frames, frames]`, which layer 0 makes and hands on."""
    attention: Any = encoder.get_submodule("encoder.layers.0.attention")
    bias: Tensor = attention.compute_bias(hidden.shape[1], hidden.shape[1])
    return {"position_bias": bias.repeat(len(hidden), 1, 1)}


WHISPER = Family(
    name="whisper",
    inputs="log_mel",
    extractor="WhisperFeatureExtractor",
    input_width="num_mel_bins",
    samples_per_input=160,
    samples_per_frame=320,
    stem=("conv1", "conv2", "embed_positions"),
    layers="layers",
    above_layers=("layer_norm",),
    stand_ins={"conv1": "channels_first", "conv2": "channels_first"},
    weight_prefixes=("model.encoder.", "encoder."),
    lora_targets=("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    never_trains=("embed_positions.weight",),
)
WAV2VEC2 = Family(
    name="wav2vec2",
    inputs="waveform",
    extractor="Wav2Vec2FeatureExtractor",
    samples_per_input=1,
    samples_per_frame=320,
    stem=("feature_extractor",),
    above_stem=("feature_projection", "encoder.pos_conv_embed"),
    layers="encoder.layers",
    final_norm="encoder.layer_norm",
    stand_ins={"feature_extractor": "channels_first", "feature_projection": "hidden_pair", "encoder.pos_conv_embed": "hidden"},
    weight_prefixes=("wav2vec2.", ""),
    lora_targets=("q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense"),
    language_adapter="adapter_layer",
    never_trains=("masked_spec_embed",),
    native_heads={"ctc": "Wav2Vec2ForCTC", "classification": "Wav2Vec2ForSequenceClassification"},
    min_samples=400,
)


def _like_wav2vec2(name: str, in_classes: str, **other: Any) -> Family:
    heads = {"ctc": f"{in_classes}ForCTC", "classification": f"{in_classes}ForSequenceClassification"}
    prefixes = (f"{name.replace('-', '_')}.", "")
    return replace(WAV2VEC2, **{"name": name, "native_heads": heads, "weight_prefixes": prefixes, **other})


_CONFORMER_TARGETS = ("linear_q", "linear_k", "linear_v", "linear_out", "intermediate_dense", "output_dense")

HUBERT = _like_wav2vec2("hubert", "Hubert", stand_ins={**WAV2VEC2.stand_ins, "feature_projection": "hidden"})
WAVLM = _like_wav2vec2(
    "wavlm",
    "WavLM",
    lora_targets=("intermediate_dense", "output_dense"),  # its attention reads the weights past the layers, so past an adapter
    extra_inputs=_position_bias,
)
UNISPEECH = _like_wav2vec2("unispeech", "UniSpeech")
UNISPEECH_SAT = _like_wav2vec2("unispeech-sat", "UniSpeechSat")
DATA2VEC_AUDIO = _like_wav2vec2(
    "data2vec-audio",
    "Data2VecAudio",
    final_norm=None,
    below_layers=("encoder.layer_norm",),
    padding="equal_length",  # several position convolutions in a row, each of which sees what the one before left in the padding
)
SEW = _like_wav2vec2(
    "sew",
    "SEW",
    final_norm=None,
    above_stem=("layer_norm", "feature_projection", "encoder.pos_conv_embed"),
    below_layers=("encoder.layer_norm",),
    above_layers=("encoder.upsample",),
    stand_ins={
        "feature_extractor": "channels_first",
        "layer_norm": "hidden",
        "feature_projection": "hidden",
        "encoder.pos_conv_embed": "squeezed_channels_first",
    },
    padding="equal_length",  # the convolution and pooling that squeeze frames reach over a clip's end
)
WAV2VEC2_CONFORMER = _like_wav2vec2(
    "wav2vec2-conformer",
    "Wav2Vec2Conformer",
    final_norm=None,
    above_stem=("feature_projection",),
    above_layers=("encoder.layer_norm",),
    stand_ins={"feature_extractor": "channels_first", "feature_projection": "hidden_pair"},
    lora_targets=_CONFORMER_TARGETS,
    never_trains=("masked_spec_embed", "encoder.pos_conv_embed"),  # the latter exists and is never called
    padding="equal_length",  # its convolutions know no mask
)
WAV2VEC2_BERT = Family(
    name="wav2vec2-bert",
    inputs="filterbank",
    extractor="SeamlessM4TFeatureExtractor",
    input_width="feature_projection_input_dim",
    samples_per_input=320,
    samples_per_frame=320,
    above_stem=("feature_projection",),
    layers="encoder.layers",
    stand_ins={"feature_projection": "hidden_pair"},
    weight_prefixes=("wav2vec2_bert.", ""),
    lora_targets=_CONFORMER_TARGETS,
    never_trains=("masked_spec_embed",),
    native_heads={"ctc": "Wav2Vec2BertForCTC", "classification": "Wav2Vec2BertForSequenceClassification"},
    min_samples=560,  # two windows of 25 ms, 10 ms apart, make one input
)
MOONSHINE = Family(
    name="moonshine",
    inputs="waveform",
    extractor="Wav2Vec2FeatureExtractor",
    samples_per_input=1,
    samples_per_frame=384,
    stem=("conv1", "groupnorm", "conv2", "conv3"),
    layers="layers",
    above_layers=("layer_norm",),
    stand_ins={"conv1": "channels_first", "groupnorm": "channels_first", "conv2": "channels_first", "conv3": "channels_first"},
    weight_prefixes=("model.encoder.", "encoder."),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"),
    padding="equal_length",  # its group norm is over the whole clip, and its mask rounds up where its convolutions round down
    min_samples=895,
)
_LIKE_WAV2VEC2 = (WAV2VEC2, HUBERT, WAVLM, UNISPEECH, UNISPEECH_SAT, DATA2VEC_AUDIO, SEW, WAV2VEC2_CONFORMER)
_OWN = (WHISPER, MOONSHINE, *_LIKE_WAV2VEC2, WAV2VEC2_BERT)


@functools.cache
def known_families() -> Mapping[str, Family]:
    """Give all entries by name, those of installed packages included.

    Raises
    ------
    ModelError
        If a package's entry point cannot be imported or is no `Family`.
    """
    found = {family.name: family for family in _OWN}
    for point in entry_points(group=ENTRY_POINTS):
        what = f"entry point {point.name!r} of group {ENTRY_POINTS} ({point.value})"
        try:
            family = point.load()
        except Exception as error:
            raise ModelError(f"{what} cannot be imported: {error}; mend or uninstall its package") from None
        if not isinstance(family, Family):
            raise ModelError(f"{what} is {type(family).__name__}, expected a speechxfer.models.Family")
        found[family.name] = family
    return found
