"""OpenAI's transcription API: an upload in; text, subtitles, JSON or a stream of events out.

Own additions, which OpenAI's clients send by `extra_body`: `channels` (`mix` or `split`), `hotwords` (lines). The field `prompt`
is handed to a model with a decoder; of a CTC model's it names terms to listen for, parted by commas. `language` is heeded by a
multilingual model; other models have theirs. `temperature` is checked and without effect: the likeliest words are given.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, BinaryIO, TypeVar

import soundfile
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from speechxfer.calls import Redactor
from speechxfer.errors import AudioError, DataError, ModelError
from speechxfer.serving.access import ApiError, bearer
from speechxfer.serving.state import ServerState
from speechxfer.serving.uploads import Form, read_form
from speechxfer.transcript import Segment, Transcript
from speechxfer.transcription import Transcriber, render

_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_LANGUAGE = re.compile(r"[a-zA-Z]{2,20}([-_][a-zA-Z]{2,8})?")
_MAX_TERMS, _MAX_TERM_WORDS, _MAX_TERM_LETTERS = 200, 4, 60
_END = object()
Given = TypeVar("Given")


def openai_routes(state: ServerState) -> APIRouter:
    """Make the routes under `/v1`.

    Parameters
    ----------
    state
        Of the server.

    Returns
    -------
    fastapi.APIRouter
        For `/v1/models` and `/v1/audio/transcriptions`.
    """
    router = APIRouter(prefix="/v1")
    # Apart from the threads that calls use, which files must not take up; a thread of these mostly waits for the model.
    pool = ThreadPoolExecutor(4, thread_name_prefix="speechxfer-file")

    def described(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": state.started, "owned_by": "speechxfer"}

    @router.get("/models")
    async def models(request: Request) -> JSONResponse:
        state.access.check_key(bearer(request.headers))
        return JSONResponse({"object": "list", "data": [described(name) for name in state.shelf.names]})

    @router.get("/models/{name:path}")
    async def model(request: Request, name: str) -> JSONResponse:
        state.access.check_key(bearer(request.headers))
        _refuse_unknown(state, name)
        return JSONResponse(described(name))

    @router.post("/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        state.access.check_key(bearer(request.headers))
        with ExitStack() as held:
            held.enter_context(state.access.request(_client(request)))
            form = await read_form(request, 1e6 * state.settings.max_upload_mb, state.settings.body_seconds)
            asked = _Asked(form, state)
            work = asyncio.get_running_loop().run_in_executor
            transcriber = await work(pool, asked.transcriber)
            try:
                if not asked.streams:
                    transcript = await work(pool, transcriber.transcribe, form.file)
                else:
                    # What is no audio is found before anything is answered.
                    segments = transcriber.stream(form.file)
                    first = await work(pool, next, segments, None)
                    following = _in_thread(segments, lambda step: work(pool, step))
                    events = _events(first, following, asked, held.pop_all())
                    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
            except AudioError as error:
                raise ApiError(400, _without_name(error), "file", "unreadable_audio") from None
        state.metrics.audio.labels("file").inc(transcript.duration)
        return asked.answer(transcript)

    return router


class _Asked:
    """What a request asks for; wrong values are refused before anything is computed."""

    def __init__(self, form: Form, state: ServerState) -> None:
        self._state = state
        self.model = form.text("model", state.shelf.names[0])
        _refuse_unknown(state, self.model)
        self.format = form.choice("response_format", _FORMATS)
        self._language = form.text("language") or None
        if self._language and not _LANGUAGE.fullmatch(self._language):
            raise ApiError(400, f"language is {self._language[:100]!r}; expected a code such as en", "language")
        self.temperature = form.number("temperature", 0, 1, 0)
        self.granularities = {*form.fields.get("timestamp_granularities", ["segment"])}
        if unknown := self.granularities - {"word", "segment"}:
            raise ApiError(
                400, f"timestamp_granularities has {min(unknown)[:100]!r}; expected word, segment", "timestamp_granularities"
            )
        if "timestamp_granularities" in form.fields and self.format != "verbose_json":
            raise ApiError(400, "timestamp_granularities needs response_format verbose_json", "timestamp_granularities")
        self.streams = form.choice("stream", ("false", "true", "False", "True", "0", "1")).lower() in ("true", "1")
        if self.streams and self.format not in ("json", "text"):
            raise ApiError(400, f"stream needs response_format json or text, and it is {self.format}", "response_format")
        self._channels = form.choice("channels", ("mix", "split"))
        self._prompt = form.text("prompt")
        self._hotwords = [line for line in form.text("hotwords").splitlines() if line.strip()]
        if len(self._hotwords) > _MAX_TERMS or any(len(line) > _MAX_TERM_LETTERS for line in self._hotwords):
            what = f"expected at most {_MAX_TERMS} lines of {_MAX_TERM_LETTERS} letters"
            raise ApiError(400, f"too many or too long hotwords; {what}", "hotwords")
        self.redactor = Redactor() if state.settings.redact else None
        seconds = _seconds(form.file)
        if seconds > state.settings.max_seconds:
            longest = state.settings.max_seconds
            raise ApiError(413, f"{seconds:.0f} s of audio; expected at most {longest:.0f} s", "file", "too_long")

    def transcriber(self) -> Transcriber:
        """Make what transcribes it; loads the model if need be."""
        batcher = self._state.shelf.get(self.model)
        always = [] if not (path := self._state.settings.hotwords) else path.read_text(encoding="utf-8-sig").splitlines()
        vocabulary = batcher.model.vocabulary
        asked = [*dict.fromkeys([*always, *self._hotwords])]
        known = {" ".join(re.split("=>|\t", line)[0].split()) for line in asked}
        prompted = [
            term
            for term in _terms(self._prompt.replace(",", "\n"))
            if vocabulary and not vocabulary.unknown([term]) and term not in known
        ]
        terms = [*asked, *dict.fromkeys(prompted)]
        try:
            prompt = self._prompt if batcher.model.tokens else ""
            language = self._language if batcher.model.tokens else None
            return Transcriber(batcher, channels=self._channels, hotwords=terms, prompt=prompt, language=language)
        except ModelError as error:
            raise ApiError(400, str(error), "language" if language else "prompt") from None
        except DataError as error:
            raise ApiError(400, str(error), "hotwords") from None

    def said(self, segment: Segment) -> Segment:
        """Give a segment as it may be shown."""
        return self.redactor.segment(segment)[0] if self.redactor else segment

    def answer(self, transcript: Transcript) -> Response:
        """Give what was asked for."""
        shown = Transcript(
            "", transcript.duration, tuple(map(self.said, transcript.segments)), transcript.notes, transcript.problems
        )
        if self.format == "text":
            return PlainTextResponse(f"{shown.text}\n")
        if self.format in ("srt", "vtt"):
            return PlainTextResponse(render(shown, self.format))
        if self.format == "json":
            return JSONResponse({"text": shown.text, "usage": _usage(shown.duration)})
        return JSONResponse(self._verbose(shown))

    def _verbose(self, transcript: Transcript) -> dict[str, Any]:
        heard = [segment.language for segment in transcript.segments if segment.language]
        language = max(heard, key=heard.count) if heard else self._language or "en"
        told: dict[str, Any] = {"task": "transcribe", "language": language, "duration": transcript.duration}
        told |= {"text": transcript.text, "usage": _usage(transcript.duration)}
        if "segment" in self.granularities:
            told["segments"] = [self._segment(number, one) for number, one in enumerate(transcript.segments)]
        if "word" in self.granularities:
            told["words"] = [word for segment in transcript.segments for word in _words(segment)]
        return told | {"notes": transcript.notes, "problems": transcript.problems}

    def _segment(self, number: int, segment: Segment) -> dict[str, Any]:
        told = {"id": number, "seek": 0, "start": segment.start, "end": segment.end, "text": segment.text, "tokens": []}
        told |= {"temperature": self.temperature, "avg_logprob": math.log(max(segment.confidence, 1e-9))}
        # Speech was found before it was transcribed; compression_ratio is a sign of loops, which no text here has.
        told |= {"compression_ratio": 1.0, "no_speech_prob": 0.0}
        return told | {"channel": segment.channel, "confidence": segment.confidence}


async def _events(first: Segment | None, following: AsyncIterator[Segment], asked: _Asked, held: ExitStack) -> AsyncIterator[str]:
    texts: list[str] = []
    with held:
        try:
            if first:
                yield _delta(asked.said(first), texts)
            async for segment in following:
                yield _delta(asked.said(segment), texts)
        except AudioError as error:
            yield _event(ApiError(400, _without_name(error), "file", "unreadable_audio").body())
        else:
            yield _event({"type": "transcript.text.done", "text": " ".join(filter(None, texts))})


def _delta(segment: Segment, texts: list[str]) -> str:
    """Give the event of a segment, and add its text to those before."""
    delta = f" {segment.text}" if any(texts) and segment.text else segment.text
    texts.append(segment.text)
    place = {"start": segment.start, "end": segment.end, "channel": segment.channel, "confidence": segment.confidence}
    return _event({"type": "transcript.text.delta", "delta": delta, "segment": place | {"words": _words(segment)}})


def _words(segment: Segment) -> list[dict[str, Any]]:
    return [{"word": one.text, "start": one.start, "end": one.end, "confidence": one.confidence} for one in segment.words]


async def _in_thread(steps: Iterator[Given], work: Callable[[Callable[[], Any]], Any]) -> AsyncIterator[Given]:
    """Take each step of an iterator in a thread."""
    while (one := await work(lambda: next(steps, _END))) is not _END:
        yield one


def _event(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told, ensure_ascii=False)}\n\n"


def _usage(seconds: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(seconds)}


def _terms(text: str) -> list[str]:
    """Give the terms of a prompt; sentences are none."""
    terms = (" ".join(line.lower().split()) for line in text.splitlines())
    return [term for term in terms if term and len(term.split()) <= _MAX_TERM_WORDS and len(term) <= _MAX_TERM_LETTERS][
        :_MAX_TERMS
    ]


def _seconds(file: BinaryIO) -> float:
    """Give the length that a file says it has; 0 where only decoding it would tell."""
    try:
        return float(soundfile.info(file).duration)
    except (soundfile.SoundFileError, TypeError, ValueError, OSError):
        return 0.0
    finally:
        file.seek(0, io.SEEK_SET)


def _refuse_unknown(state: ServerState, name: str) -> None:
    if name not in state.shelf.names:
        what = f"no model {name[:100]!r}; there are {', '.join(state.shelf.names)}"
        raise ApiError(404, what, "model", "model_not_found")


def _client(request: Request) -> str:
    return bearer(request.headers) or (request.client.host if request.client else "")


def _without_name(error: AudioError) -> str:
    return str(error).removeprefix("recording: ")
