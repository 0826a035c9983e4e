"""The section `augment` of a recipe: what training audio and its features go through."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from speechxfer.recipe.values import Decibels, Probability, Seconds, Section, as_list, unit

Codec = Literal["opus", "amr", "gsm", "mp3"]
Law = Literal["mu", "a"]


def _always(value: Any) -> Any:
    return {"range": value, "probability": 1.0} if isinstance(value, list | tuple) else value


class GainSection(Section):
    """Louder or softer.

    Attributes
    ----------
    range
        From the least to the most, drawn evenly.
    probability
        That a view is changed so.
    """

    range: Decibels
    probability: Probability = 0.5


class NoiseSection(Section):
    """Additive noise from recordings listed in a manifest, at a random signal-to-noise ratio.

    Attributes
    ----------
    manifest
        The recordings of noise.
    probability
        That a view is changed so.
    snr_db
        Signal-to-noise ratio, from the least to the most.
    """

    manifest: str
    probability: Probability = 0.5
    snr_db: Decibels = (5.0, 20.0)


class RoomSection(Section):
    """The sound of rooms.

    Attributes
    ----------
    manifest
        Impulse responses of rooms.
    probability
        That a view is changed so.
    """

    manifest: str
    probability: Probability = 0.5


class PitchSection(Section):
    """Voices higher or lower; the length stays.

    Attributes
    ----------
    semitones
        From the least to the most, drawn evenly.
    probability
        That a view is changed so.
    """

    semitones: Annotated[tuple[float, float], Field(json_schema_extra=unit("semitones"))] = (-2.0, 2.0)
    probability: Probability = 0.5


class CodecSection(Section):
    """Encoded and decoded again.

    Attributes
    ----------
    names
        By one of these, drawn evenly.
    probability
        That a view is changed so.
    """

    names: Annotated[list[Codec], Field(min_length=1), BeforeValidator(as_list)] = Field(
        default_factory=lambda: list(get_args(Codec))
    )
    probability: Probability = 0.5


class TelephoneSection(Section):
    """Heard over the telephone: 300 to 3,400 Hz, G.711, packets of 20 ms.

    Attributes
    ----------
    laws
        Of G.711: µ-law (America, Japan) or A-law (elsewhere), drawn evenly.
    packet_loss
        Share of the packets that is lost, from the least to the most.
    probability
        That a view is changed so.
    """

    laws: Annotated[list[Law], Field(min_length=1), BeforeValidator(as_list)] = Field(default_factory=lambda: list(get_args(Law)))
    packet_loss: tuple[Probability, Probability] = (0.0, 0.02)
    probability: Probability = 0.5


class AugmentSection(Section):
    """Changes to the training audio (once per view) and to its features (each time they are used).

    Attributes
    ----------
    views
        Versions of each utterance that epochs draw from; each is computed, and kept, once.
    speed
        Of the views in turn; 1.1 is faster and higher.
    gain_db
        Louder or softer; two numbers alone are a range that is always drawn from.
    time_masks_per_second
        Stretches of features set to zero, at least one an utterance; 0 is none.
    time_mask_seconds
        Length of the longest of them; never more than half of an utterance.
    feature_masks
        Bands of neighbouring features set to zero, per utterance.
    feature_mask_width
        Width of the widest of them.
    """

    views: Annotated[int, Field(ge=1, json_schema_extra=unit("views"))] = 1
    speed: Annotated[list[Annotated[float, Field(gt=0.5, lt=2, json_schema_extra=unit("factor"))]], BeforeValidator(as_list)] = (
        Field(default_factory=lambda: [1.0], min_length=1)
    )
    gain_db: Annotated[GainSection, BeforeValidator(_always)] | None = None
    pitch: PitchSection | None = None
    room: RoomSection | None = None
    noise: NoiseSection | None = None
    codec: CodecSection | None = None
    telephone: TelephoneSection | None = None
    time_masks_per_second: Annotated[float, Field(ge=0, json_schema_extra=unit("1/s"))] = 0.0
    time_mask_seconds: Seconds = 0.4
    feature_masks: Annotated[int, Field(ge=0, json_schema_extra=unit("masks"))] = 0
    feature_mask_width: Annotated[int, Field(ge=1, json_schema_extra=unit("features"))] = 32

    @property
    def masks(self) -> bool:
        """Whether features are masked."""
        return bool(self.time_masks_per_second or self.feature_masks)
