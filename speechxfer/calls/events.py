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
    """A part that was taken out of a text.

    Attributes
    ----------
    kind
        What it was, as it stands in brackets in the text.
    start, end
        The time to silence in the audio.
    """

    kind: str
    start: float
    end: float


@dataclass(frozen=True)
class Final:
    """What was said in one stretch of speech.

    Attributes
    ----------
    channel
        Who spoke.
    segment
        Text, words and times; its `role` is the channel.
    redactions
        What was taken out of its text.
    """

    channel: str
    segment: Segment
    redactions: tuple[Redaction, ...] = ()


@dataclass(frozen=True)
class CommandHeard:
    """A voice command.

    Attributes
    ----------
    channel
        Who spoke.
    command
        Its name.
    start, end
        When.
    confidence
        A probability.
    """

    channel: str
    command: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class EndOfTurn:
    """Who was speaking has stopped; it comes after the turn's last `Final`.

    Attributes
    ----------
    channel
        Who spoke.
    end
        When.
    """

    channel: str
    end: float


@dataclass(frozen=True)
class Overlap:
    """More than one channel spoke at once.

    Attributes
    ----------
    start, end
        When.
    """

    start: float
    end: float


@dataclass(frozen=True)
class Silence:
    """Nobody speaks; said once for each silence.

    Attributes
    ----------
    start
        Since when.
    """

    start: float


@dataclass(frozen=True)
class Dtmf:
    """A key was pressed, says the gateway.

    Attributes
    ----------
    channel
        Whose.
    digit
        Which.
    time
        When.
    """

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
