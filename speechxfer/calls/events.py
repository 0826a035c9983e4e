"""What happens in a call: times are seconds from its start, a channel goes by its name."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from speechxfer.transcript import Segment


@dataclass(frozen=True)
class Partial:
    """What is known of what is being said.

    Attributes
    ----------
    channel
        Who speaks.
    end
        Up to when it was listened to.
    stable
        The beginning, which will not change any more: later partials and the final text begin with it.
    unstable
        The rest, which may.
    """

    channel: str
    end: float
    stable: str
    unstable: str


@dataclass(frozen=True)
class Redaction:
    """A part that was taken out of a text, and the time to silence in the audio."""

    kind: str
    start: float
    end: float


@dataclass(frozen=True)
class Final:
    """What was said in one stretch of speech; `segment.role` is the channel."""

    channel: str
    segment: Segment
    redactions: tuple[Redaction, ...] = ()


@dataclass(frozen=True)
class CommandHeard:
    """A voice command."""

    channel: str
    command: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class EndOfTurn:
    """Who was speaking has stopped, `end` being when; it comes after the turn's last `Final`."""

    channel: str
    end: float


@dataclass(frozen=True)
class Overlap:
    """More than one channel spoke at once."""

    start: float
    end: float


@dataclass(frozen=True)
class Silence:
    """Nobody has spoken since `start`; said once for each silence."""

    start: float


@dataclass(frozen=True)
class Dtmf:
    """A key was pressed, says the gateway."""

    channel: str
    digit: str
    time: float


Event = Partial | Final | CommandHeard | EndOfTurn | Overlap | Silence | Dtmf


def event_dict(event: Event) -> dict[str, Any]:
    """Give an event as plain values for JSON, under `type` what it is, such as `end_of_turn`.

    Parameters
    ----------
    event
        Of a call.

    Returns
    -------
    dict
        Its attributes.
    """
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"type": name, **asdict(event)}
