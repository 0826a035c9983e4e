"""Two manifests and a model in; how far apart their recordings are for this model, and their words, out, before training."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speechxfer.data import Manifest, normalise, plan_batches
from speechxfer.errors import DataError, Problem
from speechxfer.evaluation.audio_facts import AudioFacts
from speechxfer.evaluation.doctor import Row, measure_rows
from speechxfer.evaluation.feature_gap import FeatureGap, Floats, compare_features
from speechxfer.features import FeatureSource, Item
from speechxfer.models import PooledClassificationHead, SpeechModel, for_inference

_MOST = 400  # utterances of each set that are listened to
_FEWEST = 20
_BATCH_SECONDS = 64.0
_FREQUENT = 10
_MUCH_NARROWER = 0.75
_MUCH_NOISIER_DB = 6.0


@dataclass(frozen=True)
class AudioConditions:
    """What the recordings of one set are like; medians over utterances, see `AudioFacts` for what is measured and how.

    Attributes
    ----------
    seconds
        Length.
    sampling_rate
        Of the files, in Hz.
    level_db, noise_db
        Of loud and of quiet frames, in dB of full scale.
    snr_db
        Loud frames over quiet ones, in dB.
    bandwidth_hz
        Up to where there is sound.
    """

    seconds: float
    sampling_rate: float
    level_db: float
    noise_db: float
    snr_db: float
    bandwidth_hz: float


@dataclass(frozen=True)
class UnseenWords:
    """Words of one text that another lacks.

    Attributes
    ----------
    rate
        Their share of all words, each counted as often as it occurs (the out-of-vocabulary rate).
    words
        Of the text, in all.
    different
        Unseen words, each counted once.
    frequent
        The ten most frequent of them, with how often they occur.
    """

    rate: float
    words: int
    different: int
    frequent: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class DomainGap:
    """How far apart two sets are; pairs are in the order in which the sets were given.

    Attributes
    ----------
    features
        Distances between pooled features of the model's last encoder layer.
    utterances, left_out
        How many were compared; how many more were drawn, but cannot be read, are silent or too long for the model.
    audio
        What the recordings are like.
    unseen
        Words of the second set that the first one lacks; None if one of them has no texts.
    sentences
        What it means and what to do, in plain words.
    """

    features: FeatureGap
    utterances: tuple[int, int]
    left_out: tuple[int, int]
    audio: tuple[AudioConditions, AudioConditions]
    unseen: UnseenWords | None
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, ready for JSON."""
        return asdict(self)


def compare_recordings(
    manifest: Manifest, against: Manifest, model: SpeechModel, progress: Callable[[int, int], None] = lambda done, total: None
) -> DomainGap:
    """Tell how far apart two sets are for a model.

    Parameters
    ----------
    manifest, against
        The sets; of a large one, 400 utterances are compared, always the same. All texts are.
    model
        Whose encoder listens, in fp32; its head is not used.
    progress
        Told how many utterances are done, of how many.

    Returns
    -------
    DomainGap
        Distances with their yardsticks, audio conditions, unseen words.

    Raises
    ------
    DataError
        If fewer than 20 utterances of a set can be used.
    ModelError
        If the model was exported in another precision than fp32.
    """
    drawn = [_draw(one) for one in (manifest, against)]
    usable = [_usable(one, model) for one in drawn]
    total = sum(map(len, usable))
    vectors = (
        _pooled(usable[0], model, lambda done: progress(done, total)),
        _pooled(usable[1], model, lambda done: progress(len(usable[0]) + done, total)),
    )
    speakers, names = [[row.speaker for row in rows] for rows in usable], [[row.utterance.id for row in rows] for rows in usable]
    features = compare_features(vectors, (speakers[0], speakers[1]), (names[0], names[1]))
    first, second = ([row.facts for row in rows] for rows in usable)
    audio = (conditions(first), conditions(second))
    unseen = unseen_words(*(one.columns.get("text", []) for one in (manifest, against)))
    return DomainGap(
        features=features,
        utterances=(len(usable[0]), len(usable[1])),
        left_out=(len(drawn[0]) - len(usable[0]), len(drawn[1]) - len(usable[1])),
        audio=audio,
        unseen=unseen,
        sentences=(_meaning(features), *_advice(audio, unseen)),
    )


def _draw(manifest: Manifest) -> Manifest:
    """Draw by id, so that neither chance nor the order of the rows changes what is found."""
    keys = [hashlib.blake2b(name.encode()).digest() for name in manifest.columns["id"]]
    return manifest.select(sorted(range(len(manifest)), key=keys.__getitem__)[:_MOST])


