"""From audio files to transcripts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Answer": "speechxfer.transcription.recogniser",
    "Answering": "speechxfer.transcription.recogniser",
    "FORMATS": "speechxfer.transcription.writers",
    "NOTHING_SPECIAL": "speechxfer.transcription.recogniser",
    "OVERLAP_SECONDS": "speechxfer.transcription.segments",
    "REPEAT_SECONDS": "speechxfer.transcription.channels",
    "SPEECH_PROBABILITY": "speechxfer.transcription.channels",
    "Recogniser": "speechxfer.transcription.recogniser",
    "Recording": "speechxfer.transcription.files",
    "SegmentMaker": "speechxfer.transcription.recogniser",
    "Segmenter": "speechxfer.transcription.segments",
    "Stretch": "speechxfer.transcription.segments",
    "Transcriber": "speechxfer.transcription.engine",
    "Writing": "speechxfer.transcription.recogniser",
    "find_recordings": "speechxfer.transcription.files",
    "refuse_same_places": "speechxfer.transcription.files",
    "render": "speechxfer.transcription.writers",
    "repeats": "speechxfer.transcription.channels",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.transcription.channels import REPEAT_SECONDS as REPEAT_SECONDS
    from speechxfer.transcription.channels import SPEECH_PROBABILITY as SPEECH_PROBABILITY
    from speechxfer.transcription.channels import repeats as repeats
    from speechxfer.transcription.engine import Transcriber as Transcriber
    from speechxfer.transcription.files import Recording as Recording
    from speechxfer.transcription.files import find_recordings as find_recordings
    from speechxfer.transcription.files import refuse_same_places as refuse_same_places
    from speechxfer.transcription.recogniser import NOTHING_SPECIAL as NOTHING_SPECIAL
    from speechxfer.transcription.recogniser import Answer as Answer
    from speechxfer.transcription.recogniser import Answering as Answering
    from speechxfer.transcription.recogniser import Recogniser as Recogniser
    from speechxfer.transcription.recogniser import SegmentMaker as SegmentMaker
    from speechxfer.transcription.recogniser import Writing as Writing
    from speechxfer.transcription.segments import OVERLAP_SECONDS as OVERLAP_SECONDS
    from speechxfer.transcription.segments import Segmenter as Segmenter
    from speechxfer.transcription.segments import Stretch as Stretch
    from speechxfer.transcription.writers import FORMATS as FORMATS
    from speechxfer.transcription.writers import render as render


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
