"""Speech recognition for Pipecat: frames of audio in; what is being said, what was said and the user's turns out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.utils.time import time_now_iso8601

from speechxfer.calls import AsyncCallSession, Batcher, EndOfTurn, Event, Final, Partial, Redactor, Silence
from speechxfer.integrations.agents import mono_pcm16, open_model
from speechxfer.models import SpeechModel

_CHANNEL = "user"


class PipecatSTTService(STTService):
    """Listens in a pipeline of Pipecat's, and finds the user's turns: no analyser of voice activity is needed beside it.

    Gives an `InterimTranscriptionFrame` whose `result` is a `speechxfer.calls.Partial` while somebody speaks, and a
    `TranscriptionFrame` for each stretch of speech, whose `result` is its `speechxfer.transcript.Segment` with the times and
    confidence of words, in seconds since the first frame of audio. An error of the audio or the model is one `ErrorFrame`, after
    which the service is unusable.

    Parameters
    ----------
    model
        What several pipelines of a process share; or a model, or its directory, for this one alone.
    language
        What results say is spoken; a model that knows several languages says it itself.
    hotwords
        Terms to listen for: a file or lines, see `speechxfer.decoding.read_hotwords`.
    redact
        Takes out of all texts what must not be kept.
    partial_seconds
        Of new audio, at least, before what is being said is looked at again.
    **options
        Of Pipecat's `STTService`.

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
        **options: Any,
    ) -> None:
        self._how: dict[str, Any] = {"channels": (_CHANNEL,), "encoding": "pcm16", "hotwords": hotwords, "redact": redact}
        self._how["partial_seconds"] = partial_seconds
        self._batcher, name = open_model(model, self._how)
        self._is_shared = self._batcher is model
        super().__init__(settings=STTSettings(model=name, language=language), **options)
        self._call: AsyncCallSession | None = None
        self._telling: asyncio.Task[None] | None = None
        self._format = (0, 1)  # sampling rate and channels of the frame at hand
        self._call_rate = 0
        self._is_speaking = False

    @property
    def supports_ttfs(self) -> bool:
        """Always False: the service says itself when a turn has ended, so that nobody has to wait for its last words."""
        return False

    def service_metadata_frame(self) -> STTMetadataFrame:
        """Ask for turns by what this service proposes."""
        frame = super().service_metadata_frame()
        frame.user_turn_strategies = ExternalUserTurnStrategies()
        return frame

    async def process_audio_frame(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        """Note what a frame holds before its samples are listened to."""
        self._format = (frame.sample_rate, frame.num_channels)
        await super().process_audio_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Listen on; what is heard is told by a task of its own.

        Parameters
        ----------
        audio
            16-bit samples of one frame.

        Yields
        ------
        None
            Nothing is known at once.
        """
        rate, num_channels = self._format
        try:
            if self._call is None:
                self._call, self._call_rate = AsyncCallSession(self._batcher, sampling_rate=rate, **self._how), rate
                self._telling = self.create_task(self._tell(self._call))
            if rate != self._call_rate:
                raise ValueError(f"a frame has a sampling rate of {rate} Hz; expected {self._call_rate}, as those before")
            await self._call.push(_CHANNEL, mono_pcm16(audio, num_channels))
        except Exception as error:  # whatever a model raises
            await self._fail(error)
        yield None

    async def stop(self, frame: EndFrame) -> None:
        """Tell all that is left before the pipeline ends."""
        if self._call and self._telling:
            try:
                await self._call.finish()
                await self._telling
            except Exception as error:  # whatever a model raises
                await self._fail(error)
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Leave untold what is left."""
        if self._telling:
            await self.cancel_task(self._telling)
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """End the model, if it is nobody else's."""
        await super().cleanup()
        if not self._is_shared:
            await asyncio.to_thread(self._batcher.close)

    async def _tell(self, call: AsyncCallSession) -> None:
        try:
            async for event in call.events():
                await self._told(event)
        except Exception as error:  # whatever a model raises
            await self._fail(error)

    async def _told(self, event: Event) -> None:
        if isinstance(event, Partial):
            if text := " ".join(filter(None, (event.stable, event.unstable))):
                await self._speech()
                language = self._language(None)
                await self.push_frame(InterimTranscriptionFrame(text, self._user_id, time_now_iso8601(), language, event))
        elif isinstance(event, Final):
            await self._speech()
            segment, language = event.segment, self._language(event.segment.language)
            await self.push_frame(TranscriptionFrame(segment.text, self._user_id, time_now_iso8601(), language, segment))
        elif isinstance(event, EndOfTurn | Silence) and self._is_speaking:  # what sounded like words may turn out to be no turn
            self._is_speaking = False
            await self.broadcast_frame(ProposedUserStoppedSpeakingFrame)

    async def _speech(self) -> None:
        if not self._is_speaking:
            self._is_speaking = True
            await self.broadcast_frame(ProposedUserStartedSpeakingFrame)

    def _language(self, heard: str | None) -> Language | None:
        """Give Pipecat's name of what the model heard, or of what was given; None if it has none."""
        try:
            return Language(str(heard or self._settings.language))
        except ValueError:
            return None

    async def _fail(self, error: Exception) -> None:
        """Say so once; the same audio and model would end the same way."""
        if self.is_usable:
            await self.push_error(str(error) or type(error).__name__, exception=error, force_treat_as_permanent=True)
