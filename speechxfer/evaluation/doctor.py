"""The doctor: data in; what is wrong with it, and what to do, out, before anything is trained."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from speechxfer.data import Manifest, Utterance, normalise
from speechxfer.errors import AudioError
from speechxfer.evaluation.audio_facts import AudioFacts, measure
from speechxfer.models import SpeechModel

_EXAMPLES = 5
_MIN_CLASS_ROWS = 10


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    severity
        An `error` spoils the result, a `warning` may.
    kind
        A short name, for machines.
    what, advice
        Sentences: what was found, and what to do.
    places
        File and line of some of the rows.
    count
        Of all rows concerned.
    """

    severity: Literal["error", "warning"]
    kind: str
    what: str
    advice: str
    places: tuple[str, ...] = ()
    count: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give the fields by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """An utterance with its set, its place in the manifest and its measurements."""

    set: str
    place: str
    utterance: Utterance
    facts: AudioFacts
    speaker: str

    @property
    def text(self) -> str:
        """Normalised; empty without one."""
        return normalise(self.utterance.text or "", "basic")


def examine(sets: Mapping[str, Manifest], model: SpeechModel | None = None) -> list[Finding]:
    """Examine sets of utterances.

    Parameters
    ----------
    sets
        By name, such as `train` and `test`; one whose name does not matter will do.
    model
        For which the data is meant.

    Returns
    -------
    list of Finding
        Errors first.

    Raises
    ------
    DataError
        If the model's normaliser lacks a package.
    """
    rows, unreadable = measure_rows(sets)
    findings = [*_unreadable(unreadable), *(finding for check in _CHECKS for finding in check(rows))]
    if model:
        findings += _misfits(rows, model)
    return sorted(findings, key=lambda finding: finding.severity)


def measure_rows(sets: Mapping[str, Manifest]) -> tuple[list[Row], list[tuple[str, str]]]:
    """Measure all rows of all sets.

    Parameters
    ----------
    sets
        By name.

    Returns
    -------
    rows
        Those whose audio can be read, in their order.
    problems
        Of the others, and of rows that are not well-formed: where, and what.
    """
    places = [(name, manifest, row) for name, manifest in sets.items() for row in range(len(manifest))]

    def attempt(place: tuple[str, Manifest, int]) -> Row | tuple[str, str]:
        name, manifest, number = place
        utterance, where = manifest[number], f"{manifest.source}:{manifest.lines[number]}"
        speaker = manifest.columns["speaker"][number] if "speaker" in manifest.columns else ""
        try:
            return Row(name, where, utterance, measure(utterance), speaker)
        except AudioError as error:
            return where, str(error)

    with ThreadPoolExecutor() as pool:
        measured = list(pool.map(attempt, places))
    problems = dict.fromkeys(problem for manifest in sets.values() for problem in manifest.problems)
    wrong = [(f"{problem.file}:{problem.line}", problem.what) for problem in problems]
    rows = [one for one in measured if isinstance(one, Row)]
    return rows, [*(one for one in measured if not isinstance(one, Row)), *wrong]


def _about(rows: Sequence[Row], severity: Literal["error", "warning"], kind: str, what: str, advice: str) -> Iterator[Finding]:
    """Give a finding about some rows, if there are any."""
    if rows:
        places = tuple(row.place for row in rows[:_EXAMPLES])
        count = f"{len(rows)} utterance{'s' if len(rows) > 1 else ''}"
        yield Finding(severity, kind, f"{count}: {what}", advice, places, len(rows))


