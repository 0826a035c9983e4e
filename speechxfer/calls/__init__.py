"""Live telephone calls: packets in, events out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "AsyncCallSession": "speechxfer.calls.live",
    "Batcher": "speechxfer.calls.batcher",
    "CallSession": "speechxfer.calls.session",
    "CommandHeard": "speechxfer.calls.events",
    "Detector": "speechxfer.calls.redact",
    "Dtmf": "speechxfer.calls.events",
    "ENCODINGS": "speechxfer.calls.telephony",
    "EndOfTurn": "speechxfer.calls.events",
    "Event": "speechxfer.calls.events",
    "Final": "speechxfer.calls.events",
    "Finding": "speechxfer.calls.redact",
    "Line": "speechxfer.calls.telephony",
    "Overlap": "speechxfer.calls.events",
    "Partial": "speechxfer.calls.events",
    "Redaction": "speechxfer.calls.events",
    "Redactor": "speechxfer.calls.redact",
    "Silence": "speechxfer.calls.events",
    "event_dict": "speechxfer.calls.events",
    "presidio_detector": "speechxfer.calls.redact",
    "silenced": "speechxfer.calls.redact",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.calls.batcher import Batcher as Batcher
    from speechxfer.calls.events import CommandHeard as CommandHeard
    from speechxfer.calls.events import Dtmf as Dtmf
    from speechxfer.calls.events import EndOfTurn as EndOfTurn
    from speechxfer.calls.events import Event as Event
    from speechxfer.calls.events import Final as Final
    from speechxfer.calls.events import Overlap as Overlap
    from speechxfer.calls.events import Partial as Partial
    from speechxfer.calls.events import Redaction as Redaction
    from speechxfer.calls.events import Silence as Silence
    from speechxfer.calls.events import event_dict as event_dict
    from speechxfer.calls.live import AsyncCallSession as AsyncCallSession
    from speechxfer.calls.redact import Detector as Detector
    from speechxfer.calls.redact import Finding as Finding
    from speechxfer.calls.redact import Redactor as Redactor
    from speechxfer.calls.redact import presidio_detector as presidio_detector
    from speechxfer.calls.redact import silenced as silenced
    from speechxfer.calls.session import CallSession as CallSession
    from speechxfer.calls.telephony import ENCODINGS as ENCODINGS
    from speechxfer.calls.telephony import Line as Line


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
