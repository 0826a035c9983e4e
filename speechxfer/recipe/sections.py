"""What a recipe may say: its sections, keys, types, units and defaults.

Only the form is checked here; whether values fit model and data is checked by the room that uses them, before anything runs.
The documentation's page of keys is made from this file: each key stands in its section's docstring, and a number has its unit in
the schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from speechxfer.recipe.augmentation import AugmentSection
from speechxfer.recipe.values import (
    Epochs,
    Positive,
    Probability,
    Seconds,
    Section,
    ShareBelowOne,
    Trains,
    as_list,
    known_normaliser,
    unit,
)

_SYMBOLS = r"^(characters|bpe:[1-9]\d*)$"


def _usable_rule(rule: tuple[str, str]) -> tuple[str, str]:
    try:
        re.sub(*rule, "")
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"expected [regular expression, replacement] of Python: {error}") from None
    return rule


class ModelSection(Section):
    """The pretrained model, what of it trains, and its head.

    Attributes
    ----------
    path
        A directory of transformers' format, a run, or `tiny`, which comes with the package.
    train
        What trains: `head` or `decoder`; `top:N` (the last N encoder layers as well), `encoder` (all above the stem) or
        `all`; `lora:R` (adapters of rank R in every layer); `adapter` (the language adapters of MMS).
    vocabulary
        Symbols, or labels, of a model with a head: `new` puts a new head on, for what is in the training set; `extend` keeps the
        head of a fine-tuned model and adds what it lacks; `keep` leaves it as it is.
    symbols
        Of a new head for text: `characters` of the training texts, or `bpe:N`, up to N symbols that are pieces of words.
    head
        Of a new head: one linear layer, or two layers of BLSTM below it (task ctc).
    head_hidden_size
        Of each direction of a BLSTM head.
    head_dropout
        In a new head.
    weighted_layer_sum
        A new head for labels reads a learned mixture of all layers, not the last alone.
    decoder
        Of a model that has one (task seq2seq): `frozen` lets only its encoder train.
    target_lang
        Code of the language whose adapters a model with adapters for many (MMS) begins with, such as `ron`; where the vocabulary
        is kept, with that language's head and symbols.
    """

    path: str
    train: Trains = "head"
    decoder: Literal["trained", "frozen"] = "trained"
    target_lang: str | None = None
    vocabulary: Literal["new", "extend", "keep"] = "new"
    symbols: Annotated[str, Field(pattern=_SYMBOLS)] = "characters"
    head: Literal["linear", "blstm"] = "linear"
    head_hidden_size: Annotated[int, Field(ge=1, json_schema_extra=unit("cells"))] = 320
    head_dropout: Probability = 0.0
    weighted_layer_sum: bool = False


class WhisperSection(Section):
    """What is peculiar to Whisper.

    Attributes
    ----------
    context
        `adaptive`: the encoder works on the audio there is; `stock`: on 30 s, whatever there is (task seq2seq only).
    language
        ISO code of what is spoken, for a multilingual model with its decoder; rows with a `language` of their own have that.
    timed_share
        Of the training utterances, whose text is learned with the times of its beginning and end, so that the decoder does not
        forget times.
    new_terms
        Terms that get a token of their own, which begins as the mean of the tokens they were spelled with.
    """

    context: Literal["adaptive", "stock"] = "adaptive"
    language: str | None = None
    timed_share: Probability = 0.0
    new_terms: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)


class DataSection(Section):
    """Which rows are trained on, chosen by and tested on: each a manifest, such as `manifest.csv` or `manifest.csv[split=train]`.

    Attributes
    ----------
    train
        What is learned from.
    mix
        Further speech to train on, `training.mix_share` of each epoch.
    silence
        Recordings in which nobody speaks, such as noise and hold music: where texts are learned, stretches of them, a tenth as
        many as there are training utterances, are trained on as such.
    dev
        What the best epoch is chosen by. Without it, and with no `split` column, whole speakers or calls of `train` are held out.
    test
        What the report measures; held out as `dev` is.
    guard
        Speech that must not get worse (section `guard`).
    terms
        A file of words, one a line, whose recall is reported.
    groups
        Columns to report by, `true` for each value, numbers for bands of a number: `{gender: true, age: [16]}`.
    on_bad_row
        `error` refuses the run with all that is wrong; `skip` goes on without such rows and says which they were.
    split_by
        What is held out whole where there is no split; by default speakers, calls, or single utterances, the first that is known.
    normaliser
        How texts are written before they are learned or compared: `none`, `basic`, `basic:LANGUAGE` (numbers as words),
        `english`, `whisper-basic`, `whisper-english` or `phonemes:LANGUAGE`.
    rules
        `[regular expression, replacement]` each: they rewrite texts, and answers that are compared with them, before the
        normaliser, one after the other.
    """

    train: str
    mix: str | None = None
    silence: str | None = None
    dev: str | None = None
    test: str | None = None
    guard: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)
    terms: str | None = None
    groups: Mapping[str, bool | Annotated[list[float], Field(min_length=1), BeforeValidator(as_list)]] | None = None
    on_bad_row: Literal["error", "skip"] = "error"
    split_by: Literal["speaker", "call", "id"] | None = None
    normaliser: Annotated[str, AfterValidator(known_normaliser)] = "basic"
    rules: list[Annotated[tuple[str, str], AfterValidator(_usable_rule)]] = Field(default_factory=list)


class StoreSection(Section):
    """Where and how exactly frozen features are kept: in memory, or for later stages and runs in a directory.

    Attributes
    ----------
    enabled
        Whether they are kept at all.
    directory
        Where they are kept for later runs; without it, in memory.
    max_gb
        What does not fit is computed each time it is used.
    dtype
        The precision they are kept in.
    """

    enabled: bool = True
    directory: str | None = None
    max_gb: Annotated[float, Field(gt=0, json_schema_extra=unit("GB"))] = 8.0
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"


class StageSection(Section):
    """One stage of training; what is not given here comes from `model.train` and `training`.

    Attributes
    ----------
    train
        As `model.train`.
    epochs, head_learning_rate, encoder_learning_rate, mix_share
        As in `training`.
    """

    train: Trains | None = None
    epochs: Epochs | None = None
    head_learning_rate: Positive | None = None
    encoder_learning_rate: Positive | None = None
    mix_share: ShareBelowOne | None = None


class TrainingSection(Section):
    """Length, rates and batches of the training.

    Attributes
    ----------
    epochs
        At most so many times through the training set; the weights of the best one on dev are kept.
    stages
        Several settings in turn, such as the head alone first; each with the keys below.
    batch_seconds
        Audio in one batch, padding included.
    accumulation
        Batches in one step of the optimiser, per process.
    head_learning_rate
        Of what is new: the head; of a decoder, too.
    encoder_learning_rate
        Of the encoder.
    mix_share
        Of an epoch's utterances, those that come from `data.mix`, where there is one.
    warmup_share
        Of the steps, those in which the rates rise to what is given; afterwards they fall.
    weight_decay
        Of AdamW.
    l2_sp
        Pulls what is pretrained back to where the stage began, so that it forgets less.
    max_grad_norm
        Longer gradients are scaled down to this.
    label_smoothing
        Share of the target given to all other labels or tokens (tasks classification and seq2seq).
    average_decay
        Of an exponential moving average of the weights, which is what is scored and saved; 0 is none.
    patience
        Stop after so many without a better dev score; by default never.
    checkpoint_minutes
        How often a checkpoint is written within an epoch; one is also written after each.
    precision
        Of the computation; `auto` is `bf16` where the device is made for it.
    device
        `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
    seed
        What every random generator takes.
    trackers
        Names that accelerate knows, such as `tensorboard`, to write losses to.
    """

    epochs: Epochs = 20
    stages: list[StageSection] = Field(default_factory=list)
    batch_seconds: Seconds = 64.0
    accumulation: Annotated[int, Field(ge=1, json_schema_extra=unit("batches"))] = 1
    head_learning_rate: Positive = 1e-3
    encoder_learning_rate: Positive = 5e-5
    mix_share: ShareBelowOne = 0.5
    warmup_share: Probability = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    l2_sp: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Positive = 1.0
    label_smoothing: ShareBelowOne = 0.0
    average_decay: ShareBelowOne = 0.0
    patience: Epochs | None = None
    checkpoint_minutes: Annotated[float, Field(gt=0, json_schema_extra=unit("min"))] = 10.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    trackers: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)


class ProofSection(Section):
    """What the result is compared with.

    Attributes
    ----------
    control
        `scratch` runs the same recipe from random weights as well.
    learning_curve
        Shares of the training data to train on as well.
    """

    control: Literal["none", "scratch"] = "none"
    learning_curve: Annotated[
        list[Annotated[int, Field(ge=1, le=100, json_schema_extra=unit("per cent"))]], BeforeValidator(as_list)
    ] = Field(default_factory=list)


class GuardSection(Section):
    """What `data.guard` may lose, and what happens then.

    Attributes
    ----------
    max_regression
        The most that WER or the share of wrong labels may rise; 0.01 is one point.
    undecided
        Where speakers are too few to tell: `warn`, or `stop`, which treats it as broken.
    remedy
        `auto` looks for a mixture of the weights before and after that is intact.
    """

    max_regression: Annotated[float, Field(gt=0, json_schema_extra=unit("share"))] = 0.01
    undecided: Literal["warn", "stop"] = "warn"
    remedy: Literal["none", "auto"] = "none"


class ReportSection(Section):
    """What `report.html` holds.

    Attributes
    ----------
    audio
        Whether the sound of the worst utterances is put into it.
    """

    audio: bool = True


class Recipe(Section):
    """A run is a function of recipe, data and seed.

    Attributes
    ----------
    task
        `ctc` and `seq2seq` learn text, with a head of its own or with the pretrained decoder; `classification` learns labels.
    """

    task: Literal["ctc", "classification", "seq2seq"]
    model: ModelSection
    data: DataSection
    whisper: WhisperSection = Field(default_factory=WhisperSection)
    store: StoreSection = Field(default_factory=StoreSection)
    augment: AugmentSection = Field(default_factory=AugmentSection)
    training: TrainingSection = Field(default_factory=TrainingSection)
    proof: ProofSection = Field(default_factory=ProofSection)
    guard: GuardSection = Field(default_factory=GuardSection)
    report: ReportSection = Field(default_factory=ReportSection)

    @field_validator("model")
    @classmethod
    def _head_fits_task(cls, model: ModelSection, info: Any) -> ModelSection:
        if info.data.get("task") == "classification" and model.head == "blstm":
            raise ValueError("a blstm head is for task ctc; use head: linear for classification")
        if info.data.get("task") != "classification" and model.weighted_layer_sum:
            raise ValueError("a weighted layer sum is for task classification")
        if info.data.get("task") == "classification" and model.symbols != "characters":
            raise ValueError("symbols are for task ctc")
        of_new_heads = ("symbols", "head", "head_hidden_size", "head_dropout", "weighted_layer_sum")
        given = [name for name in of_new_heads if getattr(model, name) != type(model).model_fields[name].default]
        if model.vocabulary != "new" and given:
            raise ValueError(f"{', '.join(given)}: of a new head only, but vocabulary is {model.vocabulary}")
        if info.data.get("task") == "seq2seq" and (given or model.vocabulary != "new" or model.target_lang):
            raise ValueError("vocabulary and the shape of the head are for tasks ctc and classification")
        return model

    @field_validator("data")
    @classmethod
    def _silence_has_no_label(cls, data: DataSection, info: Any) -> DataSection:
        if data.silence and info.data.get("task") == "classification":
            raise ValueError("silence is for tasks ctc and seq2seq; `speechxfer commands negatives` adds rows with its label")
        return data

    @field_validator("whisper")
    @classmethod
    def _whisper_fits_task(cls, whisper: WhisperSection, info: Any) -> WhisperSection:
        plain = WhisperSection()
        given = [name for name in type(whisper).model_fields if getattr(whisper, name) != getattr(plain, name)]
        if given and info.data.get("task", "seq2seq") != "seq2seq":
            raise ValueError(f"{', '.join(given)}: for task seq2seq only")
        return whisper

    def stages(self) -> list[StageSection]:
        """Give the stages to run, every value filled in."""
        default = StageSection(
            train=self.model.train,
            epochs=self.training.epochs,
            head_learning_rate=self.training.head_learning_rate,
            encoder_learning_rate=self.training.encoder_learning_rate,
            mix_share=self.training.mix_share if self.data.mix else 0.0,
        )
        return [default.model_copy(update=stage.model_dump(exclude_none=True)) for stage in self.training.stages] or [default]

    def to_yaml(self) -> str:
        """Give the whole recipe as YAML that `read_recipe` reads back as an equal recipe."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)
