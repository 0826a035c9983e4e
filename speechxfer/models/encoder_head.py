"""The own pair of configuration and model, for encoders that have no native class with the head we put on them.

The encoder's own inputs in, logits out. `import speechxfer.auto` registers the pair with transformers' auto classes.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel, WhisperConfig
from transformers.modeling_outputs import CausalLMOutput, SequenceClassifierOutput

from speechxfer.models.heads import BlstmCtcHead, LinearCtcHead, PooledClassificationHead
from speechxfer.models.split import frame_lengths
from speechxfer.models.whisper import AdaptiveWhisperEncoder


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
    context
        `adaptive`: the encoder runs on the frames there are.
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
        context: str = "adaptive",
        **kwargs: Any,
    ) -> None:
        self.encoder = encoder or {}
        self.task = task
        self.head = head
        self.head_hidden_size = head_hidden_size
        self.head_dropout = head_dropout
        self.vocab_size = vocab_size
        self.context = context
        kwargs.setdefault("pad_token_id", 0)
        super().__init__(**kwargs)


class EncoderHeadModel(PreTrainedModel):
    """An encoder (Whisper's made length-adaptive, any other native) under a CTC or classification head of ours."""

    config_class = EncoderHeadConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True

    def __init__(self, config: EncoderHeadConfig) -> None:
        super().__init__(config)
        encoder_config = AutoConfig.for_model(**{"model_type": WhisperConfig.model_type, **config.encoder})
        encoder_config._attn_implementation = config._attn_implementation
        if isinstance(encoder_config, WhisperConfig):
            self.encoder = AdaptiveWhisperEncoder(encoder_config)
        else:
            self.encoder = AutoModel.from_config(encoder_config)
        self.main_input_name = self.encoder.main_input_name
        self.head = _make_head(config, encoder_config.hidden_size)
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
        """Give logits `[batch, frames, vocabulary]` (CTC) or `[batch, labels]` (classification).

        Parameters
        ----------
        input_features
            float `[batch, mels, mel frames]`, padded with zeros to the longest clip, for an encoder of log-mel.
        attention_mask
            int `[batch, mel frames]` or `[batch, samples]`, 1 on real ones; None when none is padded.
        input_values
            float `[batch, samples]`, padded with zeros to the longest clip, for an encoder of waveforms.
        """
        inputs = input_values if input_features is None else input_features
        if inputs is None:
            raise ValueError(f"this model takes {self.main_input_name}")
        if attention_mask is None:
            attention_mask = inputs.new_ones((inputs.shape[0], inputs.shape[-1])).long()
        hidden = self.encoder(inputs, attention_mask=attention_mask).last_hidden_state
        logits = self.head(hidden, self._get_feat_extract_output_lengths(attention_mask.sum(dim=-1)))
        output = CausalLMOutput if self.config.task == "ctc" else SequenceClassifierOutput
        return output(logits=logits)


def _make_head(config: EncoderHeadConfig, width: int) -> LinearCtcHead | BlstmCtcHead | PooledClassificationHead:
    if config.task == "classification":
        return PooledClassificationHead(width, len(config.id2label or ()), config.head_dropout)
    if config.head == "blstm":
        return BlstmCtcHead(width, config.head_hidden_size, config.vocab_size, config.head_dropout)
    return LinearCtcHead(width, config.vocab_size, config.head_dropout)
