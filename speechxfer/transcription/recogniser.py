"""Recogniser: stretches of speech in, what the model says of them, and the segments made of that, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from torch import Tensor

from speechxfer.data import VAD_RATE, Utterance, Waveform
from speechxfer.decoding import (
    Decoder,
    calibrate_segment,
    classify,
    ctc_log_probs,
    join_overlapping,
    join_written,
    make_decoder,
    write,
    writing_options,
)
from speechxfer.features import FeatureSource, Item
from speechxfer.models import SpeechModel, for_inference, load_model, suitable_batch_seconds
from speechxfer.transcript import Segment
from speechxfer.transcription.alignment import Piece
from speechxfer.transcription.segments import OVERLAP_SECONDS, Stretch

Writing = Mapping[str, Any]
"""Options of a decoder, see `speechxfer.decoding.writing_options`."""

NOTHING_SPECIAL: Writing = MappingProxyType({})

Answer = Tensor | Segment
"""Of a stretch: log-probabilities `[frames, vocabulary]`, probabilities `[labels]`, or what a decoder wrote."""


class Answering(Protocol):
    """Whatever answers for a model: a `Recogniser`, or something that shares one among many.

    Attributes
    ----------
    model
        The model.
    frame_seconds
        Time between two frames of an answer.
    """

    model: SpeechModel
    frame_seconds: float

    def answers(self, stretches: Sequence[Stretch], writing: Writing = NOTHING_SPECIAL) -> Sequence[Answer]:
        """Answer.

        Parameters
        ----------
        stretches
            Of speech.
        writing
            How a decoder is to write, see `speechxfer.decoding.writing_options`.

        Returns
        -------
        sequence of Answer
            The model's to each stretch, in their order: log-probabilities `[frames, vocabulary]`, probabilities `[labels]`, or
            what a decoder wrote.
        """


class Recogniser:
    """A model on its device, ready to answer; not for two threads at once.

    Parameters
    ----------
    model
        Loaded, or its directory.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.
    batch_seconds
        Upper bound of padded audio in one forward; None suits the device.

    Attributes
    ----------
    model
        The model.
    frame_seconds
        Time between two frames of an answer.
    batch_seconds
        As used.

    Raises
    ------
    ModelError
        If the model, device or precision is none.
    """

    def __init__(
        self, model: SpeechModel | str | Path, device: str = "auto", precision: str = "auto", batch_seconds: float | None = None
    ) -> None:
        self.model = model if isinstance(model, SpeechModel) else load_model(model)
        self._split, self._precision = for_inference(self.model, device, precision)
        self.batch_seconds = batch_seconds or suitable_batch_seconds(self._split.device)
        self._source = FeatureSource(self._split, self.model.frontend, None, self._precision, batch_seconds=self.batch_seconds)
        self.frame_seconds = self._split.frame_seconds

    def answers(self, stretches: Sequence[Stretch], writing: Writing = NOTHING_SPECIAL) -> Sequence[Answer]:
        """See `Answering`; stretches are batched by length.

        Raises
        ------
        ModelError
            If there is a prompt, and the model takes none.
        """
        if not stretches:
            return []
        items = [
            Item(Utterance(str(number), Waveform(stretch.samples, VAD_RATE)), stretch.seconds)
            for number, stretch in enumerate(stretches)
        ]
        features = self._source.features(items)
        if self.model.vocabulary:
            return ctc_log_probs(self._split, features, self._precision)
        if self.model.tokens:
            return write(self._split, features, self.model.tokens, self._precision, times=True, **writing)
        return [*classify(self._split, features, self._precision)]


class SegmentMaker:
    """Makes segments of stretches and their answers.

    Parameters
    ----------
    model
        Whose answers they are.
    frame_seconds
        Time between two frames of an answer.
    hotwords
        Terms to listen for: a file or lines, see `speechxfer.decoding.read_hotwords`.
    language_model
        An ARPA file; decodes by beam search (needs the extra `lm`).
    prompt
        For a model with a decoder: what it is told that was said before, such as names that may come.
    language
        For a multilingual model: ISO code of what is spoken; None is its own, or what it hears.

    Attributes
    ----------
    writing
        What a recogniser has to be told for these answers.

    Raises
    ------
    ModelError
        If the model writes no text to find terms in, cannot be prompted, or does not know the language.
    DataError
        With all that is wrong with the hotwords or the language model.
    """

    def __init__(
        self,
        model: SpeechModel,
        frame_seconds: float,
        hotwords: str | Path | Sequence[str] = (),
        language_model: str | Path | None = None,
        prompt: str = "",
        language: str | None = None,
    ) -> None:
        self._model = model
        self._frame_seconds = frame_seconds
        self._decode: Decoder | None = None
        self.writing = NOTHING_SPECIAL
        if model.tokens:
            self.writing = writing_options(model, hotwords, language_model, prompt, language)
        elif model.vocabulary or hotwords or language_model or prompt or language:
            self._decode = make_decoder(model.vocabulary, hotwords, language_model, prompt, language)

    def piece(self, stretches: Sequence[Stretch], answers: Sequence[Tensor]) -> Piece:
        """Join log-probabilities `[frames, vocabulary]` of a stretch, or of several that overlap, to those of one piece."""
        return Piece(stretches[0].start, join_overlapping(answers, round(OVERLAP_SECONDS / self._frame_seconds)))

    def segment(self, stretches: Sequence[Stretch], answers: Sequence[Any]) -> Segment:
        """Give what was said in a stretch, or in several that overlap.

        Parameters
        ----------
        stretches
            In order of time.
        answers
            One each, see `Answering.answers`.

        Returns
        -------
        Segment
            In the recording's time; of a classifier the likeliest label, with its probability as the confidence.
        """
        first, last = stretches[0], stretches[-1]
        if self._model.writes:
            if self._decode:
                heard = self._decode(self.piece(stretches, answers).log_probs, self._frame_seconds)
            else:
                heard = join_written(answers, [stretch.start - first.start for stretch in stretches], OVERLAP_SECONDS)
            segment = calibrate_segment(heard, self._model.calibration).later(first.start)
        else:
            confidence, number = answers[0].max(dim=-1)
            segment = Segment(self._model.labels[int(number)], round(first.start, 3), 0.0, float(confidence))
        return replace(segment, end=round(last.start + last.seconds, 3))
