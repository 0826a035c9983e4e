"""Manifests in, all their problems out, before anything is trained: columns, texts, labels, ids and every audio file's header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from speechxfer.data.audio import TOLERANCE, AudioInfo, load_audio, probe
from speechxfer.data.manifest import Manifest, missing_column
from speechxfer.data.text import normalise
from speechxfer.errors import AudioError, DataError, Problem

TARGET_COLUMN = {"ctc": "text", "seq2seq": "text", "classification": "label"}


def check_sets(
    sets: Mapping[str, Manifest], task: str, on_bad_row: str = "error", normaliser: str = "none"
) -> tuple[dict[str, Manifest], list[Problem]]:
    """Check every row of every set and fill in durations from the audio headers.

    Parameters
    ----------
    sets
        Name to manifest.
    task
        `ctc` and `seq2seq` need `text`, `classification` needs `label`.
    on_bad_row
        `error` raises; `skip` goes on without the bad rows.
    normaliser
        The text normaliser after which a text must not be empty.

    Returns
    -------
    sets
        With a `duration` column in seconds, without the bad rows.
    problems
        Those of the rows left out.

    Raises
    ------
    DataError
        With all problems at once; also when skipping leaves a set empty or the fault is not in single rows, or if the
        normaliser lacks a package.
    """
    good, problems = sift_sets(sets, task, normaliser)
    refuse(problems, good, on_bad_row)
    return good, problems


def sift_sets(
    sets: Mapping[str, Manifest], task: str | None, normaliser: str = "none"
) -> tuple[dict[str, Manifest], list[Problem]]:
    """Do what `check_sets` does and leave it to the caller to `refuse`.

    Parameters
    ----------
    sets, normaliser
        As for `check_sets`.
    task
        As for `check_sets`; None needs neither text nor label.

    Returns
    -------
    sets
        With a `duration` column in seconds, without the bad rows.
    problems
        All that were found, each once.

    Raises
    ------
    DataError
        If the normaliser lacks a package.
    """
    infos = _probe_files([path for manifest in sets.values() for path in _paths(manifest)])
    problems = {name: list(_problems(manifest, task, normaliser, infos)) for name, manifest in sets.items()}
    good = {}
    for name, manifest in sets.items():
        bad = {problem.row for problem in problems[name]}
        good[name] = _with_durations(manifest.select([row for row in range(len(manifest)) if row not in bad]), infos)
    # Sets that are parts of one file all name its broken rows.
    return good, list(dict.fromkeys(problem for part in problems.values() for problem in part))


def refuse(problems: Sequence[Problem], good: Mapping[str, Manifest], on_bad_row: str) -> None:
    """Refuse sets with problems that are not to be skipped, or without any good row.

    Parameters
    ----------
    problems, good
        What `sift_sets` found: problems, and sets of the rows that have none.
    on_bad_row
        `error` refuses every problem; `skip` passes over those that going on without their rows helps.

    Raises
    ------
    DataError
        With all problems.
    """
    if any(not problem.skippable for problem in problems) or (problems and on_bad_row == "error"):
        raise DataError(problems)
    empty = [
        Problem(manifest.source, None, f"no usable row is left in {name}") for name, manifest in good.items() if not len(manifest)
    ]
    if empty:
        raise DataError([*problems, *empty])


def _paths(manifest: Manifest) -> list[str]:
    return [str(utterance.audio) for utterance in manifest]


def _probe_files(paths: Sequence[str]) -> dict[str, AudioInfo | AudioError]:
    """Read each distinct file's header once; decoding libraries release the interpreter lock."""

    def attempt(path: str) -> AudioInfo | AudioError:
        try:
            return probe(path)
        except AudioError as error:
            return error

    distinct = list(dict.fromkeys(paths))
    with ThreadPoolExecutor() as pool:
        return dict(zip(distinct, pool.map(attempt, distinct), strict=True))


def _problems(
    manifest: Manifest, task: str | None, normaliser: str, infos: Mapping[str, AudioInfo | AudioError]
) -> Iterator[Problem]:
    yield from manifest.problems
    target = TARGET_COLUMN[task] if task else None
    if target and target not in manifest.columns:
        yield missing_column(manifest, target)
    counts = Counter(manifest.columns["id"])
    first_seen: dict[str, int] = {}
    for row, utterance in enumerate(manifest):
        if counts[utterance.id] > 1:
            first = first_seen.setdefault(utterance.id, row)
            if first != row:
                yield manifest.problem(row, f"id {utterance.id!r} stands already on line {manifest.lines[first]}")
        value = manifest.columns[target][row] if target and target in manifest.columns else None
        if value is not None and not (normalise(value, normaliser) if target == "text" else value.strip()):
            yield manifest.problem(row, f"{target} is {value!r}, which leaves nothing to learn")
        info = infos[str(utterance.audio)]
        if isinstance(info, AudioError):
            yield manifest.problem(row, str(info))
        else:
            yield from _audio_problems(manifest, row, info)


def _audio_problems(manifest: Manifest, row: int, info: AudioInfo) -> Iterator[Problem]:
    utterance = manifest[row]
    if utterance.channel is not None and utterance.channel >= info.channels:
        yield manifest.problem(row, f"channel {utterance.channel}, but {utterance.audio} has {info.channels} (counted from 0)")
    if info.num_samples == 0:
        yield manifest.problem(row, f"{utterance.audio}: zero length")
    elif utterance.start >= info.duration or (utterance.end or 0.0) > info.duration + TOLERANCE:
        stretch = f"{utterance.start}-{utterance.end if utterance.end is not None else 'end'} s"
        yield manifest.problem(row, f"{stretch} lies outside {utterance.audio}, which ends at {info.duration:.3f} s")
    elif info.holds_floats:
        # Only such files can hold what is no number, so only these are read before training.
        try:
            load_audio(utterance, info.sampling_rate)
        except AudioError as error:
            yield manifest.problem(row, str(error))


def _with_durations(manifest: Manifest, infos: Mapping[str, AudioInfo | AudioError]) -> Manifest:
    durations = []
    for utterance in manifest:
        info = infos[str(utterance.audio)]
        assert isinstance(info, AudioInfo)
        durations.append(min(utterance.end or info.duration, info.duration) - utterance.start)
    columns = {**manifest.columns, "duration": [f"{duration:.6f}" for duration in durations]}
    return Manifest(columns, manifest.source, manifest.lines)