def _usable(manifest: Manifest, model: SpeechModel) -> list[Row]:
    malformed = {f"{problem.file}:{problem.line}" for problem in manifest.problems}
    rows = [
        row
        for row in measure_rows({"": manifest})[0]
        if row.place not in malformed and not row.facts.is_silent and row.facts.seconds <= model.frontend.max_seconds
    ]
    if len(rows) < _FEWEST:
        what = f"{len(rows)} usable utterances, expected {_FEWEST} or more to compare sets"
        raise DataError([Problem(manifest.source, None, what)])
    return rows


def _pooled(rows: Sequence[Row], model: SpeechModel, progress: Callable[[int], None]) -> Floats:
    """Give the mean over time of the last encoder layer, `[utterances, width]`."""
    split, precision = for_inference(model, precision="fp32")
    # Silence that only fills a window up is no part of a recording.
    source = FeatureSource(split, model.frontend.in_context("adaptive"), None, precision)
    items = [Item(row.utterance, row.facts.seconds) for row in rows]
    planned = plan_batches([item.seconds for item in items], _BATCH_SECONDS)
    made: dict[int, Floats] = {}
    batches = source.batches([[items[row] for row in numbers] for numbers in planned])
    for numbers, batch in zip(planned, batches, strict=True):
        if getattr(model.model.config, "use_weighted_layer_sum", False):
            means = batch.frames[:, -1]  # the features of such a model are the means of all its layers
        else:
            means = PooledClassificationHead.pool((batch.frames,), batch.lengths)[:, 0]
        made.update(zip(numbers, means.double().numpy(), strict=True))
        progress(len(made))
    return np.stack([made[row] for row in range(len(rows))])


def conditions(facts: Sequence[AudioFacts]) -> AudioConditions:
    """Sum up what was measured of recordings.

    Parameters
    ----------
    facts
        See `measure`; of at least one.

    Returns
    -------
    AudioConditions
        Medians.
    """
    names = AudioConditions.__dataclass_fields__
    return AudioConditions(**{name: float(np.median([getattr(one, name) for one in facts])) for name in names})


def unseen_words(texts: Iterable[str], against: Iterable[str]) -> UnseenWords | None:
    """Find the words of other texts that these texts lack.

    Parameters
    ----------
    texts
        What is known.
    against
        The other texts. Both are compared as the normaliser `basic` leaves them.

    Returns
    -------
    UnseenWords or None
        Of the other texts; None if there is no word on one side.
    """
    known, other = (Counter(word for text in side for word in normalise(text, "basic").split()) for side in (texts, against))
    if not known or not other:
        return None
    unseen = Counter({word: count for word, count in other.items() if word not in known})
    frequent = sorted(unseen.items(), key=lambda item: (-item[1], item[0]))[:_FREQUENT]
    return UnseenWords(unseen.total() / other.total(), other.total(), len(unseen), tuple(frequent))


def _meaning(features: FeatureGap) -> str:
    which = ("first", "second")[features.halved]
    times = features.frechet.between / max(features.frechet.halves, 1e-9)
    right = 50 + 25 * features.a_distance.between
    found = (
        f"their Fréchet distance for this model is {times:.1f} times that of two halves of the {which} set, "
        f"and a linear classifier tells {right:.0f} % of them apart (50 % is chance)"
    )
    outcome = features.frechet.exceeds_halves + features.a_distance.exceeds_halves
    sentence = (
        f"These recordings differ no more than two halves of one set: {found}; scores on the one set should hold for the other, "
        "as far as sound goes.",
        f"These recordings hardly differ more than two halves of one set: {found}, and only one of these is more than chance; "
        "expect little change from the one set to the other.",
        f"These recordings differ more than two halves of one set: {found}; expect a model that is trained on the one set to do "
        "worse on the other than its own test says: test on both, and train on some of the other.",
    )[outcome]
    if features.over == "utterance":
        sentence += " Too few speakers are known to part the halves by them, so part of this may be voices."
    return sentence


def _advice(audio: tuple[AudioConditions, AudioConditions], unseen: UnseenWords | None) -> Iterator[str]:
    first, second = audio
    narrow, wide = sorted(one.bandwidth_hz for one in audio)
    if narrow < _MUCH_NARROWER * wide:
        where = ("first", "second")[int(second.bandwidth_hz == narrow)]
        yield (
            f"Sound ends at {narrow / 1000:.1f} kHz in the {where} set, at {wide / 1000:.1f} kHz in the other: "
            "train on what will be heard later, or resample the other to it."
        )
    if first.snr_db - second.snr_db > _MUCH_NOISIER_DB:
        yield "The second set is noisier: mix noise into the training audio (`augment.noise`)."
    if unseen and unseen.different:
        yield (
            f"{100 * unseen.rate:.1f} % of the second set's words do not occur in the first: "
            "a model that is trained on the first has never had to write them."
        )
