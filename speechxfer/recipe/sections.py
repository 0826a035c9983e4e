"""What a recipe may say: its sections, keys, types and defaults.

Only the form is checked here; whether values fit model and data is checked by the room that uses them, before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

_TRAINS = r"^(head|decoder|encoder|adapter|all|(top|lora):[1-9]\d*)$"
_SYMBOLS = r"^(characters|bpe:[1-9]\d*)$"
NOT_GIVEN = ("", "null", "~", None)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _always(value: Any) -> Any:
    return {"range": value, "probability": 1.0} if isinstance(value, list | tuple) else value


Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Normaliser = Literal[
    "basic", "english", "none", "basic:ar", "basic:de", "basic:en", "basic:es", "basic:fr", "basic:it", "basic:nl", "basic:pl",
    "basic:pt", "basic:ro", "basic:ru", "basic:tr", "basic:uk", "whisper-basic", "whisper-english",
]  # fmt: skip
_PHONEMES = re.compile(r"phonemes:[a-z][a-z0-9-]+")
Codec = Literal["opus", "amr", "gsm", "mp3"]


def known_normaliser(name: str) -> str:
    """Refuse a name that no normaliser has, with a ValueError."""
    if name not in get_args(Normaliser) and not _PHONEMES.fullmatch(name):
        raise ValueError(f"expected {', '.join(get_args(Normaliser))} or phonemes:LANGUAGE, such as phonemes:en-us")
    return name


def _usable_rule(rule: tuple[str, str]) -> tuple[str, str]:
    try:
        re.sub(*rule, "")
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"expected [regular expression, replacement] of Python: {error}") from None
    return rule


Trains = Annotated[str, Field(pattern=_TRAINS)]
"""What trains: `head` or `decoder`, with it `top:N` (the last N encoder layers), `encoder` (all above the convolutional stem) or
`all`; or `lora:R`; or `adapter` (the language adapters of MMS)."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, values: Any) -> Any:
        """Treat `key:` and `key: null` as not given; the YAML loader hands over text only."""
        if isinstance(values, Mapping):
            return {key: value for key, value in values.items() if value not in NOT_GIVEN}
        return values


