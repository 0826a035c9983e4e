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


class AsyncCallSession:
    """Listens to one call in an event loop.

    `push` waits while the model or the reader of `events` is far behind: that is the back-pressure. For a slow reader a newer
    partial takes the place of the one before; nothing else is left out.

    Parameters
    ----------
    batcher
        What the sessions share.
    **options
        Of `CallSession`.
    """

    def __init__(self, batcher: Batcher, **options: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = CallSession(batcher, on_ready=self._wake, **options)
        self._unread: deque[Event] = deque()
        self._changed = asyncio.Condition()
        self._to_collect = False
        self._ended = False

    async def push(self, channel: str, audio: bytes, timestamp: float | None = None) -> None:
        """Take what a channel delivered; see `CallSession.push`."""
        await self._deliver(await asyncio.to_thread(self._session.push, channel, audio, timestamp))
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._unread) <= _MAX_UNREAD or self._ended)

    async def dtmf(self, channel: str, digit: str, time: float) -> None:
        """Pass on that a key was pressed."""
        await self._deliver(await asyncio.to_thread(self._session.dtmf, channel, digit, time))

    async def finish(self) -> None:
        """End the call; `events` ends when all that is left has been read."""
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
