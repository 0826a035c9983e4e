"""From audio files to transcripts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "FORMATS": "speechxfer.transcription.writers",
    "Recording": "speechxfer.transcription.files",
    "Transcriber": "speechxfer.transcription.engine",
    "find_recordings": "speechxfer.transcription.files",
    "render": "speechxfer.transcription.writers",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.transcription.engine import Transcriber as Transcriber
    from speechxfer.transcription.files import Recording as Recording
    from speechxfer.transcription.files import find_recordings as find_recordings
    from speechxfer.transcription.writers import FORMATS as FORMATS
    from speechxfer.transcription.writers import render as render


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
