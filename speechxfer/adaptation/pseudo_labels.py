"""Speech that nobody wrote down in; what a model hears in it, and how firmly, out.

A text is firm if the model stays with it while dropout takes parts of the model away and the recording is faster, slower, louder
or quieter: Khurana et al., "Unsupervised domain adaptation for speech recognition via uncertainty driven self-training" (DUST),
2021, with disturbed recordings as well as disturbed models. A decoder, such as Whisper's, which was trained without dropout, is
not disturbed itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from rapidfuzz.distance import Levenshtein
from torch import nn

from speechxfer.data import Manifest, Vocabulary, WaveformAugmenter, normalise
from speechxfer.decoding import Decoder, greedy
from speechxfer.evaluation import answer, as_items
from speechxfer.features import FeatureSource, Item
from speechxfer.models import (
    SpeechModel,
    SplitModel,
    autocast,
    choose_device,
    choose_precision,
    collate,
    suitable_batch_seconds,
)
from speechxfer.recipe import AugmentSection, GainSection

_DISTURBED = AugmentSection(views=3, speed=[0.95, 1.05, 1.0], gain_db=GainSection(range=(-12.0, 0.0), probability=1))
_AT_ONCE = 16  # utterances


@dataclass(frozen=True)
class PseudoLabel:
    """What a model hears in an utterance.

    Attributes
    ----------
    text
        Undisturbed.
    confidence
        Of its words, on average; 0 where there are none.
    disagreement
        The largest edit distance of a disturbed answer from `text`, per symbol of it; of a model with a decoder, both normalised.
    """

    text: str
    confidence: float
    disagreement: float


def pseudo_label(
    speech_model: SpeechModel,
    manifest: Manifest,
    *,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    decoder: Decoder | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PseudoLabel]:
    """Listen to each utterance once as it is and three times disturbed.

    Parameters
    ----------
    speech_model
        That writes.
    manifest
        Checked, with durations; its texts, if it has any, are not looked at.
    seed
        Of the disturbances.
    device, precision
        As for `evaluate`.
    decoder
        For the undisturbed answer of a CTC model, see `speechxfer.decoding.make_decoder`; None is greedy.
    progress
        Told how many utterances are done, of how many.

    Returns
    -------
    list of PseudoLabel
        In the order of the manifest.

    Raises
    ------
    ModelError
        If there is no such device or precision.
    AudioError
        If an utterance, which the error names, cannot be read.

    Notes
    -----
    S. Khurana et al., "Unsupervised domain adaptation for speech recognition via uncertainty driven self-training" (DUST), ICASSP
    2021, with disturbed recordings as well as disturbed models.
    """
    where = choose_device(device)
    how = choose_precision(precision, where)
    module: nn.Module = speech_model.model
    module.to(where)
    split = SplitModel(speech_model.model, speech_model.family)
    augmenter = WaveformAugmenter(_DISTURBED, speech_model.frontend.sampling_rate, seed)
    seconds = suitable_batch_seconds(where)
    source = FeatureSource(split, speech_model.frontend, None, how, augmenter, batch_seconds=seconds)
    views = range(_DISTURBED.views)
    items = zip(as_items(manifest), *(as_items(manifest, view, augmenter.speed(view)) for view in views), strict=True)
    found: dict[int, PseudoLabel] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for rows, group in _by_length([*items]):
            found |= dict(zip(rows, _label(speech_model, split, source, group, how, decoder), strict=True))
            progress(len(found), len(manifest))
    return [found[row] for row in range(len(manifest))]


def _by_length(items: Sequence[tuple[Item, ...]]) -> list[tuple[list[int], list[tuple[Item, ...]]]]:
    order = sorted(range(len(items)), key=lambda row: items[row][0].seconds)
    groups = [order[start : start + _AT_ONCE] for start in range(0, len(order), _AT_ONCE)]
    return [(rows, [items[row] for row in rows]) for rows in groups]


def _label(
    speech_model: SpeechModel,
    split: SplitModel,
    source: FeatureSource,
    group: Sequence[tuple[Item, ...]],
    precision: str,
    decoder: Decoder | None,
) -> list[PseudoLabel]:
    plain, *disturbed = ([*items] for items in zip(*group, strict=True))
    heard = [one.segment for one in answer(split, source, speech_model, plain, precision, decoder=decoder)]
    others = [_disturbed(split, source, speech_model, items, precision) for items in disturbed]
    labels = []
    for segment, *texts in zip(heard, *others, strict=True):
        assert segment
        distances = [_distance(speech_model, segment.text, text) for text in texts]
        labels.append(PseudoLabel(segment.text, segment.confidence if segment.text else 0.0, max(distances)))
    return labels


def _disturbed(
    split: SplitModel, source: FeatureSource, speech_model: SpeechModel, items: Sequence[Item], precision: str
) -> list[str]:
    if speech_model.vocabulary:
        return _with_dropout(split, source, items, speech_model.vocabulary, precision)
    # A second thought would be drawn by chance, and takes most of the time.
    return [one.text for one in answer(split, source, speech_model, items, precision, writing={"redraws": False})]


def _distance(speech_model: SpeechModel, text: str, other: str) -> float:
    """Give the edits per symbol; of a text as a decoder writes it, case and punctuation may not count."""
    if speech_model.tokens:
        text, other = (normalise(one, speech_model.normaliser) for one in (text, other))
    return float(Levenshtein.distance(text, other) / max(1, len(text)))


@torch.no_grad()
def _with_dropout(
    split: SplitModel, source: FeatureSource, items: Sequence[Item], vocabulary: Vocabulary, precision: str
) -> list[str]:
    features = source.features(items)
    split.train_suffix()
    batch = collate(features).to(split.device)
    with autocast(split.device, precision):
        logits = split(batch)
    split.eval()
    lengths = split.frame_lengths(batch.input_lengths).tolist()
    log_probs = logits.float().log_softmax(dim=-1).cpu()
    return [greedy(one[:length], vocabulary, split.frame_seconds).text for one, length in zip(log_probs, lengths, strict=True)]
