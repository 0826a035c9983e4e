"""The own pair of configuration and model, for encoders that have no native class with the head we put on them.

Log-mel features in, logits out. `import speechxfer.auto` registers the pair with transformers' auto classes.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel, WhisperConfig
from transformers.modeling_outputs import CausalLMOutput, SequenceClassifierOutput

from speechxfer.models.heads import BlstmCtcHead, LinearCtcHead, PooledClassificationHead
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
    """A length-adaptive Whisper encoder under a CTC or classification head."""

    config_class = EncoderHeadConfig
    base_model_prefix = "encoder"
    main_input_name = "input_features"
    _supports_sdpa = True

    def __init__(self, config: EncoderHeadConfig) -> None:
        super().__init__(config)
        encoder_config = WhisperConfig(**config.encoder)
        encoder_config._attn_implementation = config._attn_implementation
        self.encoder = AdaptiveWhisperEncoder(encoder_config)
        self.head = _make_head(config, encoder_config.d_model)
        self.post_init()

    def frame_lengths(self, attention_mask: Tensor) -> Tensor:
        """Give the number of frames `[batch]` of clips whose mel frames are marked in `[batch, mel frames]`."""
        return (attention_mask.sum(dim=-1) + 1) // 2

    def forward(
        self, input_features: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> CausalLMOutput | SequenceClassifierOutput:
        """Give logits `[batch, frames, vocabulary]` (CTC) or `[batch, labels]` (classification).

        Parameters
        ----------
        input_features
            float `[batch, mels, mel frames]`, padded with zeros to the longest clip.
        attention_mask
            int `[batch, mel frames]`, 1 on real frames; None when none is padded.
        """
        if attention_mask is None:
            attention_mask = input_features.new_ones((input_features.shape[0], input_features.shape[-1])).long()
        hidden = self.encoder(input_features, attention_mask=attention_mask).last_hidden_state
        logits = self.head(hidden, self.frame_lengths(attention_mask))
        output = CausalLMOutput if self.config.task == "ctc" else SequenceClassifierOutput
        return output(logits=logits)


def _make_head(config: EncoderHeadConfig, width: int) -> LinearCtcHead | BlstmCtcHead | PooledClassificationHead:
    if config.task == "classification":
        return PooledClassificationHead(width, len(config.id2label or ()), config.head_dropout)
    if config.head == "blstm":
        return BlstmCtcHead(width, config.head_hidden_size, config.vocab_size, config.head_dropout)
    return LinearCtcHead(width, config.vocab_size, config.head_dropout)
