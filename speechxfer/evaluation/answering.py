"""A model and utterances in, what it answers to each of them out; nobody looks at references here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechxfer.data import Manifest
from speechxfer.decoding import Decoder, calibrate_segment, classify, make_decoder, recognise, write, writing_options
from speechxfer.features import FeatureSource, FeatureStore, Item
from speechxfer.models import Features, InferenceModel, SpeechModel, Tokens, for_inference, load_model, suitable_batch_seconds
from speechxfer.transcript import Segment


@dataclass(frozen=True)
class Answer:
    """What a model answered to one utterance.

    Attributes
    ----------
    text
        Recognised, or the label.
    segment
        With words and calibrated confidences; None for a label.
    input_length, blank_share
        Of a CTC model's input, and which part of its output was blank; 0 for others.
    """

    text: str
    segment: Segment | None = None
    input_length: int = 0
    blank_share: float = 0.0


class Recogniser:
    """A saved model, ready to answer: all it needs can be sent to another process.

    Parameters
    ----------
    model
        Loaded, or its directory.
    device, precision, batch_seconds, hotwords, language_model, prompt, language, store
        See `evaluate`.

    Raises
    ------
    ModelError
        If the directory holds no fine-tuned model, or it cannot run as asked.
    """

    def __init__(
        self,
        model: SpeechModel | str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_seconds: float | None = None,
        hotwords: str | Path | Sequence[str] = (),
        language_model: str | Path | None = None,
        prompt: str = "",
        language: str | None = None,
        store: FeatureStore | None = None,
    ) -> None:
        self._model = model if isinstance(model, SpeechModel) else load_model(model)
        self._split, self._precision = for_inference(self._model, device, precision)
        size = batch_seconds or suitable_batch_seconds(self._split.device)
        self._source = FeatureSource(self._split, self._model.frontend, store, self._precision, batch_seconds=size)
        self._decoder: Decoder | None = None
        self._writing: Mapping[str, Any] = {}
        if self._model.tokens:
            self._writing = writing_options(self._model, hotwords, language_model, prompt, language)
        elif hotwords or language_model or prompt or language:
            self._decoder = make_decoder(self._model.vocabulary, hotwords, language_model, prompt, language)

    def __call__(self, manifest: Manifest) -> list[Answer]:
        """Answer to each utterance of a checked manifest.

        Raises
        ------
        AudioError
            If one cannot be read.
        """
        items = as_items(manifest)
        self._source.plan(items)
        return answer(
            self._split, self._source, self._model, items, self._precision, decoder=self._decoder, writing=self._writing
        )


def as_items(manifest: Manifest, view: int | None = None, speed: float = 1.0) -> list[Item]:
    """Give a manifest's utterances as items of one view.

    Parameters
    ----------
    manifest
        With a `duration` column, see `speechxfer.data.check_sets`.
    view
        Number of the view; None is the audio as it is.
    speed
        Of the view, by which its items are shorter.

    Returns
    -------
    list of Item
        In the order of the rows.
    """
    seconds = manifest.columns["duration"]
    return [Item(utterance, float(seconds[row]) / speed, view) for row, utterance in enumerate(manifest)]


def answer(
    split: InferenceModel,
    source: FeatureSource,
    speech_model: SpeechModel,
    items: Sequence[Item],
    precision: str,
    *,
    decoder: Decoder | None = None,
    writing: Mapping[str, Any] | None = None,
) -> list[Answer]:
    """Answer to each item.

    Parameters
    ----------
    split, source
        The model with its cut, and where its features come from.
    speech_model
        Task, vocabulary or labels, and calibration.
    items
        What to answer to.
    precision
        Of the suffix.
    decoder
        Of a CTC model; None is greedy.
    writing
        Options of a model with a decoder, see `writing_options`.

    Returns
    -------
    list of Answer
        In the order of the items.
    """
    features = source.features(items)
    if not speech_model.writes:
        return [Answer(speech_model.labels[best]) for best in classify(split, features, precision).argmax(dim=-1).tolist()]
    if speech_model.tokens:
        written = _write(split, features, items, speech_model.tokens, precision, writing or {})
        segments = [calibrate_segment(segment, speech_model.calibration) for segment in written]
        return [Answer(segment.text, segment) for segment in segments]
    assert speech_model.vocabulary is not None
    answers = []
    recognised = recognise(split, features, speech_model.vocabulary, precision, decoder=decoder)
    for item, own in zip(recognised, features, strict=True):
        segment = calibrate_segment(item.segment, speech_model.calibration)
        answers.append(Answer(segment.text, segment, own.input_length, item.blank_share))
    return answers


def _write(
    split: InferenceModel,
    features: Sequence[Features],
    items: Sequence[Item],
    tokens: Tokens,
    precision: str,
    writing: Mapping[str, Any],
) -> list[Segment]:
    """Let a decoder write each item in its own language, unless all are to be written in one."""
    rows_in: dict[str | None, list[int]] = {}
    for row, item in enumerate(items):
        rows_in.setdefault(writing.get("language") or tokens.language_of(item.utterance), []).append(row)
    found: dict[int, Segment] = {}
    for language, rows in rows_in.items():
        chosen = [features[row] for row in rows]
        found |= zip(rows, write(split, chosen, tokens, precision, **{**writing, "language": language}), strict=True)
    return [found[row] for row in range(len(items))]
