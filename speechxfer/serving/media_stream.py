"""Twilio Media Streams over a WebSocket: base64 µ-law of both tracks in, what is heard out as JSON messages.

The messages `connected`, `start`, `media`, `dtmf`, `mark` and `stop` are Twilio's. What is heard is sent as
`{"event": "transcript", "streamSid": "...", "transcript": {"type": "final", ...}}`. The `customParameters` of `start` may hold
`api_key`, since Twilio can send no headers, `model`, and `hotwords`, parted by commas.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import math
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from speechxfer.calls import AsyncCallSession, Partial, Redactor, event_dict
from speechxfer.errors import SpeechxferError
from speechxfer.serving.access import ApiError, bearer
from speechxfer.serving.state import ServerState

_LOG = logging.getLogger(__name__)
_TRACKS = ("inbound", "outbound")
_START_SECONDS = 10.0
_MAX_HOTWORDS = 4_000  # letters
_PARTIAL_SECONDS = 0.5  # of new audio; partials are most of what many calls cost
# Codes of RFC 6455 and the IANA registry.
_NORMAL, _UNSUPPORTED, _POLICY, _FAILED, _TRY_LATER = 1000, 1003, 1008, 1011, 1013
_LONGEST_REASON = 120  # bytes


class _WrongError(Exception):
    """A message that cannot be used; the stream is closed with the code."""

    def __init__(self, what: str, code: int = _UNSUPPORTED) -> None:
        super().__init__(what)
        self.code = code


def media_routes(state: ServerState) -> APIRouter:
    """Make the route `/v1/realtime/media`.

    Parameters
    ----------
    state
        Of the server.

    Returns
    -------
    fastapi.APIRouter
        With one WebSocket.
    """
    router = APIRouter()

    @router.websocket("/v1/realtime/media")
    async def media(socket: WebSocket) -> None:
        await socket.accept()
        code, reason = _NORMAL, ""
        try:
            with ExitStack() as held:
                await _Stream(socket, state, held).run()
        except WebSocketDisconnect:
            return
        except _WrongError as error:
            code, reason = error.code, str(error)
        except ApiError as error:
            code, reason = _TRY_LATER if error.status in (429, 503) else _POLICY, str(error)
        except SpeechxferError as error:
            code, reason = _POLICY, str(error)
        except TimeoutError:
            code, reason = _POLICY, "nothing came for too long"
        except Exception:  # whatever a model raises
            _LOG.exception("a call ended with an error")
            code, reason = _FAILED, "the server failed; what was said since is lost"
        with suppress(RuntimeError, WebSocketDisconnect):  # it may be closed already
            await socket.close(code, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))

    return router


class _Stream:
    """One stream, from its first message to its last."""

    def __init__(self, socket: WebSocket, state: ServerState, held: ExitStack) -> None:
        self._socket = socket
        self._state = state
        self._held = held
        self._sid = ""
        # Per track, when the audio up to a second of the call arrived; for the latency of partials.
        self._arrived: dict[str, deque[tuple[float, float]]] = {track: deque() for track in _TRACKS}

    async def run(self) -> None:
        """Listen until the stream stops, then say what is left; where either fails, both end."""
        session = await self._started()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell(session))
                try:
                    while await self._take(session, await self._message(self._state.settings.body_seconds)):
                        pass
                finally:
                    await session.finish()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _started(self) -> AsyncCallSession:
        message: dict[str, Any] = {}
        async with asyncio.timeout(_START_SECONDS):
            while message.get("event") != "start":
                message = await self._message(_START_SECONDS)
                if message.get("event") not in ("connected", "start"):
                    raise _WrongError(f"the event is {_shown(message.get('event'))}; expected connected, then start")
        start = _object(message, "start")
        layout = _object(start, "mediaFormat") if "mediaFormat" in start else {}
        if layout.get("encoding", "audio/x-mulaw") != "audio/x-mulaw" or layout.get("sampleRate", 8000) not in (8000, "8000"):
            raise _WrongError("mediaFormat: expected audio/x-mulaw at 8000")
        custom = _object(start, "customParameters") if "customParameters" in start else {}
        self._sid = str(message.get("streamSid", ""))[:100]
        settings, access = self._state.settings, self._state.access
        access.check_key(bearer(self._socket.headers) or str(custom.get("api_key", "")))
        self._held.enter_context(access.call())
        name = str(custom.get("model", self._state.shelf.names[0]))
        if name not in self._state.shelf.names:
            raise _WrongError(f"no model {_shown(name)}; there are {', '.join(self._state.shelf.names)}", _POLICY)
        always = settings.hotwords.read_text(encoding="utf-8-sig").splitlines() if settings.hotwords else []
        asked = [term for term in str(custom.get("hotwords", ""))[:_MAX_HOTWORDS].split(",") if term.strip()]
        return AsyncCallSession(
            await asyncio.to_thread(self._state.shelf.get, name),
            channels=_TRACKS,
            hotwords=[*dict.fromkeys([*always, *asked])],
            commands=self._state.shelf.commands,
            redact=Redactor() if settings.redact else None,
            partial_seconds=_PARTIAL_SECONDS,
        )

    async def _message(self, seconds: float) -> dict[str, Any]:
        received = await asyncio.wait_for(self._socket.receive(), seconds)
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", _NORMAL))
        try:
            message = json.loads(received.get("text") or received.get("bytes") or b"")
        except (ValueError, RecursionError):
            raise _WrongError("a message that is not JSON") from None
        if not isinstance(message, dict):
            raise _WrongError("a message that is no JSON object")
        return message

    async def _take(self, session: AsyncCallSession, message: dict[str, Any]) -> bool:
        """Do what a message says; gives False when it is the last."""
        event = message.get("event")
        if event == "media":
            await self._media(session, _object(message, "media"))
        elif event == "dtmf":
            dtmf = _object(message, "dtmf")
            track = self._track(str(dtmf.get("track", "inbound_track")).removesuffix("_track"))
            arrived = self._arrived[track]
            await session.dtmf(track, str(dtmf.get("digit", ""))[:8], arrived[-1][0] if arrived else 0.0)
        elif event not in ("mark", "connected", "stop"):
            raise _WrongError(f"the event is {_shown(event)}; expected media, dtmf, mark or stop")
        return event != "stop"

    async def _media(self, session: AsyncCallSession, media: dict[str, Any]) -> None:
        track = self._track(str(media.get("track", "inbound")))
        try:
            payload = base64.b64decode(str(media["payload"]), validate=True)
            timestamp = float(media["timestamp"]) / 1000 if "timestamp" in media else None
            if timestamp is not None and not 0 <= timestamp < math.inf:
                raise ValueError("no time")
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise _WrongError("media: expected a payload in base64 and a timestamp in milliseconds") from None
        self._state.metrics.audio.labels("call").inc(len(payload) / 8_000)
        arrived = self._arrived[track]
        before = arrived[-1][0] if arrived else 0.0
        arrived.append(((before if timestamp is None else timestamp) + len(payload) / 8_000, time.monotonic()))
        if len(arrived) > 3_000:
            arrived.popleft()
        await session.push(track, payload, timestamp)

    def _track(self, name: str) -> str:
        if name not in _TRACKS:
            raise _WrongError(f"the track is {_shown(name)}; expected {', '.join(_TRACKS)}")
        return name

    async def _tell(self, session: AsyncCallSession) -> None:
        async for event in session.events():
            if isinstance(event, Partial):
                self._observe(event)
            told = {"event": "transcript", "streamSid": self._sid, "transcript": event_dict(event)}
            with suppress(WebSocketDisconnect, RuntimeError):  # nobody is there any more: the events must go all the same
                await self._socket.send_text(json.dumps(told, ensure_ascii=False))

    def _observe(self, partial: Partial) -> None:
        arrived = self._arrived[partial.channel]
        while len(arrived) > 1 and arrived[0][0] < partial.end:
            arrived.popleft()
        if arrived and arrived[0][0] >= partial.end:
            self._state.metrics.partial_latency.observe(time.monotonic() - arrived[0][1])


def _object(message: dict[str, Any], name: str) -> dict[str, Any]:
    found = message.get(name)
    if not isinstance(found, dict):
        raise _WrongError(f"{name} is {_shown(found)}; expected an object")
    return found


def _shown(value: object) -> str:
    return repr(value)[:40]
