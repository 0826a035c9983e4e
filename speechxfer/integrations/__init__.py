"""Other people's frameworks, one file each: what this package can do, where their scripts already run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "answer_by": "speechxfer.integrations.wyoming_asr",
    "pull": "speechxfer.integrations.hub",
    "push": "speechxfer.integrations.hub",
    "serve_wyoming": "speechxfer.integrations.wyoming_asr",
    "FeatureCollator": "speechxfer.integrations.trainer",
    "LiveKitSTT": "speechxfer.integrations.livekit_stt",
    "PipecatSTTService": "speechxfer.integrations.pipecat_stt",
    "ProofCallback": "speechxfer.integrations.trainer_proof",
    "from_cuts": "speechxfer.integrations.lhotse_cuts",
    "from_dataset": "speechxfer.integrations.hf_datasets",
    "split_for_trainer": "speechxfer.integrations.trainer",
    "to_cuts": "speechxfer.integrations.lhotse_cuts",
    "to_dataset": "speechxfer.integrations.hf_datasets",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.integrations.hf_datasets import from_dataset as from_dataset
    from speechxfer.integrations.hf_datasets import to_dataset as to_dataset
    from speechxfer.integrations.hub import pull as pull
    from speechxfer.integrations.hub import push as push
    from speechxfer.integrations.lhotse_cuts import from_cuts as from_cuts
    from speechxfer.integrations.lhotse_cuts import to_cuts as to_cuts
    from speechxfer.integrations.livekit_stt import LiveKitSTT as LiveKitSTT
    from speechxfer.integrations.pipecat_stt import PipecatSTTService as PipecatSTTService
    from speechxfer.integrations.trainer import FeatureCollator as FeatureCollator
    from speechxfer.integrations.trainer import split_for_trainer as split_for_trainer
    from speechxfer.integrations.trainer_proof import ProofCallback as ProofCallback
    from speechxfer.integrations.wyoming_asr import answer_by as answer_by
    from speechxfer.integrations.wyoming_asr import serve_wyoming as serve_wyoming


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
