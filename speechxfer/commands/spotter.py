"""CommandSpotter: a stream in, the commands said in it out, with times and confidence.

Each hop, the speech in the last window is scored; what has been sure of a command for some hops is an event, and then there is a
pause, so that a command said once is heard once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from speechxfer.commands.classifiers import Floats
from speechxfer.commands.enrolment import Enrolment
from speechxfer.commands.recognizer import CommandRecognizer
from speechxfer.commands.windows import HOP_SECONDS, SpeechWindow, SpeechWindows
from speechxfer.data import VAD_RATE, AudioSource, Samples, stream_audio
from speechxfer.transcript import SpottedCommand

SMOOTHED_HOPS = 2
_NEVER = -12.0  # the lowest log-odds that count, those of silence, so that a command does not have to make up for it


@dataclass(frozen=True)
class Hop:
    """What is known at one hop.

    Attributes
    ----------
    start, end
        Of the speech in the window, in seconds.
    log_odds
        `[commands]`: of each command against everything else, the mean over the last hops.
    """

    start: float
    end: float
    log_odds: Floats


class ScoreTrack:
    """Scores a stream, hop by hop; the result does not depend on how it is cut into pushes.

    Parameters
    ----------
    recognizer
        With the commands.
    """

    def __init__(self, recognizer: CommandRecognizer) -> None:
        self._recognizer = recognizer
        self._windows = SpeechWindows(recognizer.enrolment.window_seconds)
        self._silence = np.full(len(recognizer.enrolment.commands), _NEVER)
        self._recent: deque[Floats] = deque([self._silence] * SMOOTHED_HOPS, maxlen=SMOOTHED_HOPS)
        self._last = (0, 0, self._silence)  # a stretch that several windows see is scored once

    def push(self, samples: Samples) -> Iterator[Hop]:
        """Give the hops that are whole by now; samples are float32 `[num_samples]` at 16 kHz."""
        return map(self._hop, self._windows.push(samples))

    def finish(self) -> Iterator[Hop]:
        """Give the hops up to the end of the stream, and those after it that still look back on it."""
        return map(self._hop, self._windows.finish(SMOOTHED_HOPS))

    def _hop(self, window: SpeechWindow) -> Hop:
        end = window.start + len(window.samples)
        if (window.start, end) != self._last[:2]:
            heard = self._recognizer.log_odds(window.samples) if len(window.samples) else self._silence
            self._last = (window.start, end, np.maximum(heard, _NEVER))
        self._recent.append(self._last[2])
        return Hop(window.start / VAD_RATE, end / VAD_RATE, np.mean(self._recent, axis=0))


class EventPicker:
    """Finds the events in what a track gives.

    Parameters
    ----------
    enrolment
        With the commands, their thresholds and the length of the window.
    """

    def __init__(self, enrolment: Enrolment) -> None:
        self._commands = enrolment.commands
        self._thresholds = np.array(enrolment.thresholds)
        self._pause = pause_hops(enrolment.window_seconds)
        self._waiting = 0

    def __call__(self, hops: Iterable[Hop]) -> Iterator[SpottedCommand]:
        """Pick on.

        Parameters
        ----------
        hops
            Following those before.

        Yields
        ------
        SpottedCommand
            In order.
        """
        for hop in hops:
            self._waiting = max(0, self._waiting - 1)
            above = hop.log_odds - self._thresholds
            best = int(above.argmax())
            if above[best] >= 0 and not self._waiting:
                self._waiting = self._pause
                start, end = round(hop.start, 3), round(hop.end, 3)
                yield SpottedCommand(self._commands[best], start, end, round(float(expit(hop.log_odds[best])), 4))


class CommandSpotter:
    """Listens for commands in running speech.

    Parameters
    ----------
    recognizer
        With the commands and their thresholds, which `calibrate_thresholds` finds.
    """

    def __init__(self, recognizer: CommandRecognizer) -> None:
        self._track = ScoreTrack(recognizer)
        self._pick = EventPicker(recognizer.enrolment)

    def push(self, samples: Samples) -> list[SpottedCommand]:
        """Listen on.

        Parameters
        ----------
        samples
            float32 `[num_samples]` at 16 kHz, any number of them, following those before.

        Returns
        -------
        list of SpottedCommand
            What is sure by now, in order.
        """
        return [*self._pick(self._track.push(samples))]

    def finish(self) -> list[SpottedCommand]:
        """Give what is heard at the very end of the stream."""
        return [*self._pick(self._track.finish())]


def spot_commands(
    recognizer: CommandRecognizer, audio: AudioSource, channels: str | int = "mix", roles: Sequence[str] = ()
) -> Iterator[SpottedCommand]:
    """Listen to a recording of any length.

    Parameters
    ----------
    recognizer
        With the commands and their thresholds.
    audio
        A file or its URL, its bytes, an open file that can seek, or samples with their rate.
    channels
        `mix` reads the mean of all channels, `split` each by itself, a number (from 0) that one alone.
    roles
        What to call the channels, in their order.

    Yields
    ------
    SpottedCommand
        As soon as it is sure.

    Raises
    ------
    AudioError
        After what was heard before it, if the recording cannot be read to its end; if there is no such channel.
    """
    first = int(channels) if channels not in ("mix", "split") else 0
    spotters: list[CommandSpotter] = []

    def named(events: list[SpottedCommand], channel: int) -> Iterator[SpottedCommand]:
        role = roles[channel] if channel < len(roles) else None
        return (event if channels == "mix" else replace(event, channel=channel, role=role) for event in events)

    for block in stream_audio(audio, VAD_RATE, channels):
        spotters = spotters or [CommandSpotter(recognizer) for _ in block.T]
        for channel, (spotter, samples) in enumerate(zip(spotters, block.T, strict=True), start=first):
            yield from named(spotter.push(samples), channel)
    for channel, spotter in enumerate(spotters, start=first):
        yield from named(spotter.finish(), channel)


def pause_hops(window_seconds: float) -> int:
    """Give the hops after an event in which there is no other: as long as its speech stays in the window."""
    return int(np.ceil(window_seconds / HOP_SECONDS)) + SMOOTHED_HOPS


def peaks(hops: Sequence[Hop], window_seconds: float) -> Floats:
    """Give the highest log-odds of each command `[stretches, commands]` in stretches as long as the pause after an event."""
    scores = np.array([hop.log_odds for hop in hops])
    return np.maximum.reduceat(scores, np.arange(0, len(scores), pause_hops(window_seconds)), axis=0)