def _unreadable(problems: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    if problems:
        shown = tuple(f"{place}: {what}" for place, what in problems[:_EXAMPLES])
        what = f"{len(problems)} row{'s' if len(problems) > 1 else ''} cannot be read"
        yield Finding("error", "unreadable", what, "mend or remove them", shown, len(problems))


def _levels(rows: Sequence[Row]) -> Iterator[Finding]:
    heard = [row for row in rows if not row.facts.is_silent]
    yield from _about([row for row in rows if row.facts.is_silent], "error", "silent", "nothing can be heard", "remove them")
    clipped = [row for row in heard if row.facts.clipped_share > 1e-3]
    yield from _about(clipped, "warning", "clipped", "recorded too loud, the waves are cut off", "record again at a lower level")
    quiet = [row for row in heard if row.facts.level_db < -50]
    yield from _about(quiet, "warning", "quiet", "very quiet, under -50 dB of full scale", "look at the gain of the recording")
    noisy = [row for row in heard if row.facts.seconds > 1 and row.facts.snr_db < 6]
    yield from _about(noisy, "warning", "noisy", "hardly louder than their background (under 6 dB)", "listen to them")


def _bandwidths(rows: Sequence[Row]) -> Iterator[Finding]:
    rates = Counter(row.facts.sampling_rate for row in rows)
    if len(rates) > 1:
        found = ", ".join(f"{rate} Hz ({count})" for rate, count in rates.most_common())
        what = f"several sampling rates: {found}"
        yield Finding("warning", "sampling-rates", what, "see that no label or speaker goes with one of them")
    wide = [row for row in rows if row.facts.sampling_rate >= 12_000 and not row.facts.is_silent]
    narrow = [row for row in wide if row.facts.bandwidth_hz < 5_000]
    what = "no sound above 5 kHz in a wideband file, as if it were resampled telephone speech"
    yield from _about(narrow, "warning", "narrowband", what, "train on telephone speech only if you will use it there")


def _speaking_rates(rows: Sequence[Row]) -> Iterator[Finding]:
    spoken = [row for row in rows if row.text and row.facts.seconds > 0]
    if not spoken:
        return
    rates = np.log([len(row.text) / row.facts.seconds for row in spoken])
    middle = np.median(rates)
    spread = max(0.25, 1.4826 * float(np.median(np.abs(rates - middle))))
    fast = [row for row, rate in zip(spoken, rates, strict=True) if rate > middle + 4 * spread and np.exp(rate) > 20]
    slow = [row for row, rate in zip(spoken, rates, strict=True) if rate < middle - 4 * spread and np.exp(rate) < 4]
    typical = f"{np.exp(middle):.0f} letters a second are usual here"
    yield from _about(fast, "error", "text-too-long", f"text too long for its audio ({typical})", "see whether it belongs to it")
    yield from _about(
        slow, "warning", "text-too-short", f"text too short for its audio ({typical})", "see whether words are missing"
    )


def _leaks(rows: Sequence[Row]) -> Iterator[Finding]:
    by_audio: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not row.facts.is_silent:
            by_audio[row.facts.digest].append(row)
    same = [group for group in by_audio.values() if len(group) > 1]
    across = [row for group in same if len({one.set for one in group}) > 1 for row in group]
    within = [row for group in same if len({one.set for one in group}) == 1 for row in group[1:]]
    yield from _about(across, "error", "audio-leak", "the same audio in several sets", "leave it in one")
    yield from _about(within, "warning", "duplicate", "the same audio again", "leave it in once")
    sets = {name: {row.speaker for row in rows if row.set == name and row.speaker} for name in {row.set for row in rows}}
    shared = {speaker for speaker, count in Counter(s for speakers in sets.values() for s in speakers).items() if count > 1}
    leaking = [row for row in rows if row.speaker in shared]
    names = ", ".join(sorted(shared)[:_EXAMPLES])
    advice = "part the sets by speaker: scores on known voices promise too much"
    yield from _about(leaking, "error", "speaker-leak", f"speakers who are in several sets: {names}", advice)
    if "train" in sets:
        learned = {row.text for row in rows if row.set == "train"}
        known = [row for row in rows if row.set != "train" and len(row.text.split()) >= 4 and row.text in learned]
        yield from _about(known, "warning", "text-leak", "sentences of the training set", "test with sentences of their own")


def _classes(rows: Sequence[Row]) -> Iterator[Finding]:
    labels = {name: Counter(row.utterance.label for row in rows if row.set == name) for name in {row.set for row in rows}}
    trained = labels.get("train") or next(iter(labels.values()), Counter())
    trained = Counter({label: count for label, count in trained.items() if label})
    if len(trained) < 2:
        return
    new = [row for row in rows if row.utterance.label and row.utterance.label not in trained]
    names = ", ".join(sorted({str(row.utterance.label) for row in new})[:_EXAMPLES])
    yield from _about(new, "error", "unknown-label", f"labels that are not in the training set: {names}", "add examples")
    (most, many), (least, few) = trained.most_common()[0], trained.most_common()[-1]
    if many > 10 * few:
        what = f"{many} examples of {most!r}, but {few} of {least!r}"
        yield Finding("warning", "imbalance", what, "record more of the rare ones")
    alike: dict[str, set[str]] = defaultdict(set)
    for label in trained:
        alike[re.sub(r"[\W_]+", "", str(label)).lower()].add(str(label))
    for spellings in (sorted(group) for group in alike.values() if len(group) > 1):
        yield Finding("warning", "similar-labels", f"labels that differ in spelling only: {', '.join(spellings)}", "use one")


def _cues(rows: Sequence[Row]) -> Iterator[Finding]:
    """Look for what gives a label away without a word being understood."""
    train = [row for row in rows if row.utterance.label and row.set in ("train", rows[0].set) and not row.facts.is_silent]
    counts = Counter(row.utterance.label for row in train)
    train = [row for row in train if counts[row.utterance.label] >= _MIN_CLASS_ROWS]
    if len({row.utterance.label for row in train}) < 2:
        return
    cues: tuple[tuple[str, Callable[[AudioFacts], float], float], ...] = (
        ("length", lambda facts: float(np.log(facts.seconds)), 0.8),
        ("level", lambda facts: facts.level_db, 0.5),
        ("background", lambda facts: facts.noise_db, 0.5),
        ("bandwidth", lambda facts: facts.bandwidth_hz, 0.5),
    )
    for name, value, limit in cues:
        share = _explained([value(row.facts) for row in train], [str(row.utterance.label) for row in train])
        if share > limit:
            what = f"the {name} of the recording gives the label away: labels explain {100 * share:.0f} % of its variance"
            yield Finding("error", f"cue-{name}", what, "record all labels in the same way, or make them equal")


def _explained(values: Sequence[float], labels: Sequence[str]) -> float:
    """Give the share of the variance that lies between the labels, corrected for their number (epsilon squared)."""
    array, names = np.asarray(values), np.asarray(labels)
    groups = [array[names == name] for name in np.unique(names)]
    whole = float(np.sum((array - array.mean()) ** 2))
    within = float(sum(np.sum((group - group.mean()) ** 2) for group in groups))
    if whole <= 1e-9 or len(array) <= len(groups):
        return 0.0
    return 1 - (within / (len(array) - len(groups))) / (whole / (len(array) - 1))


_CHECKS: tuple[Callable[[Sequence[Row]], Iterator[Finding]], ...] = (
    _levels,
    _bandwidths,
    _speaking_rates,
    _leaks,
    _classes,
    _cues,
)


def _misfits(rows: Sequence[Row], model: SpeechModel) -> Iterator[Finding]:
    """Find what this model cannot take."""
    longest = model.frontend.max_seconds
    long = [row for row in rows if row.facts.seconds > longest]
    advice = "give start and end of shorter stretches"
    yield from _about(long, "error", "too-long", f"over the {longest:.0f} s that this model takes at once", advice)
    texts = {id(row): normalise(row.utterance.text or "", model.normaliser) for row in rows}
    if tokens := model.tokens:
        room = tokens.max_length - len(tokens.prompt(next(iter(tokens.languages), None))) - 1
        full = [row for row in rows if len(tokens.encode(texts[id(row)])) > room]
        yield from _about(
            full, "error", "no-room", f"over the {tokens.max_length} tokens that this decoder takes at once", advice
        )
    if not model.vocabulary:
        return
    unknown = model.vocabulary.unknown(texts.values())
    strange = [row for row in rows if unknown.keys() & set(texts[id(row)])]
    symbols = ", ".join(f"{symbol!r} ({count})" for symbol, count in unknown.most_common(10))
    advice = "fine-tune with model.vocabulary=extend, or write them otherwise"
    yield from _about(strange, "warning", "symbols", f"symbols that this model cannot write: {symbols}", advice)
    rate = model.frontend.sampling_rate
    tight = [
        row for row in rows if len(model.vocabulary.encode(texts[id(row)])) > model.num_frames(int(row.facts.seconds * rate))
    ]
    yield from _about(
        tight, "error", "no-room", "more letters than this model gives in the time", "see whether the text belongs there"
    )
