"""`speechxfer info [MODEL]`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from speechxfer.cli.options import Json


def info(
    model: Annotated[str | None, typer.Argument(help="A model directory or URL, or a run; without it, the installation.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a model is, or what this installation can use."""
    facts = _model(model) if model else _installation()
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        for name, value in facts.items():
            print(f"{name}: {value}")


def _installation() -> dict[str, Any]:
    from importlib.metadata import version

    import torch

    from speechxfer import __version__
    from speechxfer.models import choose_device, choose_precision

    device = choose_device("auto")
    facts: dict[str, Any] = {"speechxfer": __version__, "torch": torch.__version__}
    facts |= {name: version(name) for name in ("torchaudio", "transformers", "accelerate")}
    facts |= {"device": str(device), "precision": choose_precision("auto", device), "threads": torch.get_num_threads()}
    return facts


def _model(directory: str) -> dict[str, Any]:
    from speechxfer import load_model

    loaded = load_model(directory)
    facts: dict[str, Any] = {"task": loaded.task, "family": loaded.family.name}
    if loaded.is_exported:
        exported = loaded.model.config.speechxfer["exported"]
        kind, runtime = {"onnx": ("ONNX", "ONNX Runtime"), "ctranslate2": ("CTranslate2", "CTranslate2")}[exported["to"]]
        facts |= {"format": f"{kind}, {exported['precision']}", "loads in": f"{runtime}, by speechxfer"}
    else:
        facts["format"] = type(loaded.model).__name__
        facts["loads in"] = "plain transformers" if loaded.is_native else "transformers, after `import speechxfer.auto`"
        facts["parameters"] = f"{sum(p.numel() for p in loaded.model.parameters()):,}"
    if loaded.family.name == "whisper":
        facts["context"] = loaded.frontend.context
    facts["sampling rate"] = f"{loaded.frontend.sampling_rate} Hz"
    facts["normaliser"] = loaded.normaliser
    if loaded.vocabulary:
        facts["symbols"] = (" " if loaded.vocabulary.merges else "").join(loaded.vocabulary.symbols)
    elif loaded.tokens:
        facts["language"] = loaded.tokens.language or ("heard each time" if loaded.tokens.is_multilingual else "en")
    else:
        facts["labels"] = ", ".join(loaded.labels)
    return facts
