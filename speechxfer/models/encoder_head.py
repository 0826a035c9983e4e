"""The own pair of configuration and model, for encoders that have no native class with the head we put on them.

The encoder's own inputs in, logits out. `import speechxfer.auto` registers the pair with transformers' auto classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, MoonshineConfig, PretrainedConfig, PreTrainedModel, WhisperConfig
from transformers.modeling_outputs import CausalLMOutput, SequenceClassifierOutput

from speechxfer.models.cut import frame_lengths
from speechxfer.models.heads import BlstmCtcHead, LinearCtcHead, PooledClassificationHead
from speechxfer.models.moonshine import LoneMoonshineEncoder
from speechxfer.models.whisper import AdaptiveWhisperEncoder

_OWN_ENCODERS: dict[type[PretrainedConfig], Any] = {WhisperConfig: AdaptiveWhisperEncoder, MoonshineConfig: LoneMoonshineEncoder}


class EncoderHeadConfig(PretrainedConfig):
    """What is needed to rebuild an `EncoderHeadModel`.

    Parameters
    ----------
    encoder
        The native configuration of the encoder, as a dictionary.
    task
        `ctc` or `classification`.
    head
        `linear` or `blstm`.
    head_hidden_size
        Units of one direction of the BLSTM.
    head_dropout
        Before each layer of the head.
    vocab_size
        Of a CTC head, the blank (number 0) included.
    use_weighted_layer_sum
        For classification: pool a learned weighted sum of all layers instead of the last.
    context
        `adaptive`: the encoder runs on the frames there are.
    **kwargs
        What every configuration of transformers takes, such as `id2label`.
    """

    model_type = "speechxfer"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        task: str = "ctc",
        head: str = "linear",
        head_hidden_size: int = 320,
        head_dropout: float = 0.0,
        vocab_size: int = 32,
        use_weighted_layer_sum: bool = False,
        context: str = "adaptive",
        **kwargs: Any,
    ) -> None:
        self.encoder = encoder or {}
        self.task = task
        self.head = head
        self.head_hidden_size = head_hidden_size
        self.head_dropout = head_dropout
        self.vocab_size = vocab_size
        self.use_weighted_layer_sum = use_weighted_layer_sum
        self.context = context
        kwargs.setdefault("pad_token_id", 0)
        super().__init__(**kwargs)


class EncoderHeadModel(PreTrainedModel):
    """An encoder (Whisper's made length-adaptive, any other its own) under a CTC or classification head of ours.

    Parameters
    ----------
    config
        The encoder's shape, the task and the head; weights start random.

    Notes
    -----
    The BLSTM head and the weighted sum of layers are those of S. Yang et al., "SUPERB: Speech processing Universal PERformance
    Benchmark", Interspeech 2021.
    """

    config_class = EncoderHeadConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True

    def __init__(self, config: EncoderHeadConfig) -> None:
        super().__init__(config)
        encoder_config = AutoConfig.for_model(**{"model_type": WhisperConfig.model_type, **config.encoder})
        if own := _OWN_ENCODERS.get(type(encoder_config)):
            encoder_config._attn_implementation = config._attn_implementation
            self.encoder = own(encoder_config)
        else:
            self.encoder = AutoModel.from_config(encoder_config, dtype=torch.float32)
        self.main_input_name = self.encoder.main_input_name
        self.head = _make_head(config, self.encoder.config.hidden_size, self.encoder.config.num_hidden_layers)
        self.post_init()

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor) -> Tensor:
        """Give the frames of clips with so many input positions, by the name that transformers' own speech models have for it."""
        return frame_lengths(self.encoder, input_lengths)

    def forward(
        self,
        input_features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_values: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput | SequenceClassifierOutput:
        """Run encoder and head.

        Parameters
        ----------
        input_features
            float `[batch, mels, mel frames]`, padded with zeros to the longest clip, for an encoder of log-mel.
        attention_mask
            int `[batch, mel frames]` or `[batch, samples]`, 1 on real ones; None when none is padded.
        input_values
            float `[batch, samples]`, padded with zeros to the longest clip, for an encoder of waveforms.
        **kwargs
            Of no consequence.

        Returns
        -------
        CausalLMOutput or SequenceClassifierOutput
            `logits`, `[batch, frames, vocabulary]` (CTC) or `[batch, labels]` (classification).

        Raises
        ------
        ValueError
            If there are neither features nor values, or more mel frames than Whisper's encoder has positions for.
        """
        inputs = input_values if input_features is None else input_features
        if inputs is None:
            raise ValueError(f"this model takes {self.main_input_name}")
        weighted = self.config.use_weighted_layer_sum
        encoded = self.encoder(inputs, attention_mask=attention_mask, output_hidden_states=weighted)
        hidden = encoded.last_hidden_state
        if attention_mask is None:
            lengths = torch.full((len(hidden),), hidden.shape[1], device=hidden.device)
        else:
            lengths = self._get_feat_extract_output_lengths(attention_mask.sum(dim=-1))
        if self.config.task == "ctc":
            return CausalLMOutput(logits=self.head(hidden, lengths))
        return SequenceClassifierOutput(logits=self.head(encoded.hidden_states if weighted else (hidden,), lengths))


def _make_head(config: EncoderHeadConfig, width: int, num_layers: int) -> LinearCtcHead | BlstmCtcHead | PooledClassificationHead:
    if config.task == "classification":
        pooled_layers = num_layers + 1 if config.use_weighted_layer_sum else 1
        return PooledClassificationHead(width, len(config.id2label or ()), config.head_dropout, pooled_layers)
    if config.head == "blstm":
        return BlstmCtcHead(width, config.head_hidden_size, config.vocab_size, config.head_dropout)
    return LinearCtcHead(width, config.vocab_size, config.head_dropout)
