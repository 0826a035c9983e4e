"""What all sections of a recipe are made of: their base, and the types of values, with the unit in which a number is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

_TRAINS = r"^(head|decoder|encoder|adapter|all|(top|lora):[1-9]\d*)$"
NOT_GIVEN = ("", "null", "~", None)


def as_list(value: Any) -> Any:
    """Take one text for a list of it."""
    return [value] if isinstance(value, str) else value


def unit(name: str) -> dict[str, Any]:
    """Give what writes the unit of a number into the schema."""
    return {"unit": name}


Probability = Annotated[float, Field(ge=0, le=1, json_schema_extra=unit("share"))]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1, json_schema_extra=unit("share"))]
Positive = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, json_schema_extra=unit("s"))]
Epochs = Annotated[int, Field(ge=1, json_schema_extra=unit("epochs"))]
Decibels = Annotated[tuple[float, float], Field(json_schema_extra=unit("dB"))]
Normaliser = Literal[
    "basic", "english", "none", "basic:ar", "basic:de", "basic:en", "basic:es", "basic:fr", "basic:it", "basic:nl", "basic:pl",
    "basic:pt", "basic:ro", "basic:ru", "basic:tr", "basic:uk", "whisper-basic", "whisper-english",
]  # fmt: skip
_PHONEMES = re.compile(r"phonemes:[a-z][a-z0-9-]+")


def known_normaliser(name: str) -> str:
    """Refuse a name that no normaliser has, with a ValueError."""
    if name not in get_args(Normaliser) and not _PHONEMES.fullmatch(name):
        raise ValueError(f"expected {', '.join(get_args(Normaliser))} or phonemes:LANGUAGE, such as phonemes:en-us")
    return name


Trains = Annotated[str, Field(pattern=_TRAINS)]
"""What trains: `head` or `decoder`, with it `top:N` (the last N encoder layers), `encoder` (all above the convolutional stem) or
`all`; or `lora:R`; or `adapter` (the language adapters of MMS)."""


class Section(BaseModel):
    """Strict and frozen; what is empty is not given."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, values: Any) -> Any:
        """Treat `key:` and `key: null` as not given; the YAML loader hands over text only."""
        if isinstance(values, Mapping):
            return {key: value for key, value in values.items() if value not in NOT_GIVEN}
        return values
