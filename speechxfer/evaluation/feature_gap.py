"""Vectors of two sets `[utterances, width]` in; how far apart they are, out, beside what the halves of one set are apart.

A distance from small samples is never 0, and speakers differ too: without this yardstick it means nothing. So halves are parted
by speaker, and all that is compared is equally large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_DIMENSIONS = 32  # of the Gaussians; features are some hundreds wide, and sets are often no larger
_SHRINKAGE = 0.1  # of a covariance towards the sphere, so that it can be inverted however few the utterances
_FOLDS = 5
_HALVINGS = 10
_MIN_SPEAKERS = (4, 2)  # of the set that is halved and of the other one; with fewer, utterances stand for speakers
_TINY = 1e-9


@dataclass(frozen=True)
class Distance:
    """One distance, with its yardstick.

    Attributes
    ----------
    between
        The sets are apart: mean over ten halvings of a half of one and as much of the other.
    halves, halves_most
        Two halves of one set are apart: mean and largest of the same ten halvings.
    """

    between: float
    halves: float
    halves_most: float

    @property
    def exceeds_halves(self) -> bool:
        """Whether the sets are farther apart than any two halves were."""
        return self.between > self.halves_most


@dataclass(frozen=True)
class FeatureGap:
    """How far apart two sets of vectors are.

    Attributes
    ----------
    frechet
        Per feature, in units of the variance that it has within the sets (see `frechet_distance`).
    a_distance
        0 to 2 (see `proxy_a_distance`).
    halved
        Which set was halved, 0 or 1: the one with more speakers.
    over
        What halves and folds are parted by: `speaker`, or `utterance` where too few speakers are known to part them.
    size
        Utterances in each half.
    """

    frechet: Distance
    a_distance: Distance
    halved: int
    over: str
    size: int


def frechet_distance(first: npt.ArrayLike, second: npt.ArrayLike, dimensions: int = _DIMENSIONS) -> float:
    """Give the squared Fréchet distance between the Gaussians of two samples.

    Parameters
    ----------
    first, second
        `[utterances, width]`, at least two utterances each.
    dimensions
        How many principal components of both samples together are looked at: a covariance of more dimensions than a quarter of
        the utterances would be mostly chance.

    Returns
    -------
    float
        |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), in squared units of the features.

    Notes
    -----
    D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions", J. Multivariate Analysis 12
    (1982); of audio features K. Kilgour et al., "Fréchet audio distance", Interspeech 2019.
    """
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = np.concatenate([one, other])
    _, axes = np.linalg.eigh(np.cov(both, rowvar=False).reshape(both.shape[1], -1))
    axes = axes[:, ::-1][:, :dimensions]
    one, other = one @ axes, other @ axes
    covariances = [np.cov(sample, rowvar=False).reshape(axes.shape[1], -1) for sample in (one, other)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # tr (C1 C2)^½ by the symmetric matrix that has the same eigenvalues.
    shared = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    means = np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2)
    return float(means + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * shared)


def proxy_a_distance(
    first: npt.ArrayLike, second: npt.ArrayLike, first_blocks: Sequence[str], second_blocks: Sequence[str]
) -> float:
    """Give the proxy A-distance: how well a linear classifier tells two samples apart.

    Parameters
    ----------
    first, second
        `[utterances, width]`.
    first_blocks, second_blocks
        Each utterance's speaker, two or more of them in each sample. A speaker is never trained on and tested at the same time,
        or voices would be recognised instead of recordings.

    Returns
    -------
    float
        2 (1 - 2 ε), 0 to 2, where ε is the error on speakers who were held out, in up to five folds; both samples count the same.

    Notes
    -----
    S. Ben-David et al., "Analysis of representations for domain adaptation", NeurIPS 2006. The classifier is Fisher's linear
    discriminant of standardised features with a shrunken covariance (J. H. Friedman, "Regularized discriminant analysis", JASA
    84, 1989), which needs no search for settings.
    """
    samples = [np.asarray(sample, dtype=float) for sample in (first, second)]
    count = min(_FOLDS, len(set(first_blocks)), len(set(second_blocks)))
    folds = _folds(first_blocks, second_blocks, count)
    wrong: tuple[list[bool], list[bool]] = ([], [])
    for fold in range(count):
        classify = _discriminant(*(sample[own != fold] for sample, own in zip(samples, folds, strict=True)))
        for number, (sample, own) in enumerate(zip(samples, folds, strict=True)):
            wrong[number].extend(classify(sample[own == fold]) != bool(number))
    error = float(np.mean(wrong[0]) + np.mean(wrong[1])) / 2
    return max(0.0, 2 * (1 - 2 * error))


def _folds(first: Sequence[str], second: Sequence[str], count: int) -> list[npt.NDArray[np.int64]]:
    """Give each utterance's fold: the same for a speaker of both samples, and every fold has speakers of each."""
    shared = sorted(set(first) & set(second))
    folds = []
    for blocks in (first, second):
        place = {name: number for number, name in enumerate([*shared, *sorted(set(blocks) - set(shared))])}
        folds.append(np.array([place[name] % count for name in blocks]))
    return folds


