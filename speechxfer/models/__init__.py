"""Pretrained models, their heads, and the cut between what is frozen and what trains."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "EMBEDDED": "speechxfer.models.directory",
    "autocast": "speechxfer.models.compute",
    "choose_device": "speechxfer.models.compute",
    "choose_precision": "speechxfer.models.compute",
    "Adapter": "speechxfer.models.lora",
    "Ct2Inference": "speechxfer.models.ct2_runtime",
    "Cut": "speechxfer.models.cut",
    "EncoderHeadConfig": "speechxfer.models.encoder_head",
    "EncoderHeadModel": "speechxfer.models.encoder_head",
    "Family": "speechxfer.models.families",
    "FeatureBatch": "speechxfer.models.features",
    "Features": "speechxfer.models.features",
    "Frontend": "speechxfer.models.frontend",
    "InferenceModel": "speechxfer.models.runtimes",
    "PooledClassificationHead": "speechxfer.models.heads",
    "SpeechModel": "speechxfer.models.save_load",
    "SplitModel": "speechxfer.models.split",
    "add_terms": "speechxfer.models.new_terms",
    "collate": "speechxfer.models.features",
    "Tokens": "speechxfer.models.tokens",
    "TokenTarget": "speechxfer.models.tokens",
    "describe_trainable": "speechxfer.models.freeze",
    "encoder_of": "speechxfer.models.cut",
    "read_config": "speechxfer.models.directory",
    "export_ctranslate2": "speechxfer.models.export",
    "export_onnx": "speechxfer.models.export",
    "export_sherpa_onnx": "speechxfer.models.export",
    "extend_labels": "speechxfer.models.surgery",
    "extend_vocabulary": "speechxfer.models.surgery",
    "known_families": "speechxfer.models.families",
    "for_inference": "speechxfer.models.inference",
    "has_head": "speechxfer.models.save_load",
    "inject_lora": "speechxfer.models.lora",
    "layers_of_decoder": "speechxfer.models.whisper",
    "load_model": "speechxfer.models.save_load",
    "merge_lora": "speechxfer.models.lora",
    "new_head": "speechxfer.models.save_load",
    "save_head": "speechxfer.models.lora",
    "set_trainable": "speechxfer.models.freeze",
    "sherpa_texts": "speechxfer.models.sherpa_runtime",
    "suitable_batch_seconds": "speechxfer.models.compute",
    "with_random_weights": "speechxfer.models.save_load",
    "write_tensors": "speechxfer.models.tensor_file",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.models.compute import autocast as autocast
    from speechxfer.models.compute import choose_device as choose_device
    from speechxfer.models.compute import choose_precision as choose_precision
    from speechxfer.models.compute import suitable_batch_seconds as suitable_batch_seconds
    from speechxfer.models.ct2_runtime import Ct2Inference as Ct2Inference
    from speechxfer.models.cut import Cut as Cut
    from speechxfer.models.cut import encoder_of as encoder_of
    from speechxfer.models.directory import EMBEDDED as EMBEDDED
    from speechxfer.models.directory import read_config as read_config
    from speechxfer.models.encoder_head import EncoderHeadConfig as EncoderHeadConfig
    from speechxfer.models.encoder_head import EncoderHeadModel as EncoderHeadModel
    from speechxfer.models.export import export_ctranslate2 as export_ctranslate2
    from speechxfer.models.export import export_onnx as export_onnx
    from speechxfer.models.export import export_sherpa_onnx as export_sherpa_onnx
    from speechxfer.models.families import Family as Family
    from speechxfer.models.families import known_families as known_families
    from speechxfer.models.features import FeatureBatch as FeatureBatch
    from speechxfer.models.features import Features as Features
    from speechxfer.models.features import collate as collate
    from speechxfer.models.freeze import describe_trainable as describe_trainable
    from speechxfer.models.freeze import set_trainable as set_trainable
    from speechxfer.models.frontend import Frontend as Frontend
    from speechxfer.models.heads import PooledClassificationHead as PooledClassificationHead
    from speechxfer.models.inference import for_inference as for_inference
    from speechxfer.models.lora import Adapter as Adapter
    from speechxfer.models.lora import inject_lora as inject_lora
    from speechxfer.models.lora import merge_lora as merge_lora
    from speechxfer.models.lora import save_head as save_head
    from speechxfer.models.new_terms import add_terms as add_terms
    from speechxfer.models.runtimes import InferenceModel as InferenceModel
    from speechxfer.models.save_load import SpeechModel as SpeechModel
    from speechxfer.models.save_load import has_head as has_head
    from speechxfer.models.save_load import load_model as load_model
    from speechxfer.models.save_load import new_head as new_head
    from speechxfer.models.save_load import with_random_weights as with_random_weights
    from speechxfer.models.sherpa_runtime import sherpa_texts as sherpa_texts
    from speechxfer.models.split import SplitModel as SplitModel
    from speechxfer.models.surgery import extend_labels as extend_labels
    from speechxfer.models.surgery import extend_vocabulary as extend_vocabulary
    from speechxfer.models.tensor_file import write_tensors as write_tensors
    from speechxfer.models.tokens import Tokens as Tokens
    from speechxfer.models.tokens import TokenTarget as TokenTarget
    from speechxfer.models.whisper import layers_of_decoder as layers_of_decoder


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
