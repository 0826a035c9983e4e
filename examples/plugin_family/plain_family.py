"""An encoder that transformers lacks, and the entry that lets speechxfer fine-tune it: `pip install examples/plugin_family`."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from speechxfer.models import Family


class PlainConfig(PretrainedConfig):
    model_type = "plain"
    hidden_size, num_hidden_layers, num_attention_heads, intermediate_size = 64, 3, 4, 128


class PlainLayer(nn.Module):
    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.heads, width = config.num_attention_heads, config.hidden_size
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, config.intermediate_size), nn.Linear(config.intermediate_size, width)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        query, key, value = self.qkv(self.norm1(hidden)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        hidden = hidden + self.out(nn.functional.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).flatten(2))
        return hidden + self.down(self.up(self.norm2(hidden)).relu())


class PlainModel(PreTrainedModel):
    config_class, main_input_name, base_model_prefix = PlainConfig, "input_values", "plain"

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config)
        self.stem = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, config.hidden_size, 400, 320))
        self.layers = nn.ModuleList(PlainLayer(config) for _ in range(config.num_hidden_layers))
        self.post_init()

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor) -> Tensor:
        return (input_lengths - 400) // 320 + 1

    def forward(self, input_values: Tensor, attention_mask: Tensor | None = None, **_: Any) -> BaseModelOutput:
        hidden = self.stem(input_values).transpose(1, 2)
        mask = None
        if attention_mask is not None:
            lengths = self._get_feat_extract_output_lengths(attention_mask.sum(-1))
            mask = (torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None])[:, None, None]
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return BaseModelOutput(last_hidden_state=hidden)


AutoConfig.register(PlainConfig.model_type, PlainConfig)
AutoModel.register(PlainConfig, PlainModel)
WAVEFORM: dict[str, Any] = {"inputs": "waveform", "extractor": "Wav2Vec2FeatureExtractor", "samples_per_input": 1}
NAMES: dict[str, Any] = {"stem": ("stem",), "layers": "layers", "stand_ins": {"stem": "channels_first"}, "weight_prefixes": ("",)}
FAMILY = Family("plain", samples_per_frame=320, min_samples=400, lora_targets=("qkv", "out", "up", "down"), **WAVEFORM, **NAMES)
