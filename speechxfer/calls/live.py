"""AsyncCallSession: the same for asyncio; what comes in and what goes out are two tasks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from speechxfer.calls.batcher import Batcher
from speechxfer.calls.events import Event, Partial
from speechxfer.calls.session import CallSession

_MAX_UNREAD = 256  # events; beyond them `push` waits
_GATHERED_SECONDS = 0.1  # of packets that follow each other go to a thread together: there are 50 a second in each channel
_TOGETHER_SECONDS = 0.02  # what their timestamps may differ by


class AsyncCallSession:
    """Listens to one call in an event loop.

    `push` waits while the model or the reader of `events` is far behind: that is the back-pressure. For a slow reader a newer
    partial takes the place of the one before; nothing else is left out.

    Parameters
    ----------
    batcher
        What the sessions share.
    **options
        Of `CallSession`, but for `on_ready`.

    Raises
    ------
    RuntimeError
        If no event loop is running.
    ModelError, AudioError, DataError
        As for `CallSession`.
    """

    def __init__(self, batcher: Batcher, **options: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = CallSession(batcher, on_ready=self._wake, **options)
        self._unread: deque[Event] = deque()
        self._changed = asyncio.Condition()
        self._to_collect = False
        self._ended = False
        width = 2 if options.get("encoding") == "pcm16" else 1
        self._bytes_per_second = width * options.get("sampling_rate", 8_000)
        self._gathered: dict[str, tuple[float | None, bytes]] = {}  # per channel, with the timestamp of its first sample

    async def push(self, channel: str, audio: bytes, timestamp: float | None = None) -> None:
        """Take what a channel delivered.

        Parameters
        ----------
        channel, audio, timestamp
            As for `CallSession.push`.

        Raises
        ------
        AudioError
            As for `CallSession.push`; packets go there some at a time, so that of one packet it may be raised by a later call.
        """
        start, before = self._gathered.get(channel, (timestamp, b""))
        if not self._follows(start, before, timestamp):
            await self._push_gathered(channel)
            start, before = timestamp, b""
        self._gathered[channel] = start, before + audio
        if len(before + audio) >= _GATHERED_SECONDS * self._bytes_per_second:
            await self._push_gathered(channel)
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._unread) <= _MAX_UNREAD or self._ended)

    async def dtmf(self, channel: str, digit: str, time: float) -> None:
        """Pass on that a key was pressed.

        Parameters
        ----------
        channel, digit, time
            As for `CallSession.dtmf`.

        Raises
        ------
        AudioError
            If there is no such channel; or as for `push`.
        """
        await self._push_gathered(channel)
        await self._deliver(await asyncio.to_thread(self._session.dtmf, channel, digit, time))

    async def finish(self) -> None:
        """End the call; `events` ends when all that is left has been read.

        Raises
        ------
        AudioError
            As for `push`; the call has ended all the same.
        """
        try:
            for channel in [*self._gathered]:
                await self._push_gathered(channel)
        finally:
            events = await asyncio.to_thread(self._session.finish)
            self._ended = True
            await self._deliver(events)

    async def events(self) -> AsyncIterator[Event]:
        """Give what becomes known, until the call has ended."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._unread or self._to_collect or self._ended)
                ready = [*self._unread]
                self._unread.clear()
                self._changed.notify_all()
            for event in ready:
                yield event
            if self._to_collect and not self._ended:
                self._to_collect = False
                await self._deliver(await asyncio.to_thread(self._session.collect))
            elif self._ended and not self._unread:
                return

    def _follows(self, start: float | None, before: bytes, timestamp: float | None) -> bool:
        if start is None or timestamp is None:
            return timestamp is None
        return abs(start + len(before) / self._bytes_per_second - timestamp) <= _TOGETHER_SECONDS

    async def _push_gathered(self, channel: str) -> None:
        if channel in self._gathered:
            timestamp, audio = self._gathered.pop(channel)
            await self._deliver(await asyncio.to_thread(self._session.push, channel, audio, timestamp))

    async def _deliver(self, events: list[Event]) -> None:
        async with self._changed:
            for event in events:
                if isinstance(event, Partial):
                    self._forget_partial(event.channel)
                self._unread.append(event)
            self._changed.notify_all()

    def _forget_partial(self, channel: str) -> None:
        for event in self._unread:
            if isinstance(event, Partial) and event.channel == channel:
                self._unread.remove(event)
                return

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._note()))

    async def _note(self) -> None:
        async with self._changed:
            self._to_collect = True
            self._changed.notify_all()
