"""Speech recognition for LiveKit's agents: frames of audio in; what is being said, what was said and ends of turns out."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Never
from weakref import WeakSet

from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    APIError,
    LanguageCode,
    NotGivenOr,
    stt,
    utils,
)
from livekit.agents.types import TimedString

from speechxfer.calls import AsyncCallSession, Batcher, CallSession, EndOfTurn, Event, Final, Partial, Redactor, Silence
from speechxfer.integrations.agents import mono_pcm16, open_model
from speechxfer.models import SpeechModel
from speechxfer.transcript import Segment

_CHANNEL = "user"
_KINDS = stt.SpeechEventType


class LiveKitSTT(stt.STT[Never]):
    """Answers an `AgentSession`, or whatever else takes an STT of LiveKit's.

    An error of the audio or the model is one `APIError` that is not tried again, with the error itself as its cause.

    Parameters
    ----------
    model
        What several agents of a process share; or a model, or its directory, for this one alone.
    language
        What results say is spoken; a model that knows several languages says it itself.
    hotwords
        Terms to listen for: a file or lines, see `speechxfer.decoding.read_hotwords`.
    redact
        Takes out of all texts what must not be kept.
    partial_seconds
        Of new audio, at least, before what is being said is looked at again.

    Raises
    ------
    ModelError
        If the model is none, or writes no text.
    DataError
        With all that is wrong with the hotwords.
    """

    def __init__(
        self,
        model: Batcher | SpeechModel | str | Path,
        *,
        language: str = "en",
        hotwords: str | Path | Sequence[str] = (),
        redact: Redactor | None = None,
        partial_seconds: float = 0.3,
    ) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(streaming=True, interim_results=True, aligned_transcript="word", manual_flush=True)
        )
        self._language = language
        self._partial_seconds = partial_seconds
        self._options: dict[str, Any] = {"channels": (_CHANNEL,), "encoding": "pcm16", "hotwords": hotwords, "redact": redact}
        self._streams: WeakSet[LiveKitStream] = WeakSet()
        self._batcher, self._name = open_model(model, self._options)
        self._is_shared = self._batcher is model

    @property
    def model(self) -> str:
        """Name for LiveKit's metrics: that of the directory, or of the model's family."""
        return self._name

    @property
    def provider(self) -> str:
        """Name for LiveKit's metrics."""
        return "speechxfer"

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> LiveKitStream:
        """Begin to listen.

        Parameters
        ----------
        language
            In place of the one that was given for all.
        conn_options
            Of no consequence: nothing is connected to.

        Returns
        -------
        LiveKitStream
            Takes frames, gives events.
        """
        stream = LiveKitStream(self, self._call, language or self._language, conn_options)
        self._streams.add(stream)
        return stream

    async def aclose(self) -> None:
        """End all streams, and the model if it is nobody else's."""
        for stream in [*self._streams]:
            await stream.aclose()
        if not self._is_shared:
            await asyncio.to_thread(self._batcher.close)

    async def _recognize_impl(
        self, buffer: utils.AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        try:
            segments = await asyncio.to_thread(self._segments, rtc.combine_audio_frames(buffer))
        except Exception as error:
            raise _final_error(error) from error
        return stt.SpeechEvent(_KINDS.FINAL_TRANSCRIPT, alternatives=[_speech_data(segments, language or self._language)])

    def _segments(self, frame: rtc.AudioFrame) -> list[Segment]:
        session = CallSession(self._batcher, sampling_rate=frame.sample_rate, partial_seconds=math.inf, **self._options)
        events = [*session.push(_CHANNEL, _pcm16(frame)), *session.finish()]
        return [event.segment for event in events if isinstance(event, Final)]

    def _call(self, sampling_rate: int) -> AsyncCallSession:
        options = {"sampling_rate": sampling_rate, "partial_seconds": self._partial_seconds, **self._options}
        return AsyncCallSession(self._batcher, **options)


class LiveKitStream(stt.RecognizeStream):
    """Listens to one participant; what `LiveKitSTT.stream` gives.

    Each stretch up to a `flush` is a call of its own. Speech begins, as LiveKit has it, with the first words that are understood;
    interim results say up to when they were listened to, not since when.

    Parameters
    ----------
    owner
        Whom errors and metrics are told.
    call
        Begins to listen to audio of a sampling rate.
    language
        What results say is spoken, unless the model says it.
    conn_options
        LiveKit's.
    """

    def __init__(
        self, owner: LiveKitSTT, call: Callable[[int], AsyncCallSession], language: str, conn_options: APIConnectOptions
    ) -> None:
        super().__init__(stt=owner, conn_options=conn_options)
        self._call = call
        self._language = language
        self._heard_seconds = 0.0
        self._is_speaking = False

    async def _run(self) -> None:
        try:
            async for item in self._input_ch:
                if isinstance(item, rtc.AudioFrame):
                    await self._listen(item)
        except Exception as error:  # whatever a model raises
            raise _final_error(error) from error

    async def _listen(self, first: rtc.AudioFrame) -> None:
        """Listen from a frame to the next flush, or to the end."""
        if not self._heard_seconds:
            self.start_time = time.time()
        call = self._call(first.sample_rate)
        tasks = [asyncio.create_task(self._feed(call, first)), asyncio.create_task(self._tell(call, self._heard_seconds))]
        try:
            await asyncio.gather(*tasks)
        finally:
            await utils.aio.cancel_and_wait(*tasks)

    async def _feed(self, call: AsyncCallSession, first: rtc.AudioFrame) -> None:
        await self._push(call, first)
        async for item in self._input_ch:
            if not isinstance(item, rtc.AudioFrame):
                break
            await self._push(call, item)
        await call.finish()

    async def _push(self, call: AsyncCallSession, frame: rtc.AudioFrame) -> None:
        self._heard_seconds += frame.duration
        await call.push(_CHANNEL, _pcm16(frame))

    async def _tell(self, call: AsyncCallSession, since: float) -> None:
        """Pass on what is heard in a call that began so many seconds after the stream."""
        async for event in call.events():
            for told in self._told(event, since):
                self._event_ch.send_nowait(told)
        for told in self._silence(self._heard_seconds):
            self._event_ch.send_nowait(told)

    def _told(self, event: Event, since: float) -> Iterator[stt.SpeechEvent]:
        later = self.start_time_offset + since
        if isinstance(event, Partial):
            if text := " ".join(filter(None, (event.stable, event.unstable))):
                heard = stt.SpeechData(LanguageCode(self._language), text, end_time=event.end + later)
                yield from self._speech(_KINDS.INTERIM_TRANSCRIPT, heard)
        elif isinstance(event, Final):
            heard = _speech_data([event.segment.later(later)], self._language, self.start_time_offset)
            yield from self._speech(_KINDS.FINAL_TRANSCRIPT, heard)
        elif isinstance(event, EndOfTurn):
            yield from self._silence(since + event.end)
        elif isinstance(event, Silence):  # what sounded like words may turn out to be no turn
            yield from self._silence(since + event.start)

    def _speech(self, kind: stt.SpeechEventType, heard: stt.SpeechData) -> Iterator[stt.SpeechEvent]:
        if not self._is_speaking:
            self._is_speaking = True
            yield stt.SpeechEvent(_KINDS.START_OF_SPEECH)
        yield stt.SpeechEvent(kind, alternatives=[heard])

    def _silence(self, seconds: float) -> Iterator[stt.SpeechEvent]:
        """End what was being said, if anything; seconds of the stream."""
        if self._is_speaking:
            self._is_speaking = False
            yield stt.SpeechEvent(_KINDS.END_OF_SPEECH, speech_end_time=self.start_time + seconds)


def _pcm16(frame: rtc.AudioFrame) -> bytes:
    """Give the mean of a frame's channels, 16-bit little-endian."""
    return mono_pcm16(frame.data[: frame.samples_per_channel * frame.num_channels], frame.num_channels)


def _speech_data(segments: Sequence[Segment], language: str, start_time_offset: float = 0.0) -> stt.SpeechData:
    """Give what was said; of no segments, that nothing was."""
    if not segments:
        return stt.SpeechData(LanguageCode(language), "")
    return stt.SpeechData(
        language=LanguageCode(segments[0].language or language),
        text=" ".join(segment.text for segment in segments),
        start_time=segments[0].start,
        end_time=segments[-1].end,
        confidence=fmean(segment.confidence for segment in segments),
        words=[
            TimedString(word.text, word.start, word.end, word.confidence, start_time_offset)
            for segment in segments
            for word in segment.words
        ],
    )


def _final_error(error: Exception) -> APIError:
    """Give LiveKit's form of an error: the same audio and model would end the same way, so that it does not try again."""
    return APIError(str(error) or type(error).__name__, retryable=False)