class ModelSection(_Section):
    """The pretrained model, what of it trains, and its head.

    Attributes
    ----------
    vocabulary
        Symbols, or labels, of a model with a head: `new` puts a new head on, for what is in the training set; `extend` keeps the
        head of a fine-tuned model and adds what it lacks; `keep` leaves it as it is.
    symbols
        Of a new head for text: `characters` of the training texts, or `bpe:N`, up to N symbols that are pieces of words.
    head, head_hidden_size, head_dropout, weighted_layer_sum
        Of a new head.
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
    head_hidden_size: Annotated[int, Field(ge=1)] = 320
    head_dropout: Probability = 0.0
    weighted_layer_sum: bool = False


class WhisperSection(_Section):
    """What is peculiar to Whisper.

    Attributes
    ----------
    context
        `adaptive`: the encoder works on the audio there is; `stock`: on 30 s, whatever there is (task seq2seq only).
    language
        ISO code of what is spoken, for a multilingual model with its decoder.
    timed_share
        Of the training utterances, whose text is learned with the times of its beginning and end, so that the decoder does not
        forget times.
    new_terms
        Terms that get a token of their own, which begins as the mean of the tokens they were spelled with.
    """

    context: Literal["adaptive", "stock"] = "adaptive"
    language: str | None = None
    timed_share: Probability = 0.0
    new_terms: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=list)


class DataSection(_Section):
    """Which rows are trained on, chosen by and tested on; `mix` is further speech to train on, `guard` must not get worse.

    Attributes
    ----------
    silence
        Recordings in which nobody speaks, such as noise and hold music: where texts are learned, stretches of them, a tenth as
        many as there are training utterances, are trained on as such.
    rules
        `[regular expression, replacement]` each: they rewrite texts, and answers that are compared with them, before the
        normaliser, one after the other.
    """

    train: str
    mix: str | None = None
    silence: str | None = None
    dev: str | None = None
    test: str | None = None
    guard: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=list)
    terms: str | None = None  # a file of words whose recall is reported
    groups: Mapping[str, bool | Annotated[list[float], Field(min_length=1), BeforeValidator(_as_list)]] | None = None
    on_bad_row: Literal["error", "skip"] = "error"
    split_by: Literal["speaker", "call", "id"] | None = None
    normaliser: Annotated[str, AfterValidator(known_normaliser)] = "basic"
    rules: list[Annotated[tuple[str, str], AfterValidator(_usable_rule)]] = Field(default_factory=list)


class StoreSection(_Section):
    """Where and how exactly frozen features are kept: in memory, or for later stages and runs in a directory."""

    enabled: bool = True
    directory: str | None = None
    max_gb: Positive = 8.0  # what does not fit is computed each time it is used
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"


class GainSection(_Section):
    """Louder or softer by so many decibels."""

    range: tuple[float, float]
    probability: Probability = 0.5


class NoiseSection(_Section):
    """Additive noise from recordings listed in a manifest, at a random signal-to-noise ratio."""

    manifest: str
    probability: Probability = 0.5
    snr_db: tuple[float, float] = (5.0, 20.0)


class RoomSection(_Section):
    """The sound of rooms: impulse responses listed in a manifest."""

    manifest: str
    probability: Probability = 0.5


class PitchSection(_Section):
    """Voices higher or lower by so many semitones; the length stays."""

    semitones: tuple[float, float] = (-2.0, 2.0)
    probability: Probability = 0.5


class CodecSection(_Section):
    """Encoded and decoded again by one of these."""

    names: Annotated[list[Codec], Field(min_length=1), BeforeValidator(_as_list)] = ["opus", "amr", "gsm", "mp3"]
    probability: Probability = 0.5


class TelephoneSection(_Section):
    """Heard over the telephone: 300 to 3,400 Hz, G.711 of one of the laws, packets of 20 ms of which this share is lost."""

    laws: Annotated[list[Literal["mu", "a"]], Field(min_length=1), BeforeValidator(_as_list)] = ["mu", "a"]
    packet_loss: tuple[Probability, Probability] = (0.0, 0.02)
    probability: Probability = 0.5


class AugmentSection(_Section):
    """Changes to the training audio (once per view) and to its features (each time they are used).

    Attributes
    ----------
    gain_db
        Two numbers alone are a range that is always drawn from.
    """

    views: Annotated[int, Field(ge=1)] = 1
    speed: Annotated[list[Annotated[float, Field(gt=0.5, lt=2)]], BeforeValidator(_as_list)] = Field(
        default_factory=lambda: [1.0], min_length=1
    )
    gain_db: Annotated[GainSection, BeforeValidator(_always)] | None = None
    pitch: PitchSection | None = None
    room: RoomSection | None = None
    noise: NoiseSection | None = None
    codec: CodecSection | None = None
    telephone: TelephoneSection | None = None
    time_masks_per_second: Annotated[float, Field(ge=0)] = 0.0
    time_mask_seconds: Positive = 0.4
    feature_masks: Annotated[int, Field(ge=0)] = 0
    feature_mask_width: Annotated[int, Field(ge=1)] = 32

    @property
    def masks(self) -> bool:
        """Whether features are masked."""
        return bool(self.time_masks_per_second or self.feature_masks)


class StageSection(_Section):
    """One stage of training; what is not given here comes from `model.train` and `training`."""

    train: Trains | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    head_learning_rate: Positive | None = None
    encoder_learning_rate: Positive | None = None
    mix_share: Annotated[float, Field(ge=0, lt=1)] | None = None


class TrainingSection(_Section):
    """Length, rates and batches of the training."""

    epochs: Annotated[int, Field(ge=1)] = 20
    stages: list[StageSection] = Field(default_factory=list)
    batch_seconds: Positive = 64.0
    accumulation: Annotated[int, Field(ge=1)] = 1
    head_learning_rate: Positive = 1e-3
    encoder_learning_rate: Positive = 5e-5
    mix_share: Annotated[float, Field(ge=0, lt=1)] = 0.5  # of an epoch's utterances, where there is `data.mix`
    warmup_share: Probability = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    l2_sp: Annotated[float, Field(ge=0)] = 0.0  # pulls the encoder back to where the stage began, so that it forgets less
    max_grad_norm: Positive = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    patience: Annotated[int, Field(ge=1)] | None = None
    checkpoint_minutes: Positive = 10.0  # a checkpoint is also written after each epoch
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0  # what every random generator takes
    trackers: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=list)


class ProofSection(_Section):
    """What the result is compared with: the same recipe from random weights, or on shares of the data, in per cent."""

    control: Literal["none", "scratch"] = "none"
    learning_curve: Annotated[list[Annotated[int, Field(ge=1, le=100)]], BeforeValidator(_as_list)] = Field(default_factory=list)


class GuardSection(_Section):
    """What `data.guard` may lose, as a share (0.01 is one point), and what happens then.

    Attributes
    ----------
    undecided
        Where speakers are too few to tell: `warn`, or `stop`, which treats it as broken.
    remedy
        `auto` looks for a mixture of the weights before and after that is intact.
    """

    max_regression: Positive = 0.01
    undecided: Literal["warn", "stop"] = "warn"
    remedy: Literal["none", "auto"] = "none"


class ReportSection(_Section):
    """What `report.html` holds; `audio` puts the sound of the worst utterances into it."""

    audio: bool = True


class Recipe(_Section):
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
