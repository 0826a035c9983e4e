"""From features to text or labels."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "BeamDecoder": "speechxfer.decoding.beam",
    "BuiltLanguageModel": "speechxfer.decoding.language_model",
    "Decoder": "speechxfer.decoding.ctc",
    "Hotword": "speechxfer.decoding.hotwords",
    "HotwordDecoder": "speechxfer.decoding.spotting",
    "Recognised": "speechxfer.decoding.recognition",
    "Calibration": "speechxfer.decoding.confidence",
    "align_words": "speechxfer.decoding.alignment",
    "build_language_model": "speechxfer.decoding.language_model",
    "calibrate": "speechxfer.decoding.confidence",
    "calibrate_segment": "speechxfer.decoding.confidence",
    "calibration_error": "speechxfer.decoding.confidence",
    "classify": "speechxfer.decoding.recognition",
    "ctc_log_probs": "speechxfer.decoding.recognition",
    "fit_calibration": "speechxfer.decoding.confidence",
    "frames_needed": "speechxfer.decoding.alignment",
    "greedy": "speechxfer.decoding.ctc",
    "join_overlapping": "speechxfer.decoding.ctc",
    "join_written": "speechxfer.decoding.seq2seq",
    "make_decoder": "speechxfer.decoding.decoder",
    "read_hotwords": "speechxfer.decoding.hotwords",
    "recognise": "speechxfer.decoding.recognition",
    "share_with_times": "speechxfer.decoding.seq2seq",
    "write": "speechxfer.decoding.seq2seq",
    "writing_options": "speechxfer.decoding.seq2seq",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.decoding.alignment import align_words as align_words
    from speechxfer.decoding.alignment import frames_needed as frames_needed
    from speechxfer.decoding.beam import BeamDecoder as BeamDecoder
    from speechxfer.decoding.confidence import Calibration as Calibration
    from speechxfer.decoding.confidence import calibrate as calibrate
    from speechxfer.decoding.confidence import calibrate_segment as calibrate_segment
    from speechxfer.decoding.confidence import calibration_error as calibration_error
    from speechxfer.decoding.confidence import fit_calibration as fit_calibration
    from speechxfer.decoding.ctc import Decoder as Decoder
    from speechxfer.decoding.ctc import greedy as greedy
    from speechxfer.decoding.ctc import join_overlapping as join_overlapping
    from speechxfer.decoding.decoder import make_decoder as make_decoder
    from speechxfer.decoding.hotwords import Hotword as Hotword
    from speechxfer.decoding.hotwords import read_hotwords as read_hotwords
    from speechxfer.decoding.language_model import BuiltLanguageModel as BuiltLanguageModel
    from speechxfer.decoding.language_model import build_language_model as build_language_model
    from speechxfer.decoding.recognition import Recognised as Recognised
    from speechxfer.decoding.recognition import classify as classify
    from speechxfer.decoding.recognition import ctc_log_probs as ctc_log_probs
    from speechxfer.decoding.recognition import recognise as recognise
    from speechxfer.decoding.seq2seq import join_written as join_written
    from speechxfer.decoding.seq2seq import share_with_times as share_with_times
    from speechxfer.decoding.seq2seq import write as write
    from speechxfer.decoding.seq2seq import writing_options as writing_options
    from speechxfer.decoding.spotting import HotwordDecoder as HotwordDecoder


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
