"""A model in, an exported directory out that was seen to give the same answers, or none.

About 20 utterances are answered by the model, each alone and in fp32, and by what was exported, in batches; by sherpa-onnx itself
where it was exported for that.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from speechxfer.data import Manifest, load_audio
from speechxfer.decoding import greedy, write
from speechxfer.errors import ModelError
from speechxfer.evaluation.metrics import total, word_errors
from speechxfer.features import FeatureSource, Item
from speechxfer.models import (
    SpeechModel,
    collate,
    export_ctranslate2,
    export_onnx,
    export_sherpa_onnx,
    for_inference,
    load_model,
    sherpa_texts,
)

_UTTERANCES = 20
_BOUNDS = {"fp32": 0.01, "int8": 0.02}


@dataclass(frozen=True)
class Parity:
    """How far what was exported is from its model.

    Attributes
    ----------
    utterances
        That were compared.
    words
        That the model heard in them, or utterances it labelled.
    difference
        WER of the exported model's texts against the model's, or the share of labels that differ.
    bound
        What it may be.
    largest_logit_difference
        Over all frames and symbols; None for a decoder and for sherpa-onnx, whose answers are compared as text.
    """

    utterances: int
    words: int
    difference: float
    bound: float
    largest_logit_difference: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the difference is within its bound."""
        return self.difference <= self.bound

    def to_dict(self) -> dict[str, Any]:
        """Give everything by name."""
        return {**asdict(self), "holds": self.holds}


def export(speech_model: SpeechModel, out: Path, check: Manifest, precision: str = "fp32", to: str = "onnx") -> Parity:
    """Export a model for another runtime, if the export gives its answers.

    Parameters
    ----------
    speech_model
        Of task ctc or classification for ONNX Runtime, seq2seq for CTranslate2, ctc for sherpa-onnx.
    out
        The directory to be made. It is written beside and renamed once the answers were compared.
    check
        Utterances to compare answers on: 20 of them, evenly spread; no texts are needed.
    precision
        `fp32` or `int8`.
    to
        `onnx`, `ctranslate2` or `sherpa-onnx`.

    Returns
    -------
    Parity
        If it does not hold, there is no directory.

    Raises
    ------
    ModelError
        If `out` exists, or the model cannot be exported.
    AudioError
        If audio of `check` cannot be read.
    """
    if out.exists():
        raise ModelError(f"{out}: exists already; name another directory, or remove it")
    beside = out.with_name(f"{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        writers = {"onnx": export_onnx, "ctranslate2": export_ctranslate2, "sherpa-onnx": export_sherpa_onnx}
        writers[to](speech_model, beside, precision)
        items = _chosen(check, speech_model.frontend.sampling_rate)
        if to == "sherpa-onnx":
            parity = _compare_with_sherpa(speech_model, beside, items, _BOUNDS[precision])
        else:
            parity = _compare(speech_model, load_model(beside), items, _BOUNDS[precision])
        if parity.holds:
            beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return parity


def _chosen(check: Manifest, rate: int) -> list[Item]:
    rows = sorted({round(row * (len(check) - 1) / (_UTTERANCES - 1)) for row in range(_UTTERANCES)})
    return [Item(utterance, len(load_audio(utterance, rate)) / rate) for utterance in check.select(rows)]


def _compare_with_sherpa(speech_model: SpeechModel, directory: Path, items: list[Item], bound: float) -> Parity:
    found = sherpa_texts(directory, (load_audio(item.utterance, speech_model.frontend.sampling_rate) for item in items))
    answer = _answer_of(speech_model)
    errors = total(word_errors([answer(one) for one in _logits(speech_model, items, 0.01)], found))
    return Parity(len(items), errors.reference_length, errors.errors / max(1, errors.reference_length), bound)


def _compare(speech_model: SpeechModel, exported: SpeechModel, items: list[Item], bound: float) -> Parity:
    if speech_model.tokens:
        errors = total(word_errors(_texts(speech_model, items, 0.01), _texts(exported, items, 16.0)))
        return Parity(len(items), errors.reference_length, errors.errors / max(1, errors.reference_length), bound)
    expected, found = _logits(speech_model, items, 0.01), _logits(exported, items, 16.0)
    answer = _answer_of(speech_model)
    errors = total(word_errors([answer(one) for one in expected], [answer(one) for one in found]))
    largest = max(float((one - other).abs().max()) for one, other in zip(expected, found, strict=True))
    return Parity(len(items), errors.reference_length, errors.errors / max(1, errors.reference_length), bound, largest)


def _texts(speech_model: SpeechModel, items: list[Item], batch_seconds: float) -> list[str]:
    """Give what a decoder finds likeliest of each item; what would be drawn depends on the runtime's dice."""
    assert speech_model.tokens
    model, precision = for_inference(speech_model, "cpu", "auto" if speech_model.is_exported else "fp32")
    features = FeatureSource(model, speech_model.frontend, None, precision, batch_seconds=batch_seconds).features(items)
    batch_frames = round(batch_seconds / model.frame_seconds)
    written = write(model, features, speech_model.tokens, precision, redraws=False, batch_frames=batch_frames)
    return [one.text for one in written]


@torch.no_grad()
def _logits(speech_model: SpeechModel, items: list[Item], batch_seconds: float) -> list[torch.Tensor]:
    """Give logits `[frames, vocabulary]` or `[labels]` of each item."""
    model, precision = for_inference(speech_model, "cpu", "auto" if speech_model.is_exported else "fp32")
    features = FeatureSource(model, speech_model.frontend, None, precision, batch_seconds=batch_seconds).features(items)
    model.eval()
    return [model(collate([one]))[0] for one in features]


def _answer_of(speech_model: SpeechModel) -> Callable[[torch.Tensor], str]:
    """Give the function from logits to text, or to a label as one word."""
    if vocabulary := speech_model.vocabulary:
        return lambda logits: greedy(logits.log_softmax(dim=-1), vocabulary, 1.0).text
    return lambda logits: str(int(logits.argmax()))
