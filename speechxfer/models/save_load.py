"""Model directories in, `SpeechModel` out, and back. Loading is strict: safetensors only, nothing missing, nothing left over.

A pretrained directory gives an encoder under a new head; a directory saved by speechxfer gives the model as it was saved.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, WhisperForConditionalGeneration
from transformers.utils import logging as transformers_logging

from speechxfer.data import Vocabulary
from speechxfer.errors import ModelError
from speechxfer.models.ct2_runtime import Ct2Model
from speechxfer.models.cut import encoder_of, frame_lengths
from speechxfer.models.directory import encoder_weights, load_strictly, read_config, read_weights
from speechxfer.models.encoder_head import EncoderHeadConfig, EncoderHeadModel
from speechxfer.models.families import Family, known_families
from speechxfer.models.frontend import Frontend
from speechxfer.models.heads import expect_blank
from speechxfer.models.language_adapters import adapters_with_head, language_adapters, save_language_adapters
from speechxfer.models.runtimes import OnnxModel
from speechxfer.models.tokens import Tokens
from speechxfer.models.whisper import adaptive_whisper


@dataclass(frozen=True)
class SpeechModel:
    """A model with all that is needed to use it.

    Attributes
    ----------
    model
        Takes the frontend's output, padded and batched.
    family
        Its entry.
    frontend
        From samples to inputs.
    task
        `ctc`, `classification` or `seq2seq`.
    vocabulary
        Of a CTC model; None otherwise.
    labels
        Of a classifier, by number; empty otherwise.
    normaliser
        Name of the text normaliser its training texts went through.
    calibration
        Slope and intercept on the log-odds of a word's confidence, found on dev; None for confidences as they are.
    tokens
        Of a seq2seq model; None otherwise.
    target_lang
        The language whose adapters it holds, of a model with adapters for many (MMS); None otherwise.
    """

    model: PreTrainedModel
    family: Family
    frontend: Frontend
    task: str
    vocabulary: Vocabulary | None
    labels: tuple[str, ...]
    normaliser: str
    calibration: tuple[float, float] | None = None
    tokens: Tokens | None = None
    target_lang: str | None = None

    @property
    def writes(self) -> bool:
        """Whether it answers with text."""
        return self.task != "classification"

    @property
    def is_exported(self) -> bool:
        """Whether it was exported: it answers, and has no weights that could train."""
        return isinstance(self.model, OnnxModel | Ct2Model)

    @property
    def is_native(self) -> bool:
        """Whether plain transformers loads it; otherwise `import speechxfer.auto` comes first."""
        return not isinstance(self.model, EncoderHeadModel)

    def num_frames(self, num_samples: int) -> int:
        """Give the frames that this many samples become at the head."""
        return int(frame_lengths(self.model, torch.tensor(self.frontend.num_inputs(num_samples))))

    def save(self, directory: Path) -> None:
        """Write a directory that `load_model` and transformers load (see `is_native`)."""
        self.model.config.speechxfer = self._own_settings()
        with _no_progress_bar():
            self.model.save_pretrained(directory)
        if self.target_lang and self.is_native:
            save_language_adapters(self.model, self.target_lang, directory)
        self._save_small_files(directory)

    def save_beside_exported(self, directory: Path, **how: Any) -> None:
        """Write all but the weights beside what was exported, with how that was done."""
        config = copy.deepcopy(self.model.config)
        config.architectures = [type(self.model).__name__]
        config.speechxfer = {**self._own_settings(), "exported": how}
        config.save_pretrained(directory)
        if self.tokens:
            self.tokens.generation.save_pretrained(directory)
        self._save_small_files(directory)

    def _own_settings(self) -> dict[str, Any]:
        ours: dict[str, Any] = {"normaliser": self.normaliser, "calibration": self.calibration}
        if self.target_lang:
            ours["target_lang"] = self.target_lang
        if self.tokens:
            ours |= {"context": self.frontend.context, "language": self.tokens.language}
        return ours

    def _save_small_files(self, directory: Path) -> None:
        self.frontend.save(directory)
        if self.vocabulary:
            self.vocabulary.save(directory)
        if self.tokens:
            self.tokens.save(directory)


def new_head(
    directory: str | Path,
    task: str,
    *,
    vocabulary: Vocabulary | None = None,
    labels: Sequence[str] = (),
    head: str = "linear",
    head_hidden_size: int = 320,
    head_dropout: float = 0.0,
    weighted_layer_sum: bool = False,
    normaliser: str = "basic",
    random_encoder: bool = False,
    target_lang: str | None = None,
) -> SpeechModel:
    """Put a new head on a pretrained encoder.

    Parameters
    ----------
    directory
        A pretrained model in the directory format of transformers, or one that speechxfer saved (or its run), whose head is then
        dropped; or `tiny`, the embedded one.
    task
        `ctc` (needs `vocabulary`) or `classification` (needs `labels`).
    vocabulary, labels
        What the head tells apart.
    head, head_hidden_size, head_dropout
        `linear` or `blstm`, and of this the units of one direction; dropout before each layer of a head that is not native.
    weighted_layer_sum
        Let a classification head pool a learned weighted sum of all layers.
    normaliser
        The text normaliser of the training texts.
    random_encoder
        Take the pretrained shape, but not its weights: the control that shows what transfer is worth.
    target_lang
        The language whose adapters are taken from `adapter.LANG.safetensors`, of a model with adapters for many (MMS).

    Returns
    -------
    SpeechModel
        In fp32, on the CPU; the head starts random, a CTC head with the blank likely.

    Raises
    ------
    ModelError
        If the directory is not a usable model; the message names what is missing.
    """
    path, config = read_config(directory)
    if _is_exported(config):
        raise ModelError(f"{path}: an exported model has no weights to train; take the model it was exported from")
    encoder_config = config.get("encoder", {}) if _is_own_pair(config) else config
    family = _family(path, encoder_config)
    names: dict[str, Any] = {
        "id2label": dict(enumerate(labels)) or None,
        "label2id": {label: number for number, label in enumerate(labels)} or None,
        "vocab_size": len(vocabulary) if vocabulary else 1,
        # The blank; the other two mean nothing here, and those of the pretrained head may be beyond this one.
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0),
        "use_weighted_layer_sum": weighted_layer_sum,
    }
    if weighted_layer_sum and family.squeeze_factor > 1:
        what = f"{family.name} has fewer frames between its layers than at the head"
        raise ModelError(f"{path}: model.weighted_layer_sum: {what}; leave it out")
    # The head is the native one wherever the family has a class for it.
    native = family.native_heads.get(task) if head == "linear" else None
    with _naming_the_configuration(path):
        if native:
            model = _native_class(native)(_calm(AutoConfig.for_model(**{**encoder_config, **names})))
        else:
            sizes: dict[str, Any] = {"head": head, "head_hidden_size": head_hidden_size, "head_dropout": head_dropout}
            whole_config = _calm(AutoConfig.for_model(**encoder_config)).to_dict()
            model = EncoderHeadModel(EncoderHeadConfig(encoder=whole_config, task=task, **sizes, **names))
    if not random_encoder:
        weights = encoder_weights(read_weights(path), family)
        if target_lang:
            weights |= language_adapters(path, family, target_lang)
        load_strictly(encoder_of(model), weights, path)
    if task == "ctc":
        expect_blank(model)
    frontend = Frontend.load(path, family)
    return SpeechModel(model, family, frontend, task, vocabulary, tuple(labels), normaliser, target_lang=target_lang)


def _family(path: Path, config: dict[str, Any]) -> Family:
    kind = str(config.get("model_type"))
    if kind not in known_families():
        raise ModelError(f"{path}: model_type is {kind!r}; supported: {', '.join(known_families())}")
    with _naming_the_configuration(path):
        return known_families()[kind].of(config)


def _native_class(name: str) -> type[PreTrainedModel]:
    kind: type[PreTrainedModel] = getattr(transformers, name)
    return kind


def _tasks_of_native_heads() -> dict[str, str]:
    """Give the task of each native class with a head, by its name."""
    return {name: task for family in known_families().values() for task, name in family.native_heads.items()}


@contextmanager
def _naming_the_configuration(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a model is built from a file that anybody may have edited into one line."""
    try:
        yield
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{path / 'config.json'}: no model can be built from this configuration: {what}") from None


