"""Speech recognition for what speaks the Wyoming protocol, such as Home Assistant: audio over a socket in, a text out."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.server import AsyncEventHandler, AsyncServer

from speechxfer import __version__
from speechxfer.commands import CommandRecognizer
from speechxfer.data import Samples, Utterance, Waveform
from speechxfer.errors import AudioError
from speechxfer.transcription import Transcriber

RATE = 16_000
MAX_SECONDS = 60.0
"""What is kept of one utterance; a client that sends more is cut off there, and a line in the log says so."""

Answer = Callable[[Samples], str]
"""From float32 `[num_samples]` at 16 kHz to a text; the empty text is "nothing understood"."""

_LOG = logging.getLogger(__name__)


def answer_by(engine: CommandRecognizer | Transcriber) -> Answer:
    """Give what answers: the name of an enrolled command, or a transcript.

    Parameters
    ----------
    engine
        A `CommandRecognizer` answers with the command or, for anything else, nothing.

    Returns
    -------
    callable
        From float32 `[num_samples]` at 16 kHz to a text; the empty text is "nothing understood".
    """
    lock = threading.Lock()  # each connection asks from a thread of its own, and an engine is not for two at once

    def answer(samples: Samples) -> str:
        audio = Waveform(samples, RATE)
        with lock:
            if isinstance(engine, CommandRecognizer):
                return engine.recognise([Utterance("wyoming", audio)])[0].command or ""
            return engine.transcribe(audio).text

    return answer


class WyomingHandler(AsyncEventHandler):
    """Serves one connection.

    Parameters
    ----------
    reader, writer
        Of the connection.
    answer
        Called with each utterance, in a thread.
    language
        Which the program says it understands, such as `en`.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: Answer, language: str) -> None:
        super().__init__(reader, writer)
        self._answer = answer
        self._info = _info(language)
        self._begin()

    def _begin(self) -> None:
        self._converter = AudioChunkConverter(rate=RATE, width=2, channels=1)
        self._audio = bytearray()

    async def handle_event(self, event: Event) -> bool:
        """Take what the client sends; True keeps the connection."""
        if Describe.is_type(event.type):
            await self.write_event(self._info.event())
        elif AudioStart.is_type(event.type):
            self._begin()
        elif AudioChunk.is_type(event.type):
            self._audio += self._converter.convert(AudioChunk.from_event(event)).audio
            if len(self._audio) > 2 * RATE * MAX_SECONDS:
                _LOG.warning("an utterance of more than %g s is cut off", MAX_SECONDS)
                del self._audio[int(2 * RATE * MAX_SECONDS) :]
        elif AudioStop.is_type(event.type):
            samples = np.frombuffer(bytes(self._audio), dtype="<i2").astype(np.float32) / np.float32(32768)
            self._begin()
            await self.write_event(Transcript(await asyncio.to_thread(self._understood, samples)).event())
        return True

    def _understood(self, samples: Samples) -> str:
        try:
            return self._answer(samples)
        except AudioError as error:
            _LOG.warning("nothing understood: %s", error)
            return ""


async def serve_wyoming(answer: Answer, uri: str, *, language: str = "en") -> None:
    """Serve until cancelled, or until SIGTERM.

    Parameters
    ----------
    answer
        See `answer_by`; called in a thread, with at most 60 s. Its `AudioError` is answered with the empty text.
    uri
        Where to listen, such as `tcp://127.0.0.1:10300`.
    language
        Which the program says it understands.
    """
    await AsyncServer.from_uri(uri).run(partial(WyomingHandler, answer=answer, language=language))


def _info(language: str) -> Info:
    own = Attribution(name="speechxfer", url="")
    about: dict[str, Any] = {"name": "speechxfer", "attribution": own, "installed": True, "version": __version__}
    model = AsrModel(**about, description="a model fine-tuned with speechxfer", languages=[language])
    return Info(asr=[AsrProgram(**about, description="speechxfer", models=[model])])
