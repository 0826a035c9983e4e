"""Transcriber: recordings in, transcripts out, for any number and any length of them.

The next minutes of speech are read and cut while the model works on those before; of all files together, by length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from speechxfer.data import AudioSource, source_name
from speechxfer.errors import AudioError, ModelError
from speechxfer.models import SpeechModel
from speechxfer.transcript import Segment, Transcript
from speechxfer.transcription.alignment import align_lines
from speechxfer.transcription.reading import Ending, read_stretches
from speechxfer.transcription.recogniser import Answer, Answering, Recogniser, SegmentMaker
from speechxfer.transcription.segments import Stretch

_LOAD_SECONDS = 240.0  # of speech at most that is read before it is sorted by length and decoded
_FIRST_LOAD_SECONDS = 15.0  # nothing is decoded before the first is read; each may be twice as long as the one before
_STREAMED_LOAD_SECONDS = 20.0  # the same where somebody waits for the first segments
Made = TypeVar("Made")
_Event = tuple[AudioSource, Stretch | Ending]


class Transcriber:
    """Turns audio into text (CTC, seq2seq) or into labels (classification).

    Parameters
    ----------
    model
        Loaded, its directory, or what answers for it already; then device, precision and batches are its own.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.
    batch_seconds
        Upper bound of padded audio in one forward; None suits the device.
    channels
        `mix` reads the mean of all channels, `split` each by itself, a number (from 0) that one alone.
    roles
        What to call the channels, in their order.
    hotwords
        Terms to listen for: a file or lines, see `speechxfer.decoding.read_hotwords`.
    language_model
        An ARPA file; decodes by beam search (needs the extra `lm`).
    prompt
        For a model with a decoder: what it is told that was said before, such as names that may come.
    language
        For a multilingual model: ISO code of what is spoken; None is its own, or what it hears.

    Attributes
    ----------
    model
        As loaded.

    Raises
    ------
    ModelError
        If the model, device or precision is none, or the model writes no text to find terms in, cannot be prompted, or does not
        know the language.
    DataError
        With all that is wrong with the hotwords or the language model.
    """

    def __init__(
        self,
        model: SpeechModel | str | Path | Answering,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_seconds: float | None = None,
        channels: str | int = "mix",
        roles: Sequence[str] = (),
        hotwords: str | Path | Sequence[str] = (),
        language_model: str | Path | None = None,
        prompt: str = "",
        language: str | None = None,
    ) -> None:
        self._recogniser: Answering
        if isinstance(model, SpeechModel | str | Path):
            self._recogniser = Recogniser(model, device, precision, batch_seconds)
        else:
            self._recogniser = model
        self.model = self._recogniser.model
        self._maker = SegmentMaker(self.model, self._recogniser.frame_seconds, hotwords, language_model, prompt, language)
        self._channels = channels
        self._roles = tuple(roles)

    def transcribe(self, audio: AudioSource) -> Transcript:
        """Transcribe one recording.

        Parameters
        ----------
        audio
            A file or its URL, its bytes, an open file that can seek, or samples with their rate.

        Returns
        -------
        Transcript
            A segment for each stretch of speech, of all channels, in order of time.

        Raises
        ------
        AudioError
            If nothing of it can be read as audio.
        ModelError
            If there is a prompt, and the model takes none.
        """
        (result,) = self.transcribe_all([audio])
        if isinstance(result, AudioError):
            raise result
        return result

    def stream(self, audio: AudioSource) -> Iterator[Segment]:
        """Transcribe one recording, segment by segment, while it is read.

        Parameters
        ----------
        audio
            As for `transcribe`.

        Yields
        ------
        Segment
            Of each channel in order of time.

        Raises
        ------
        AudioError
            If it cannot be read, after the segments before that.
        ModelError
            As for `transcribe`.
        """
        gathered = _Gathered(self._segment)
        for _, event, answer in self._answered([audio], load_seconds=_STREAMED_LOAD_SECONDS):
            if isinstance(event, Stretch):
                gathered.add(event, answer)
                yield from gathered.made()
            else:
                yield from gathered.finish()
                if event.problem:
                    raise event.problem

    def align(self, audio: AudioSource, text: str) -> Transcript:
        """Find when each word of a text was said; recordings of any length.

        Parameters
        ----------
        audio
            As for `transcribe`; channels that are mixed, or one of them.
        text
            All that is said, in order; each line becomes a segment.

        Returns
        -------
        Transcript
            The text as it was given, with times. A word that the model cannot spell gets the time that its neighbours leave, and
            confidence 0.

        Raises
        ------
        AudioError
            If the audio cannot be read to its end.
        AlignmentError
            If the text does not fit the audio.
        ModelError
            If the model writes no text.
        """
        if not self.model.vocabulary:
            raise ModelError("aligning needs a model that writes text (CTC)")
        gathered = _Gathered(self._maker.piece)
        for _, event, answer in self._answered([audio]):
            if isinstance(event, Stretch):
                gathered.add(event, answer)
            elif event.problem:
                raise event.problem
            else:
                speech, seconds = gathered.finish(), self._recogniser.frame_seconds
                segments = align_lines(speech, text.splitlines(), self.model.vocabulary, self.model.normaliser, seconds)
                return Transcript(source_name(audio), event.seconds, tuple(segments), event.notes)
        raise AssertionError("a recording ends")

    def transcribe_all(
        self, recordings: Iterable[AudioSource], progress: Callable[[float], None] | None = None
    ) -> Iterator[Transcript | AudioError]:
        """Transcribe recordings; one that cannot be read does not keep the others from it.

        Parameters
        ----------
        recordings
            As for `transcribe`; taken one by one, as they are needed.
        progress
            Called with the seconds of speech that were decoded since the last call.

        Yields
        ------
        Transcript or AudioError
            For each recording, in their order, as soon as it is known.

        Raises
        ------
        ModelError
            As for `transcribe`.
        """
        gathered = _Gathered(self._segment)
        for recording, event, answer in self._answered(recordings, progress):
            if isinstance(event, Stretch):
                gathered.add(event, answer)
                continue
            segments = tuple(sorted(gathered.finish(), key=lambda segment: (segment.start, segment.channel or 0)))
            if event.problem and not event.seconds:
                yield event.problem
            else:
                problems = (str(event.problem),) if event.problem else ()
                yield Transcript(source_name(recording), event.seconds, segments, event.notes, problems)

    def _answered(
        self,
        recordings: Iterable[AudioSource],
        progress: Callable[[float], None] | None = None,
        load_seconds: float = _LOAD_SECONDS,
    ) -> Iterator[tuple[AudioSource, Stretch | Ending, Answer]]:
        """Give what is found in the recordings, in order, and with each stretch what the model says of it."""
        events, nothing = self._events(recordings), torch.zeros(0)
        seconds = _FIRST_LOAD_SECONDS
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(_take, events, seconds)
            while under_way := load.result():
                seconds = min(2 * seconds, load_seconds)
                load = pool.submit(_take, events, seconds)
                stretches = [event for _, event in under_way if isinstance(event, Stretch)]
                answers = iter(self._recogniser.answers(stretches, self._maker.writing))
                for recording, event in under_way:
                    yield recording, event, next(answers) if isinstance(event, Stretch) else nothing
                if progress:
                    progress(sum(stretch.seconds for stretch in stretches))

    def _events(self, recordings: Iterable[AudioSource]) -> Iterator[_Event]:
        longest = self.model.frontend.max_seconds
        for recording in recordings:
            found = read_stretches(recording, self._channels, longest, find_speech=self.model.writes)
            yield from ((recording, event) for event in found)

    def _segment(self, stretches: Sequence[Stretch], answers: Sequence[Any]) -> Segment:
        number = stretches[0].channel
        role = self._roles[number] if number < len(self._roles) else None
        channel = None if self._channels == "mix" else number
        return replace(self._maker.segment(stretches, answers), channel=channel, role=role)


class _Gathered(Generic[Made]):
    """Makes one thing of each stretch, or of several that overlap, of one recording after the other."""

    def __init__(self, make: Callable[[Sequence[Stretch], Sequence[Any]], Made]) -> None:
        self._make = make
        self._made: list[Made] = []
        self._open: dict[int, list[tuple[Stretch, Answer]]] = {}  # per channel, what the next stretch may continue

    def add(self, stretch: Stretch, answer: Answer) -> None:
        if not stretch.continues:
            self._close(stretch.channel)
        self._open.setdefault(stretch.channel, []).append((stretch, answer))

    def made(self) -> list[Made]:
        """Give what nothing to come can change."""
        made, self._made = self._made, []
        return made

    def finish(self) -> list[Made]:
        """Give the rest."""
        for channel in [*self._open]:
            self._close(channel)
        return self.made()

    def _close(self, channel: int) -> None:
        if parts := self._open.pop(channel, None):
            stretches, answers = zip(*parts, strict=True)
            self._made.append(self._make(stretches, answers))


def _take(events: Iterator[_Event], load_seconds: float) -> list[_Event]:
    """Take events up to so much speech."""
    taken: list[_Event] = []
    seconds = 0.0
    for event in events:
        taken.append(event)
        seconds += event[1].seconds if isinstance(event[1], Stretch) else 0
        if seconds >= load_seconds:
            break
    return taken
