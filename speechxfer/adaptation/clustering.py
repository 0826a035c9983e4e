"""Recordings in, groups of those that sound alike to a model, out: accents, channels, kinds of speech that nobody labelled.

Needs the extra `cluster` (scikit-learn).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from speechxfer.adaptation.scikit import need_scikit
from speechxfer.data import Manifest, Utterance
from speechxfer.errors import DataError, Problem
from speechxfer.evaluation import AudioConditions, conditions, group_rows, measure_rows
from speechxfer.features import Statistics, StatisticsEncoder

Vectors = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Method = Literal["kmeans", "hdbscan"]

_FEWEST = 20
_DIMENSIONS = 32  # principal components: distances in more of them are all alike
_JUDGED = 2000  # utterances by which a number of groups is judged: silhouettes take time in proportion to the square
_SMALLEST_SHARE = 0.02  # of all utterances, in a group that HDBSCAN finds
_SMALLEST = 5
_CENTRAL = 3
_FAINT = 0.1  # silhouette, below which groups run into each other
_TINY = 1e-9
_ALSO_KNOWN = ("label", "speaker", "call", "language", "folder")
_MAX_VALUES = 20


@dataclass(frozen=True)
class Correspondence:
    """What a group is, as far as a column knows.

    Attributes
    ----------
    value
        The most frequent value in the group.
    share
        Of the group's utterances whose value is known.
    known
        How many these are.
    """

    value: str
    share: float
    known: int


@dataclass(frozen=True)
class Cluster:
    """One group.

    Attributes
    ----------
    name
        `1`, `2`, ... from the largest on; empty for what HDBSCAN leaves ungrouped.
    size, share
        Utterances, and their share of all.
    central
        Ids of the utterances nearest to its centre: those to listen to first.
    audio
        Medians of what its recordings are like.
    known
        By column, what the group corresponds to.
    """

    name: str
    size: int
    share: float
    central: tuple[str, ...]
    audio: AudioConditions
    known: Mapping[str, Correspondence]


@dataclass(frozen=True)
class Clustering:
    """The groups of a set of recordings.

    Attributes
    ----------
    clusters
        From the largest on, what is ungrouped last.
    silhouette
        -1 to 1, mean over utterances that are in a group: how much nearer they are to their own than to the next one; 0 where
        there are not two groups.
    silhouettes
        k-means: of each number of groups that was tried.
    agreement
        Of each column with known values: adjusted Rand index of its values and the groups, 0 by chance, 1 if they are the same.
    left_out
        Where, and why: what cannot be read, or is silent.
    sentences
        What it means, in plain words.
    of
        Each grouped or ungrouped utterance's id to the name of its group.
    """

    clusters: tuple[Cluster, ...]
    silhouette: float
    silhouettes: Mapping[int, float]
    agreement: Mapping[str, float]
    left_out: tuple[tuple[str, str], ...]
    sentences: tuple[str, ...]
    of: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, ready for JSON, without `of`."""
        found = asdict(self)
        del found["of"]
        return found


def cluster(
    manifest: Manifest,
    model: str | Path,
    *,
    method: Method = "kmeans",
    most: int = 12,
    device: str = "auto",
    precision: str = "auto",
) -> Clustering:
    """Group recordings by how they sound to a model.

    Parameters
    ----------
    manifest
        Of a recording that is longer than the model takes, the beginning is listened to. Columns with known values are never used
        for grouping, only to say what the groups correspond to.
    model
        Whose encoder listens: pretrained, fine-tuned, or `tiny`.
    method
        `kmeans`, whose number of groups, 2 to `most`, has the largest silhouette; or `hdbscan`, which finds dense groups of any
        shape and leaves out what lies between them.
    most
        Groups that k-means may find.
    device, precision
        See `StatisticsEncoder`.

    Returns
    -------
    Clustering
        The same for the same input.

    Raises
    ------
    DataError
        If fewer than 20 recordings can be used.
    ModelError
        If there is no such model, or the extra `cluster` is not installed.

    Notes
    -----
    P. J. Rousseeuw, "Silhouettes" (1987); R. J. G. B. Campello et al., "Density-based clustering based on hierarchical density
    estimates" (2013); L. Hubert and P. Arabie, "Comparing partitions" (1985).
    """
    need_scikit("clustering")
    rows, problems = measure_rows({"": manifest})
    silent = [(row.place, "silent") for row in rows if row.facts.is_silent]
    rows = [row for row in rows if not row.facts.is_silent]
    if len(rows) < _FEWEST:
        what = f"{len(rows)} usable recordings, expected {_FEWEST} or more to find groups"
        raise DataError([Problem(manifest.source, None, what)])
    encoder = StatisticsEncoder(model, device=device, precision=precision)
    vectors = directions(encoder([_beginning(row.utterance, row.facts.seconds, encoder.max_seconds) for row in rows]))
    numbers, silhouettes = _by_kmeans(vectors, most) if method == "kmeans" else (_by_density(vectors), {})
    ids = [row.utterance.id for row in rows]
    known = _known(manifest, ids)
    clusters = []
    for number in range(int(numbers.min()), int(numbers.max()) + 1):
        members = np.flatnonzero(numbers == number)
        if len(members):
            clusters.append(
                Cluster(
                    name=_name(number),
                    size=len(members),
                    share=len(members) / len(rows),
                    central=tuple(ids[row] for row in _central(vectors, members)) if number >= 0 else (),
                    audio=conditions([rows[row].facts for row in members]),
                    known={column: found for column, values in known.items() if (found := _most_frequent(values[members]))},
                )
            )
    clusters.sort(key=lambda one: not one.name)
    silhouette, agreement = _silhouette(vectors, numbers), _agreement(known, numbers)
    return Clustering(
        clusters=tuple(clusters),
        silhouette=silhouette,
        silhouettes=silhouettes,
        agreement=agreement,
        left_out=(*problems, *silent),
        sentences=tuple(_meaning(clusters, silhouette, agreement)),
        of={name: _name(number) for name, number in zip(ids, numbers.tolist(), strict=True)},
    )


