"""Voice commands: from a few examples, from none, and knowing when to say "unknown"."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Choice": "speechxfer.commands.selection",
    "choose": "speechxfer.commands.selection",
    "speech_in": "speechxfer.commands.features",
    "LinearClassifier": "speechxfer.commands.classifiers",
    "fit_probe": "speechxfer.commands.classifiers",
    "views_of": "speechxfer.commands.views",
    "EventPicker": "speechxfer.commands.spotter",
    "listen": "speechxfer.commands.calibrate",
    "CommandRecognizer": "speechxfer.commands.recognizer",
    "CommandSpotter": "speechxfer.commands.spotter",
    "DetectionCurve": "speechxfer.commands.detection",
    "Heard": "speechxfer.commands.recognizer",
    "Enrolment": "speechxfer.commands.enrolment",
    "PhraseHeard": "speechxfer.commands.zero_shot",
    "PhraseScorer": "speechxfer.commands.zero_shot",
    "area_under_roc": "speechxfer.commands.detection",
    "calibrate_thresholds": "speechxfer.commands.calibrate",
    "detection_curve": "speechxfer.commands.detection",
    "enrol": "speechxfer.commands.enrolling",
    "poisson_interval": "speechxfer.commands.detection",
    "add_negatives": "speechxfer.commands.negatives",
    "microphone": "speechxfer.commands.recording",
    "record_commands": "speechxfer.commands.recording",
    "read_examples": "speechxfer.commands.examples",
    "score_commands": "speechxfer.commands.calibrate",
    "spot_commands": "speechxfer.commands.spotter",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.commands.calibrate import calibrate_thresholds as calibrate_thresholds
    from speechxfer.commands.calibrate import listen as listen
    from speechxfer.commands.calibrate import score_commands as score_commands
    from speechxfer.commands.classifiers import LinearClassifier as LinearClassifier
    from speechxfer.commands.classifiers import fit_probe as fit_probe
    from speechxfer.commands.detection import DetectionCurve as DetectionCurve
    from speechxfer.commands.detection import area_under_roc as area_under_roc
    from speechxfer.commands.detection import detection_curve as detection_curve
    from speechxfer.commands.detection import poisson_interval as poisson_interval
    from speechxfer.commands.enrolling import enrol as enrol
    from speechxfer.commands.enrolment import Enrolment as Enrolment
    from speechxfer.commands.examples import read_examples as read_examples
    from speechxfer.commands.features import speech_in as speech_in
    from speechxfer.commands.negatives import add_negatives as add_negatives
    from speechxfer.commands.recognizer import CommandRecognizer as CommandRecognizer
    from speechxfer.commands.recognizer import Heard as Heard
    from speechxfer.commands.recording import microphone as microphone
    from speechxfer.commands.recording import record_commands as record_commands
    from speechxfer.commands.selection import Choice as Choice
    from speechxfer.commands.selection import choose as choose
    from speechxfer.commands.spotter import CommandSpotter as CommandSpotter
    from speechxfer.commands.spotter import EventPicker as EventPicker
    from speechxfer.commands.spotter import spot_commands as spot_commands
    from speechxfer.commands.views import views_of as views_of
    from speechxfer.commands.zero_shot import PhraseHeard as PhraseHeard
    from speechxfer.commands.zero_shot import PhraseScorer as PhraseScorer


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
