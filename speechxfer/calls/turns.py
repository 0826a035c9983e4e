"""Who speaks when, hop by hop, in; ends of turns, overlaps and silences out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speechxfer.calls.events import EndOfTurn, Overlap, Silence
from speechxfer.calls.listener import HOP_SECONDS, Hop

_TURN_SECONDS = 0.8  # of silence end a turn
_OVERLAP_SECONDS = 0.3  # of speaking at once count
_SILENCE_SECONDS = 5.0


class Turns:
    """Follows all channels of one call.

    Parameters
    ----------
    channels
        Their names.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._spoke = dict.fromkeys(channels, -1.0)  # until when, in seconds of the call
        self._turn_end: dict[str, float] = {}  # of turns that are not over yet, the end of their last stretch
        self._overlap: tuple[float, float] | None = None
        self._silence_said = False

    def hear(self, channel: str, hop: Hop) -> Iterator[EndOfTurn | Overlap | Silence]:
        """Take the next hop of a channel."""
        if hop.stretches:
            last = hop.stretches[-1]
            self._turn_end[channel] = round(last.start + last.seconds, 3)
        if hop.is_speech:
            yield from self._speech(channel, hop.end)
        elif channel in self._turn_end and not hop.under_way and hop.end - self._spoke[channel] >= _TURN_SECONDS:
            yield EndOfTurn(channel, self._turn_end.pop(channel))
        if self._overlap and hop.end - self._overlap[1] > 2 * HOP_SECONDS:
            yield from self._over()
        spoke = max(self._spoke.values())
        if not self._silence_said and hop.end - max(spoke, 0.0) >= _SILENCE_SECONDS:
            self._silence_said = True
            yield Silence(round(max(spoke, 0.0), 3))

    def finish(self) -> Iterator[EndOfTurn | Overlap]:
        """Give what ends with the call."""
        yield from self._over()
        for channel, end in self._turn_end.items():
            yield EndOfTurn(channel, end)
        self._turn_end.clear()

    def _speech(self, channel: str, end: float) -> Iterator[Overlap]:
        start = end - HOP_SECONDS
        others = max((spoke for name, spoke in self._spoke.items() if name != channel), default=-1.0)
        if others >= start + HOP_SECONDS / 2:
            if self._overlap and start <= self._overlap[1] + 2 * HOP_SECONDS:
                self._overlap = (self._overlap[0], max(self._overlap[1], end))
            else:
                yield from self._over()
                self._overlap = (start, end)
        self._spoke[channel] = max(self._spoke[channel], end)
        self._silence_said = False

    def _over(self) -> Iterator[Overlap]:
        if self._overlap and self._overlap[1] - self._overlap[0] >= _OVERLAP_SECONDS:
            yield Overlap(round(self._overlap[0], 3), round(self._overlap[1], 3))
        self._overlap = None
