"""A recording in; its stretches of speech, and at the end what there is to say about it, out, while it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from speechxfer.data import VAD_FRAME, VAD_RATE, AudioSource, Samples, VoiceActivity, stream_audio
from speechxfer.errors import AudioError
from speechxfer.transcription.channels import RepeatFilter
from speechxfer.transcription.segments import Segmenter, Stretch

_MOSTLY = 0.95
_LOUD, _MAX_GAIN = 0.2, 30.0


@dataclass(frozen=True)
class Ending:
    """What is known when a recording has been read.

    Attributes
    ----------
    seconds
        That could be read.
    notes
        What a user should know.
    problem
        Why it could not be read to its end.
    """

    seconds: float
    notes: tuple[str, ...] = ()
    problem: AudioError | None = None


def read_stretches(
    source: AudioSource, channels: str | int, max_seconds: float, *, find_speech: bool
) -> Iterator[Stretch | Ending]:
    """Find the speech of each channel.

    Parameters
    ----------
    source
        The recording.
    channels
        `split`, `mix`, or the number of one.
    max_seconds
        Of a stretch.
    find_speech
        False takes everything, pauses too.

    Yields
    ------
    Stretch or Ending
        By channel in order of time; the ending last.
    """
    seconds, number = 0.0, int(channels) if channels not in ("split", "mix") else 0
    readers: list[_Channel] = []
    repeats = RepeatFilter(0)
    try:
        for block in _whole_frames(stream_audio(source, VAD_RATE, channels)):
            if not readers:
                readers = [_Channel(number + index, max_seconds, find_speech) for index in range(block.shape[1])]
                repeats = RepeatFilter(len(readers))
            seconds += len(block) / VAD_RATE
            speech = np.stack([reader.listen(one) for reader, one in zip(readers, block.T, strict=True)], axis=1)
            if len(readers) > 1:
                speech = repeats(block, speech)
            for reader, one, probabilities in zip(readers, block.T, speech.T, strict=True):
                yield from reader.segmenter.push(one, probabilities)
    except AudioError as error:
        problem: AudioError | None = error
    else:
        problem = None
    for reader in readers:
        yield from reader.segmenter.finish()
    yield Ending(round(seconds, 3), tuple(_notes(repeats)), problem)


class _Channel:
    def __init__(self, number: int, max_seconds: float, find_speech: bool) -> None:
        self.segmenter = Segmenter(number, max_seconds)
        self._activity = VoiceActivity() if find_speech else None

    def listen(self, samples: Samples) -> Samples:
        frames = -(-len(samples) // VAD_FRAME)
        if self._activity is None:
            return np.ones(frames, dtype=np.float32)
        # The detector is deaf to what is very quiet, such as the far end of some telephone recorders.
        gain = np.clip(_LOUD / max(np.abs(samples).max(initial=0), 1e-9), 1, _MAX_GAIN)
        speech = self._activity.push(samples * np.float32(gain))
        return speech if len(speech) == frames else np.concatenate([speech, self._activity.finish()])


def _whole_frames(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """Cut the stream anew so that all blocks but the last hold whole frames of the detector."""
    rest: Samples | None = None
    for block in blocks:
        joined = block if rest is None else np.concatenate([rest, block])
        whole = len(joined) // VAD_FRAME * VAD_FRAME
        rest = joined[whole:]
        if whole:
            yield joined[:whole]
    if rest is not None and len(rest):
        yield rest


def _notes(repeats: RepeatFilter) -> Iterator[str]:
    for channel, (spoken, copied) in enumerate(zip(repeats.spoken, repeats.copied, strict=True)):
        if spoken and copied >= _MOSTLY * spoken:
            yield f"channel {channel} holds the same as another one; it is transcribed once"
