"""Transcript, Segment, Word, SpottedCommand: what was said, with times and confidence, the same from the decoder to the server.

Times are seconds from the start of the audio file (not of the segment); confidences lie in [0, 1].
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

SCHEMA = "speechxfer.transcript/1"


@dataclass(frozen=True)
class Word:
    """One word with its time span in seconds and its confidence."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Segment:
    """A stretch of speech of one channel; its language is told by models that know several."""

    text: str
    start: float
    end: float
    confidence: float
    words: tuple[Word, ...] = ()
    channel: int | None = None
    role: str | None = None
    language: str | None = None

    def later(self, seconds: float) -> Segment:
        """Give the same segment, so many seconds later."""
        words = tuple(
            replace(word, start=round(word.start + seconds, 3), end=round(word.end + seconds, 3)) for word in self.words
        )
        return replace(self, start=round(self.start + seconds, 3), end=round(self.end + seconds, 3), words=words)


@dataclass(frozen=True)
class SpottedCommand:
    """A command that was heard in running speech.

    Attributes
    ----------
    command
        Its name.
    start, end
        Of the speech that it was heard in.
    confidence
        Probability that it was this command and nothing else.
    channel, role
        As of a segment.
    """

    command: str
    start: float
    end: float
    confidence: float
    channel: int | None = None
    role: str | None = None


@dataclass(frozen=True)
class Transcript:
    """All segments of one audio file, in order of time.

    Attributes
    ----------
    audio
        Its path.
    duration
        In seconds.
    segments
        What was said.
    notes
        What a reader should know, such as a channel that only repeats another.
    problems
        Why this is not all of it, such as a file that breaks off.
    commands
        What of the commands that were listened for was said, in order of time.
    """

    audio: str
    duration: float
    segments: tuple[Segment, ...] = field(default=())
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    commands: tuple[SpottedCommand, ...] = ()

    @property
    def text(self) -> str:
        """The text of all segments, separated by single spaces."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    def to_dict(self) -> dict[str, Any]:
        """Give plain lists and dictionaries, ready for JSON, as `docs/transcript.md` describes them."""
        return {"schema": SCHEMA, "text": self.text, **asdict(self)}
