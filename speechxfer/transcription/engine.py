"""Transcriber: audio files in, transcripts out, for any length of file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from speechxfer.data import Samples, Utterance, Waveform, load_audio, probe
from speechxfer.decoding import classify, recognise
from speechxfer.features import FeatureSource, Item
from speechxfer.models import SpeechModel, SplitModel, choose_device, choose_precision, load_model
from speechxfer.transcript import Segment, Transcript, Word

_CUT_SEARCH_SECONDS = 5.0
_LOUDNESS_SECONDS = 0.05


class Transcriber:
    """Turns audio into text (CTC) or into the one label it is (classification).

    Parameters
    ----------
    model
        Loaded, or its directory.
    device, precision
        `auto`, or a torch device; `auto`, `fp32` or `bf16`.
    batch_seconds
        Upper bound of padded audio in one forward.
    """

    def __init__(
        self,
        model: SpeechModel | str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_seconds: float = 64.0,
    ) -> None:
        self.model = model if isinstance(model, SpeechModel) else load_model(model)
        where = choose_device(device)
        self._precision = choose_precision(precision, where)
        self.model.model.requires_grad_(False)
        self._split = SplitModel(self.model.model, self.model.family).to(where)
        self._source = FeatureSource(self._split, self.model.frontend, None, self._precision, batch_seconds=batch_seconds)

    def transcribe(self, audio: str | Path | Waveform) -> Transcript:
        """Transcribe one file, all channels mixed.

        Parameters
        ----------
        audio
            A file, or samples with their rate.

        Returns
        -------
        Transcript
            A segment for each stretch that fits the model, cut where it is quietest; times in seconds of the file.

        Raises
        ------
        AudioError
            If it cannot be read as audio.
        """
        if isinstance(audio, Waveform):
            name, duration = "", len(audio.samples) / audio.sampling_rate
        else:
            audio = str(audio)
            name, duration = audio, probe(audio).duration
        rate = self.model.frontend.sampling_rate
        samples = load_audio(Utterance(name, audio), rate)
        spans = list(_spans(samples, rate, self.model.frontend.max_seconds))
        items = [
            Item(Utterance(f"{name}@{first / rate:.3f}", Waveform(samples[first:last], rate)), (last - first) / rate)
            for first, last in spans
        ]
        segments = self._recognise(items, [first / rate for first, _ in spans]) if items else []
        return Transcript(name, round(duration, 3), tuple(segments))

    def _recognise(self, items: Sequence[Item], starts: Sequence[float]) -> list[Segment]:
        features = self._source.features(items)
        if self.model.vocabulary:
            recognised = recognise(self._split, features, self.model.vocabulary, self._precision)
            return [_shifted(item.segment, start) for item, start in zip(recognised, starts, strict=True)]
        confidences, numbers = classify(self._split, features, self._precision).max(dim=-1)
        return [
            Segment(self.model.labels[number], start, round(start + item.seconds, 3), confidence)
            for item, start, number, confidence in zip(items, starts, numbers.tolist(), confidences.tolist(), strict=True)
        ]


def _spans(samples: Samples, rate: int, max_seconds: float) -> Iterator[tuple[int, int]]:
    """Cut into stretches of at most `max_seconds`, each cut at the quietest moment of the last seconds before the limit."""
    longest, search, hop = int(max_seconds * rate), int(_CUT_SEARCH_SECONDS * rate), int(_LOUDNESS_SECONDS * rate)
    first = 0
    while len(samples) - first > longest:
        candidates = samples[first + longest - search : first + longest]
        power = np.square(candidates[: len(candidates) // hop * hop]).reshape(-1, hop).mean(axis=1)
        cut = first + longest - search + int(power.argmin()) * hop + hop // 2
        yield first, cut
        first = cut
    if len(samples) > first:
        yield first, len(samples)


def _shifted(segment: Segment, start: float) -> Segment:
    words = [Word(w.text, round(w.start + start, 3), round(w.end + start, 3), w.confidence) for w in segment.words]
    return Segment(segment.text, round(start, 3), round(segment.end + start, 3), segment.confidence, tuple(words))
