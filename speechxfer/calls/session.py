"""CallSession: a call's channels in, packet by packet; events out, as soon as they are known.

The session does what is cheap itself (decoding, voice activity, turns) and asks a `Batcher`, which all sessions share, for the
rest. It never waits for the model unless a channel is eight stretches of speech behind: that is the back-pressure.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

from speechxfer.calls.batcher import Batcher, Urgency
from speechxfer.calls.echo import EchoFilter
from speechxfer.calls.events import CommandHeard, Dtmf, EndOfTurn, Event, Final, Partial, Redaction
from speechxfer.calls.listener import Hop, Listener
from speechxfer.calls.redact import Redactor
from speechxfer.calls.stable import StablePrefix
from speechxfer.calls.telephony import Line
from speechxfer.calls.turns import Turns
from speechxfer.commands import CommandRecognizer, CommandSpotter
from speechxfer.data import VAD_RATE
from speechxfer.errors import AudioError, ModelError, SpeechxferError
from speechxfer.models import SpeechModel
from speechxfer.transcript import Segment, SpottedCommand, Word
from speechxfer.transcription import OVERLAP_SECONDS, Recogniser, SegmentMaker, Stretch

_MAX_PENDING = 8  # stretches of a channel, and blocks that are searched for commands
_CONTEXT_SECONDS = 1.0  # of what is stable already is listened to again
_TERM_SECONDS = 2.0  # a term that is listened for may take so long to be complete

# A recogniser may be shared by sessions of several models, and a forward is not for two threads at once.
_IN_USE: WeakKeyDictionary[CommandRecognizer, threading.Lock] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Asked:
    """A finished stretch that the model looks at: what is stable of it, and what takes over at `until` if it is continued."""

    future: Future[Segment]
    prefix: StablePrefix
    until: float
    following: StablePrefix


@dataclass
class _Channel:
    """What is under way on one channel."""

    listener: Listener
    prefix: StablePrefix
    settled_seconds: float
    spotter: CommandSpotter | None
    waiting: deque[_Asked | EndOfTurn] = field(default_factory=deque)  # in order of time
    partial: tuple[Future[Segment], float] | None = None
    listened: float = 0.0  # up to where partials were asked for
    commands: deque[Future[list[SpottedCommand]]] = field(default_factory=deque)
    spotted: int = 0  # samples that the spotter was given
    skipped: float = 0.0  # seconds of the call before them that nobody heard


class CallSession:
    """Listens to one call.

    Parameters
    ----------
    model
        What the sessions share; or a model, or its directory, for this session alone.
    channels
        Their names.
    encoding, sampling_rate
        Of the audio: `ulaw`, `alaw` or `pcm16`; in Hz.
    hotwords
        Terms to listen for: a file or lines, see `speechxfer.decoding.read_hotwords`.
    commands
        Enrolled voice commands to listen for on every channel.
    redact
        Takes out of all texts what must not be kept. Nothing is promised as stable then, since what is said next may turn out
        to belong to a number.
    partial_seconds
        Of new audio, at least, before what is being said is looked at again.
    on_ready
        Called, from another thread, when there is something to collect.

    Raises
    ------
    ModelError
        If there is no such model, or it writes no text.
    AudioError
        If there is no such encoding or rate.
    DataError
        With all that is wrong with the hotwords.
    """

    def __init__(
        self,
        model: Batcher | SpeechModel | str | Path,
        channels: Sequence[str] = ("agent", "customer"),
        *,
        encoding: str = "ulaw",
        sampling_rate: int = 8_000,
        hotwords: str | Path | Sequence[str] = (),
        commands: CommandRecognizer | None = None,
        redact: Redactor | None = None,
        partial_seconds: float = 0.3,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        lines = {name: Line(encoding, sampling_rate) for name in channels}  # what is wrong here is said before a model is loaded
        self._own = None if isinstance(model, Batcher) else Batcher(Recogniser(model))
        self._batcher = model if isinstance(model, Batcher) else self._own
        assert self._batcher
        try:
            if not self._batcher.model.writes:
                raise ModelError("a call needs a model that writes text; for labels alone take enrolled commands")
            self._maker = SegmentMaker(self._batcher.model, self._batcher.frame_seconds, hotwords)
        except SpeechxferError:
            self.close()
            raise
        self._redact = redact
        self._partial_seconds = partial_seconds
        self._on_ready = on_ready
        self._command_lock = _IN_USE.setdefault(commands, threading.Lock()) if commands else None
        self._turns = Turns(channels)
        self._ready: list[Event] = []
        self._lock = threading.RLock()
        settled, echo = _TERM_SECONDS if hotwords else 1.0, EchoFilter(channels)
        self._channels = {
            name: _Channel(
                Listener(line, partial(echo.hear, name)),
                StablePrefix(settled_seconds=settled),
                settled,
                CommandSpotter(commands) if commands else None,
            )
            for name, line in lines.items()
        }

    def push(self, channel: str, audio: bytes, timestamp: float | None = None) -> list[Event]:
        """Take what a channel delivered.

        Parameters
        ----------
        channel
            Its name.
        audio
            Encoded samples, any number; a telephone sends 20 ms at a time.
        timestamp
            Seconds of the call at the first of them; None says that they follow what came before.

        Returns
        -------
        list of Event
            What has become known, of all channels.

        Raises
        ------
        AudioError
            If there is no such channel, the bytes are no whole samples, or the timestamp is no time.
        """
        with self._lock:
            one = self._channel(channel)
            for hop in one.listener.push(audio, timestamp):
                self._hear(channel, one, hop)
            return self.collect()

    def dtmf(self, channel: str, digit: str, time: float) -> list[Event]:
        """Pass on that a key was pressed, as the gateway says.

        Parameters
        ----------
        channel
            Whose.
        digit
            Which key.
        time
            Seconds from the start of the call.

        Returns
        -------
        list of Event
            What has become known, of all channels.

        Raises
        ------
        AudioError
            If there is no such channel.
        """
        with self._lock:
            self._channel(channel)
            self._ready.append(Dtmf(channel, digit, time))
            return self.collect()

    def collect(self) -> list[Event]:
        """Give what has become known since the last call, without waiting."""
        with self._lock:
            for name, one in self._channels.items():
                self._ready += self._partials(name, one)
                self._ready += self._finals(name, one, wait=False)
                self._ready += _commands(name, one, wait=False)
            ready, self._ready = self._ready, []
            return ready

    def finish(self) -> list[Event]:
        """End the call: give everything that is left, waiting for it."""
        with self._lock:
            for name, one in self._channels.items():
                for hop in one.listener.finish():
                    self._hear(name, one, hop)
                if one.spotter:
                    self._ask_for_commands(one, one.spotter.finish)
            for event in self._turns.finish():
                self._put(event)
            for name, one in self._channels.items():
                self._ready += self._finals(name, one, wait=True)
                self._ready += _commands(name, one, wait=True)
            self.close()
            ready, self._ready = self._ready, []
            return ready

    def close(self) -> None:
        """Give back what only this session uses; after `finish` it is done."""
        if self._own:
            self._own.close()
            self._own = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _channel(self, name: str) -> _Channel:
        if name not in self._channels:
            raise AudioError(f"no channel {name!r} in this call; it has {', '.join(self._channels)}")
        return self._channels[name]

    def _hear(self, name: str, one: _Channel, hop: Hop) -> None:
        if one.spotter and len(hop.samples):
            spotter, samples = one.spotter, hop.samples
            one.spotted += len(samples)
            one.skipped = hop.end - one.spotted / VAD_RATE
            self._ask_for_commands(one, lambda: spotter.push(samples))
        for stretch in hop.stretches:
            self._ask_for_final(name, one, stretch)
        for event in self._turns.hear(name, hop):
            self._put(event)
        if hop.under_way:
            self._ask_for_partial(one, hop.under_way)

    def _put(self, event: Event) -> None:
        if isinstance(event, EndOfTurn):
            self._channels[event.channel].waiting.append(event)
        else:
            self._ready.append(event)

    def _ask_for_final(self, name: str, one: _Channel, stretch: Stretch) -> None:
        until = max(stretch.start + stretch.seconds - OVERLAP_SECONDS / 2, one.prefix.until) if stretch.continued else math.inf
        following = StablePrefix(until if stretch.continued else 0.0, one.settled_seconds)
        one.waiting.append(_Asked(self._submit(stretch, Urgency.FINAL), one.prefix, until, following))
        one.prefix = following
        one.partial, one.listened = None, 0.0
        if len(one.waiting) > _MAX_PENDING:
            self._ready += self._finals(name, one, wait=True)

    def _ask_for_partial(self, one: _Channel, stretch: Stretch) -> None:
        end = stretch.start + stretch.seconds
        if one.partial or self._batcher_is_late or end - max(one.listened, stretch.start) < self._partial_seconds:
            return
        one.listened = end
        one.partial = (self._submit(_after_what_is_read(stretch, one.prefix), Urgency.PARTIAL), end)

    @property
    def _batcher_is_late(self) -> bool:
        assert self._batcher
        return self._batcher.overloaded

    def _submit(self, stretch: Stretch, urgency: Urgency) -> Future[Segment]:
        assert self._batcher
        future = self._batcher.submit(
            stretch, lambda answer: self._maker.segment([stretch], [answer]), urgency, self._maker.writing
        )
        self._announce(future)
        return future

    def _ask_for_commands(self, one: _Channel, listen: Callable[[], list[SpottedCommand]]) -> None:
        lock, skipped = self._command_lock, one.skipped
        assert lock and self._batcher

        def alone() -> list[SpottedCommand]:
            with lock:
                return [
                    replace(heard, start=round(heard.start + skipped, 3), end=round(heard.end + skipped, 3)) for heard in listen()
                ]

        if len(one.commands) >= _MAX_PENDING:
            one.commands[0].exception()  # waits
        one.commands.append(self._batcher.call(alone))
        self._announce(one.commands[-1])

    def _announce(self, future: Future[Any]) -> None:
        if ready := self._on_ready:
            future.add_done_callback(lambda _: ready())

    def _partials(self, name: str, one: _Channel) -> Iterator[Partial]:
        if not one.partial or not one.partial[0].done():
            return
        (future, end), one.partial = one.partial, None
        unstable = one.prefix.update(future.result().words, end)
        if self._redact:
            yield Partial(name, round(end, 3), "", self._redact.unfinished(_text([*one.prefix.stable, *unstable])))
        else:
            yield Partial(name, round(end, 3), _text(one.prefix.stable), _text(unstable))

    def _finals(self, name: str, one: _Channel, *, wait: bool) -> Iterator[Final | EndOfTurn]:
        while one.waiting:
            first = one.waiting[0]
            if not (wait or isinstance(first, EndOfTurn) or first.future.done()):
                return
            one.waiting.popleft()
            if isinstance(first, EndOfTurn):
                yield first
                continue
            segment = replace(_complete(first), channel=[*self._channels].index(name), role=name)
            redactions: tuple[Redaction, ...] = ()
            if self._redact:
                segment, redactions = self._redact.segment(segment)
            if segment.text:
                yield Final(name, segment, redactions)


def _complete(asked: _Asked) -> Segment:
    """Put what is stable before what was heard in the end, which is as much of the stretch as belongs to it."""
    heard = asked.future.result()
    rest = [word for word in asked.prefix.rest(heard.words) if (word.start + word.end) / 2 <= asked.until]
    words = (*asked.prefix.stable, *rest)
    if words and asked.until < math.inf:
        asked.following.begin_after(words[-1].end)
    if words == heard.words:
        return heard
    confidence = round(sum(word.confidence for word in words) / len(words), 4) if words else 0.0
    return replace(heard, text=_text(words), words=words, confidence=confidence)


def _after_what_is_read(stretch: Stretch, prefix: StablePrefix) -> Stretch:
    """Leave out what lies more than a second before the end of what is stable."""
    skipped = max(0, round((prefix.until - _CONTEXT_SECONDS - stretch.start) * VAD_RATE)) if prefix.stable else 0
    return replace(stretch, start=stretch.start + skipped / VAD_RATE, samples=stretch.samples[skipped:])


def _commands(name: str, one: _Channel, *, wait: bool) -> Iterator[CommandHeard]:
    while one.commands and (wait or one.commands[0].done()):
        for event in one.commands.popleft().result():
            yield CommandHeard(name, event.command, event.start, event.end, event.confidence)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