def _discriminant(first: Floats, second: Floats) -> Callable[[Floats], npt.NDArray[np.bool_]]:
    """Learn to tell which vectors are of the second sample."""
    both = np.concatenate([first, second])
    centre, scale = both.mean(axis=0), both.std(axis=0) + _TINY
    first, second = (first - centre) / scale, (second - centre) / scale
    means = first.mean(axis=0), second.mean(axis=0)
    deviations = np.concatenate([first - means[0], second - means[1]])
    covariance = deviations.T @ deviations / len(deviations)
    sphere = np.eye(len(centre)) * (np.trace(covariance) / len(centre) + _TINY)
    direction = np.linalg.solve((1 - _SHRINKAGE) * covariance + _SHRINKAGE * sphere, means[1] - means[0])
    middle = direction @ (means[0] + means[1]) / 2
    return lambda vectors: (vectors - centre) / scale @ direction > middle


@dataclass(frozen=True)
class _Sample:
    """Vectors `[utterances, width]` and each one's block, a speaker or the utterance itself."""

    vectors: Floats
    blocks: npt.NDArray[np.str_]

    def of(self, names: npt.NDArray[np.str_]) -> _Sample:
        """Give the utterances of some blocks."""
        rows = np.isin(self.blocks, names)
        return _Sample(self.vectors[rows], self.blocks[rows])

    def some(self, size: int, random: np.random.Generator) -> _Sample:
        """Draw so many utterances, of as many blocks and as evenly as can be."""
        seen: Counter[str] = Counter()
        turns = []
        for row in random.permutation(len(self.blocks)).tolist():
            turns.append((seen[self.blocks[row]], row))
            seen[self.blocks[row]] += 1
        rows = [row for _, row in sorted(turns, key=lambda turn: turn[0])[:size]]
        return _Sample(self.vectors[rows], self.blocks[rows])


def compare_features(
    vectors: tuple[npt.ArrayLike, npt.ArrayLike],
    speakers: tuple[Sequence[str], Sequence[str]],
    names: tuple[Sequence[str], Sequence[str]],
) -> FeatureGap:
    """Compare two sets with each other, and the halves of the one that has more speakers.

    Parameters
    ----------
    vectors
        Of each set, `[utterances, width]`, at least four utterances each.
    speakers
        Of each set, each utterance's; empty where unknown.
    names
        Of each set, each utterance's, for where too few speakers are known.

    Returns
    -------
    FeatureGap
        From ten halvings at a fixed seed. In each, one half of a set is compared with its other half and with the other set, of
        which as many speakers and utterances are taken.
    """
    features = [np.asarray(array, dtype=float) for array in vectors]
    # Some features of a pretrained encoder are a hundred times as large as others, and would be all that counts.
    scale = np.sqrt(sum(array.var(axis=0) for array in features) / 2) + _TINY
    over = "speaker" if _can_be_parted(speakers) else "utterance"
    samples = [
        _Sample(array / scale, np.asarray(own, dtype=str))
        for array, own in zip(features, speakers if over == "speaker" else names, strict=True)
    ]
    sizes = [(len(np.unique(sample.blocks)), len(sample.blocks)) for sample in samples]
    halved = int(sizes[1] > sizes[0])
    random = np.random.default_rng(0)
    frechet, a_distance, size = [], [], 0
    for _ in range(_HALVINGS):
        half, rest, other = _draw(samples[halved], samples[1 - halved], random)
        size = len(half.blocks)
        dimensions = max(1, min(_DIMENSIONS, size // 4))
        pairs = (other, rest)
        frechet.append([frechet_distance(half.vectors, pair.vectors, dimensions) / len(scale) for pair in pairs])
        a_distance.append(
            [proxy_a_distance(half.vectors, pair.vectors, half.blocks.tolist(), pair.blocks.tolist()) for pair in pairs]
        )
    return FeatureGap(_distance(frechet), _distance(a_distance), halved, over, size)


def _can_be_parted(speakers: tuple[Sequence[str], Sequence[str]]) -> bool:
    fewer, more = sorted(len(set(own)) for own in speakers)
    return all(all(own) for own in speakers) and more >= _MIN_SPEAKERS[0] and fewer >= _MIN_SPEAKERS[1]


def _draw(halved: _Sample, other: _Sample, random: np.random.Generator) -> list[_Sample]:
    """Give two halves of one set and as much of the other one."""
    names, others = (random.permutation(np.unique(sample.blocks)) for sample in (halved, other))
    half = len(names) // 2
    parts = [halved.of(names[:half]), halved.of(names[half : 2 * half]), other.of(others[:half])]
    size = min(len(part.blocks) for part in parts)
    return [part.some(size, random) for part in parts]


def _distance(found: Sequence[Sequence[float]]) -> Distance:
    between, halves = np.transpose(found)
    return Distance(float(between.mean()), float(halves.mean()), float(halves.max()))