def _beginning(utterance: Utterance, seconds: float, most: float) -> Utterance:
    return replace(utterance, end=utterance.start + min(seconds, most))


def directions(statistics: Statistics) -> Vectors:
    """Give each utterance's direction from the mean, in principal components of standardised features.

    No layer counts more for its scale, and distances are angles: lengths say how unusual an utterance is, not what it is like.

    Parameters
    ----------
    statistics
        `[utterances, layers, 2 x width]`.

    Returns
    -------
    numpy.ndarray
        float64 `[utterances, components]` of length 1; at most 32 components and no more than a quarter of the utterances.
    """
    from sklearn.decomposition import PCA

    flat = statistics.reshape(len(statistics), -1).astype(np.float64)
    standard = (flat - flat.mean(axis=0)) / (flat.std(axis=0) + _TINY)
    components = min(_DIMENSIONS, max(2, len(flat) // 4), standard.shape[1])
    reduced = np.asarray(PCA(components, random_state=0).fit_transform(standard))
    return reduced / (np.linalg.norm(reduced, axis=1, keepdims=True) + _TINY)


def _by_kmeans(vectors: Vectors, most: int) -> tuple[Numbers, dict[int, float]]:
    from sklearn.cluster import KMeans

    tried = {}
    for count in range(2, min(most, len(vectors) // 2) + 1):
        tried[count] = KMeans(count, n_init=10, random_state=0).fit_predict(vectors).astype(np.int64)
    silhouettes = {count: _silhouette(vectors, numbers) for count, numbers in tried.items()}
    return _from_the_largest(tried[max(silhouettes, key=silhouettes.__getitem__)]), silhouettes


def _by_density(vectors: Vectors) -> Numbers:
    from sklearn.cluster import HDBSCAN

    smallest = max(_SMALLEST, round(_SMALLEST_SHARE * len(vectors)))
    return _from_the_largest(HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(vectors).astype(np.int64))


def _from_the_largest(numbers: Numbers) -> Numbers:
    """Give groups numbers from the largest on; what is in none stays -1."""
    sizes = Counter(number for number in numbers.tolist() if number >= 0)
    order = {number: place for place, (number, _) in enumerate(sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])))}
    return np.array([order.get(number, -1) for number in numbers.tolist()])


def _silhouette(vectors: Vectors, numbers: Numbers) -> float:
    from sklearn.metrics import silhouette_score

    grouped = numbers >= 0
    if len(set(numbers[grouped].tolist())) < 2:
        return 0.0
    judged = min(_JUDGED, int(np.count_nonzero(grouped)))
    return float(silhouette_score(vectors[grouped], numbers[grouped], sample_size=judged, random_state=0))


def _central(vectors: Vectors, members: Numbers) -> list[int]:
    distances = np.linalg.norm(vectors[members] - vectors[members].mean(axis=0), axis=1)
    return [int(row) for row in members[np.argsort(distances, kind="stable")[:_CENTRAL]]]


def _name(number: int) -> str:
    return str(number + 1) if number >= 0 else ""


def _known(manifest: Manifest, ids: Sequence[str]) -> dict[str, npt.NDArray[np.str_]]:
    """Give the columns that group utterances, each with the value of each utterance; an unknown one is empty."""
    few = (name for name in _ALSO_KNOWN if 2 <= len({*manifest.columns.get(name, ())} - {""}) <= _MAX_VALUES)
    names = dict.fromkeys([*group_rows(manifest), *few])
    row_of = {name: row for row, name in enumerate(manifest.columns["id"])}
    return {name: np.array([manifest.columns[name][row_of[one]] for one in ids]) for name in names}


def _most_frequent(values: npt.NDArray[np.str_]) -> Correspondence | None:
    counts = Counter(value for value in values.tolist() if value)
    if not counts:
        return None
    value, count = min(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return Correspondence(value, count / counts.total(), counts.total())


def _agreement(known: Mapping[str, npt.NDArray[np.str_]], numbers: Numbers) -> dict[str, float]:
    from sklearn.metrics import adjusted_rand_score

    return {column: float(adjusted_rand_score(values[values != ""], numbers[values != ""])) for column, values in known.items()}


def _meaning(clusters: Sequence[Cluster], silhouette: float, agreement: Mapping[str, float]) -> list[str]:
    groups = [one for one in clusters if one.name]
    if len(groups) < 2:
        return ["No groups stand out: these recordings sound alike to this model, or each is different."]
    found = f"{len(groups)} groups"
    if silhouette < _FAINT:
        said = [f"{found}, which run into each other (silhouette {silhouette:.2f}): shades rather than kinds."]
    else:
        said = [f"{found} (silhouette {silhouette:.2f})."]
    if agreement:
        column, index = max(agreement.items(), key=lambda pair: pair[1])
        if index >= 0.5:
            said.append(f"They are mostly what the column {column} says (adjusted Rand index {index:.2f}).")
        else:
            said.append(
                f"No known column explains them (most: {column}, adjusted Rand index {index:.2f}); listen to the examples."
            )
    else:
        said.append("Nothing is known of these recordings to compare with; listen to the examples.")
    return said