def _calm(config: PretrainedConfig) -> PretrainedConfig:
    """Turn off what would skip frozen layers at random, and the native masks: ours act at the cut."""
    config.layerdrop = 0.0
    for name in ("encoder_layerdrop", "decoder_layerdrop"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    config.apply_spec_augment = False
    return config


def load_model(directory: str | Path, *, target_lang: str | None = None) -> SpeechModel:
    """Load a model that speechxfer saved, or a complete Whisper.

    Parameters
    ----------
    directory
        Such as `runs/x/model`; a run's own directory is taken for the `model/` in it; `tiny` is the embedded model. What
        `speechxfer export` wrote is loaded too, and answers, but has no weights.
    target_lang
        Of a complete MMS, which holds adapters, head and vocabulary of many languages: one of them. By default its tokenizer's.

    Returns
    -------
    SpeechModel
        In fp32, on the CPU, in evaluation mode.

    Raises
    ------
    ModelError
        If it is missing, incomplete, without a head of ours or this language, or exported for what is not installed.
    """
    path, config = read_config(directory)
    if _class_name(config) == WhisperForConditionalGeneration.__name__:
        return _load_whisper(path, config)
    if _is_own_pair(config):
        kind: type[PreTrainedModel] = EncoderHeadModel
        family, task = _family(path, config.get("encoder", {})), str(config.get("task"))
        with _naming_the_configuration(path):
            model_config: PretrainedConfig = EncoderHeadConfig.from_dict(config)
    else:
        family = _family(path, config)
        name = _class_name(config) or ""
        task = _tasks_of_native_heads().get(name, "")
        if not task:
            what = f"a pretrained {family.name} model without a head of ours ({name})"
            raise ModelError(f"{path}: {what}; put one on it with `speechxfer finetune`")
        kind = _native_class(name)
        with _naming_the_configuration(path):
            model_config = _calm(AutoConfig.for_model(**config))
    ours = getattr(model_config, "speechxfer", {})
    target_lang, weights = target_lang or ours.get("target_lang"), {}
    if spoken := Vocabulary.language_of(path):
        target_lang = target_lang or spoken
        weights = adapters_with_head(path, target_lang)
        model_config.vocab_size = len(weights["lm_head.weight"])
    elif target_lang != ours.get("target_lang"):
        raise ModelError(f"{path}: target_lang {target_lang!r}: it has one vocabulary, not one for each language")
    if _is_exported(config):
        model: PreTrainedModel = OnnxModel(model_config, family, path)
    else:
        with _naming_the_configuration(path):
            model = kind(model_config)
        load_strictly(model, read_weights(path) | weights, path)
    labels = tuple(label for _, label in sorted((model.config.id2label or {}).items()))
    return SpeechModel(
        model.eval(),
        family,
        Frontend.load(path, family),
        task,
        Vocabulary.load(path, target_lang) if task == "ctc" else None,
        labels if task == "classification" else (),
        ours.get("normaliser", "none"),
        tuple(found) if (found := ours.get("calibration")) else None,
        target_lang=target_lang,
    )


def _load_whisper(path: Path, config: dict[str, Any]) -> SpeechModel:
    """Load encoder and decoder; one as it was downloaded sees 30 s, and case and punctuation of its text do not count."""
    family = _family(path, config)
    with _naming_the_configuration(path):
        whisper_config: Any = _calm(AutoConfig.for_model(**config))
    if _is_exported(config):
        model: Any = Ct2Model(whisper_config, path)
    else:
        with _naming_the_configuration(path):
            model = adaptive_whisper(whisper_config)
        weights = read_weights(path)
        tied: dict[str, str] = dict(model._tied_weights_keys or {})
        load_strictly(model, {name: weights[other] for name, other in tied.items() if other in weights} | weights, path)
    tokens = Tokens.load(path, whisper_config)
    model.generation_config = tokens.generation
    ours = getattr(model.config, "speechxfer", {})
    return SpeechModel(
        model.eval(),
        family,
        Frontend.load(path, family, ours.get("context", "stock")),
        "seq2seq",
        None,
        (),
        ours.get("normaliser", "basic" if tokens.is_multilingual else "english"),
        tuple(found) if (found := ours.get("calibration")) else None,
        replace(tokens, language=ours.get("language")),
    )


def with_random_weights(speech_model: SpeechModel) -> SpeechModel:
    """Give the same shape with weights drawn anew: the control that shows what transfer is worth."""
    config: Any = speech_model.model.config
    model = adaptive_whisper(config) if speech_model.tokens else type(speech_model.model)(config)
    if speech_model.tokens:
        model.generation_config = speech_model.tokens.generation
    if speech_model.task == "ctc":
        expect_blank(model)
    return replace(speech_model, model=model)


def has_head(directory: str | Path) -> bool:
    """Tell a model that `load_model` loads from a pretrained one, on which `new_head` puts a head.

    Parameters
    ----------
    directory
        As for both.

    Returns
    -------
    bool
        By its configuration; the weights are not looked at.

    Raises
    ------
    ModelError
        If the directory or its configuration cannot be read.
    """
    _, config = read_config(directory)
    complete = {*_tasks_of_native_heads(), WhisperForConditionalGeneration.__name__}
    return _is_own_pair(config) or _class_name(config) in complete


def _is_own_pair(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") == EncoderHeadConfig.model_type


def _is_exported(config: Mapping[str, Any]) -> bool:
    ours = config.get("speechxfer")
    return isinstance(ours, dict) and "exported" in ours


def _class_name(config: Mapping[str, Any]) -> str | None:
    return next(iter(config.get("architectures") or []), None)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Silence transformers' own bar for shards: there is one, and it takes no time."""
    enabled = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            transformers_logging.enable_progress_bar()
