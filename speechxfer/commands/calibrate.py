"""Recordings without any command in, thresholds for a stated rate of false accepts out; and how good commands are at any.

The thresholds are found and judged by what the spotter does over recordings that are joined, not by single clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from speechxfer.commands.classifiers import Floats
from speechxfer.commands.detection import area_under_roc, detection_curve, poisson_interval
from speechxfer.commands.enrolment import Enrolment
from speechxfer.commands.recognizer import CommandRecognizer
from speechxfer.commands.spotter import EventPicker, Hop, ScoreTrack, peaks
from speechxfer.commands.windows import HOP_SECONDS
from speechxfer.data import VAD_RATE, Utterance, load_audio

_TAIL = 20  # peaks from which the rare ones beyond them are foretold
UNKNOWN = "unknown"


def listen(recognizer: CommandRecognizer, recordings: Iterable[Utterance]) -> tuple[list[Hop], float]:
    """Score recordings joined to one stream.

    Parameters
    ----------
    recognizer
        With the commands.
    recordings
        In their order.

    Returns
    -------
    list of Hop
        Of the whole stream.
    float
        Its length in hours.

    Raises
    ------
    AudioError
        If one cannot be read.
    """
    track, count = ScoreTrack(recognizer), 0
    hops: list[Hop] = []
    for recording in recordings:
        samples = load_audio(recording, VAD_RATE)
        count += len(samples)
        hops.extend(track.push(samples))
    hops.extend(track.finish())
    return hops, count / VAD_RATE / 3600


def calibrate_thresholds(
    recognizer: CommandRecognizer, negatives: Iterable[Utterance], false_accepts_per_hour: float
) -> Enrolment:
    """Find each command's threshold from speech and noise in which there is no command.

    Parameters
    ----------
    recognizer
        With the commands.
    negatives
        Recordings; none of them may have been enrolled as unknown, or the rate is too good to be true.
    false_accepts_per_hour
        Wanted, of all commands together.

    Returns
    -------
    Enrolment
        With the thresholds.

    Raises
    ------
    AudioError
        If a recording cannot be read.

    Notes
    -----
    Rates below what the recordings are long enough to show are foretold from the highest peaks, whose excess over a high level is
    taken for exponential (J. Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3, 1975, with
    shape 0).
    """
    hops, hours = listen(recognizer, negatives)
    allowed = false_accepts_per_hour * hours / len(recognizer.enrolment.commands)
    heard = peaks(hops, recognizer.enrolment.window_seconds)
    return recognizer.enrolment.with_thresholds([_threshold(column, allowed) for column in heard.T])


def _threshold(scores: Floats, allowed: float) -> float:
    """Give the level above which so many peaks are to be expected, which may be less than one."""
    highest = np.sort(scores)[::-1]
    count = min(_TAIL, len(highest) - 1)
    if count < 1 or allowed >= count:
        return float(highest[min(int(allowed), len(highest) - 1)])
    excess = float((highest[:count] - highest[count]).mean())
    return float(highest[count] + excess * np.log(count / allowed))


def score_commands(
    recognizer: CommandRecognizer, utterances: Sequence[Utterance], negatives: Sequence[Utterance] = ()
) -> dict[str, Any]:
    """Say how good commands are.

    Parameters
    ----------
    recognizer
        With the commands.
    utterances
        Clips with labels; labels that are not enrolled stand for "unknown".
    negatives
        Recordings without any command, of any length: they are joined, and listened to by the spotter.

    Returns
    -------
    dict
        `utterances`; `accuracy` of the clips of commands if nothing is rejected; `miss_rate`: rejected or taken for another;
        `confusion`; with unknown clips `false_accept_rate`, `equal_error_rate`, `auroc` and `det`, points of misses against
        false accepts; with negatives `hours`, `false_accepts`, `false_accepts_per_hour` with its exact 95 % interval, and
        of the clips through the spotter `miss_rate_in_stream`, `miss_rate_at_1_per_hour` and `latency_seconds`: how long after
        the end of a command it is heard, or before if below 0; the median over those that are, computing not counted.

    Raises
    ------
    AudioError
        If a recording cannot be read.
    """
    commands, heard = recognizer.enrolment.commands, recognizer.recognise(utterances)
    names = [utterance.label if utterance.label in commands else UNKNOWN for utterance in utterances]
    known = [row for row, name in enumerate(names) if name != UNKNOWN]
    others = [row for row, name in enumerate(names) if name == UNKNOWN]
    answers = [one.command or UNKNOWN for one in heard]
    scores: dict[str, Any] = {"utterances": len(names), "confusion": _confusion(names, answers, commands)}
    if known:
        scores["accuracy"] = float(np.mean([heard[row].likeliest == names[row] for row in known]))
        scores["miss_rate"] = float(np.mean([answers[row] != names[row] for row in known]))
    if others:
        scores["false_accept_rate"] = float(np.mean([answers[row] != UNKNOWN for row in others]))
    if known and others:
        targets, rejected = ([heard[row].log_odds for row in rows] for rows in (known, others))
        curve = detection_curve(targets, rejected)
        scores |= {"equal_error_rate": curve.equal_error_rate, "auroc": area_under_roc(targets, rejected)}
        scores["det"] = {"misses": curve.misses.tolist(), "false_accepts": curve.false_accepts.tolist()}
    if negatives:
        scores |= _in_running_speech(recognizer, [utterances[row] for row in known], negatives)
    return scores


def _in_running_speech(
    recognizer: CommandRecognizer, clips: Sequence[Utterance], negatives: Sequence[Utterance]
) -> dict[str, Any]:
    """Score the spotter: false accepts in negatives, and the clips of commands in which it does not hear theirs."""
    enrolment = recognizer.enrolment
    hops, hours = listen(recognizer, negatives)
    events = len([*EventPicker(enrolment)(hops)])
    interval = poisson_interval(events, hours)
    scores: dict[str, Any] = {"hours": hours, "false_accepts": events, "false_accepts_per_hour": events / hours}
    scores["false_accepts_per_hour_interval"] = interval
    if clips:
        tracks = [listen(recognizer, [clip])[0] for clip in clips]
        labels = [str(clip.label) for clip in clips]
        scores["miss_rate_in_stream"] = _missed(enrolment, tracks, labels)
        scores["latency_seconds"] = _latency(enrolment, tracks, labels)
        scores["miss_rate_at_1_per_hour"] = _missed(_letting_through(enrolment, hops, hours), tracks, labels)
    return scores


def _missed(enrolment: Enrolment, tracks: Sequence[Sequence[Hop]], labels: Sequence[str]) -> float:
    events = ([event.command for event in EventPicker(enrolment)(track)] for track in tracks)
    return float(np.mean([label not in found for label, found in zip(labels, events, strict=True)]))


def _latency(enrolment: Enrolment, tracks: Sequence[Sequence[Hop]], labels: Sequence[str]) -> float | None:
    """Give the median time from the end of a clip's speech to the hop at which its command is heard."""
    delays = []
    for track, label in zip(tracks, labels, strict=True):
        pick, said = EventPicker(enrolment), max((hop.end for hop in track if hop.end > hop.start), default=0.0)
        heard = (number for number, hop in enumerate(track, start=1) if label in [event.command for event in pick([hop])])
        if (first := next(heard, None)) is not None:
            delays.append(first * HOP_SECONDS - said)
    return float(np.median(delays)) if delays else None


def _letting_through(enrolment: Enrolment, hops: Sequence[Hop], hours: float, rate: float = 1.0) -> Enrolment:
    """Shift all thresholds alike, to the lowest at which no more than this rate of events is heard in these hops."""
    thresholds = np.array(enrolment.thresholds)
    above = np.sort((peaks(hops, enrolment.window_seconds) - thresholds).max(axis=1))[::-1]
    level = above[min(int(rate * hours), len(above) - 1)]
    return enrolment.with_thresholds(np.nextafter(thresholds + level, np.inf))


def _confusion(names: Sequence[str], answers: Sequence[str], commands: Sequence[str]) -> Mapping[str, Any]:
    labels = [*commands, UNKNOWN]
    counts = [
        [sum(n == name and a == answer for n, a in zip(names, answers, strict=True)) for answer in labels] for name in labels
    ]
    return {"labels": labels, "true_by_recognised": counts}
