"""`Manifest` in, Lhotse `CutSet` out, and back. Audio stays in its files; times in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from speechxfer.data import STANDARD_COLUMNS, AudioInfo, Manifest, Utterance, probe
from speechxfer.errors import DataError, Problem

if TYPE_CHECKING:
    from lhotse import CutSet

_IN_SUPERVISION = ("text", "speaker", "language", "gender")
_IN_CUT = ("id", "audio", "start", "end", "channel", "duration")


def to_cuts(manifest: Manifest) -> CutSet:
    """Give a manifest as a Lhotse `CutSet` (`pip install 'speechxfer[lhotse]'`).

    Parameters
    ----------
    manifest
        Any; the headers of its audio files are read.

    Returns
    -------
    lhotse.CutSet
        A cut for each row, with one supervision over the whole of it. Other columns are in its `custom`. A row of all channels of
        a file is a `MultiCut`, unless the file has one.

    Raises
    ------
    DataError
        If `lhotse` is not installed.
    AudioError
        If a file cannot be read.
    """
    try:
        from lhotse import CutSet
    except ImportError:
        what = "the package lhotse is not installed: pip install 'speechxfer[lhotse]'"
        raise DataError([Problem("", None, what, skippable=False)]) from None
    infos = {path: probe(path) for path in {str(utterance.audio) for utterance in manifest}}
    return CutSet.from_cuts([_cut(utterance, infos[str(utterance.audio)]) for utterance in manifest])


def _cut(utterance: Utterance, info: AudioInfo) -> Any:
    from lhotse import MonoCut, MultiCut, Recording, SupervisionSegment
    from lhotse.audio import AudioSource

    path, channels = str(utterance.audio), [*range(info.channels)]
    source = AudioSource("file", channels, path)
    recording = Recording(path, [source], info.sampling_rate, info.num_samples, info.duration)
    duration = (info.duration if utterance.end is None else utterance.end) - utterance.start
    one = utterance.channel if utterance.channel is not None else 0 if info.channels == 1 else None
    chosen: Any = channels if one is None else one
    others = {name: value for name, value in utterance.fields.items() if value and name not in (*_IN_SUPERVISION, *_IN_CUT)}
    if utterance.label is not None:
        others["label"] = utterance.label
    known = {name: utterance.fields.get(name) or None for name in _IN_SUPERVISION if name != "text"}
    supervision = SupervisionSegment(utterance.id, path, 0.0, duration, chosen, utterance.text, custom=others or None, **known)
    kind = MultiCut if one is None else MonoCut
    return kind(utterance.id, utterance.start, duration, chosen, [supervision], recording=recording)


def from_cuts(cuts: CutSet) -> Manifest:
    """Give a Lhotse `CutSet` as a manifest.

    Parameters
    ----------
    cuts
        Of recordings in files.

    Returns
    -------
    Manifest
        A row for each supervision; of a cut without any, one for the cut.

    Raises
    ------
    DataError
        Naming every cut whose audio is not in one file as it is: mixed, padded, changed in speed, in memory, or features alone.
    """
    rows: list[dict[str, str]] = []
    problems: list[Problem] = []
    for cut in cuts:
        if what := _not_a_file(cut):
            problems.append(Problem(f"cut {cut.id}", None, f"{what}; save such cuts as audio first (`CutSet.save_audios`)"))
        else:
            rows += _rows(cut)
    if problems:
        raise DataError(problems)
    names = dict.fromkeys([*STANDARD_COLUMNS[:7], *(name for row in rows for name in row)])
    used = [name for name in names if name in ("id", "audio") or any(row.get(name) for row in rows)]
    return Manifest({name: [row.get(name, "") for row in rows] for name in used}, "cuts", range(1, len(rows) + 1))


def _not_a_file(cut: Any) -> str:
    recording = getattr(cut, "recording", None)
    if recording is None:
        return f"a {type(cut).__name__} without a recording of its own"
    if recording.transforms:
        return "its recording is changed as it is read"
    if [source.type for source in recording.sources] != ["file"]:
        return f"its recording lies in {', '.join(source.type for source in recording.sources) or 'no source'}, expected one file"
    return ""


def _rows(cut: Any) -> Iterator[dict[str, str]]:
    recording = cut.recording
    alone = {"id": cut.id, "audio": recording.sources[0].source}
    for segment in cut.supervisions or [None]:
        begin, duration = (cut.start + segment.start, segment.duration) if segment else (cut.start, cut.duration)
        is_whole = begin == 0 and abs(duration - recording.duration) < 1 / recording.sampling_rate
        times = {} if is_whole else {"start": f"{begin:.10g}", "end": f"{begin + duration:.10g}"}
        chosen = segment.channel if segment else cut.channel
        one = len(recording.channel_ids) > 1 and not isinstance(chosen, list)
        channel = {"channel": str(chosen)} if one else {}
        yield {**alone, **times, **channel, **(_said(segment) if segment else {})}


def _said(segment: Any) -> dict[str, str]:
    own = {name: getattr(segment, name) for name in _IN_SUPERVISION} | (segment.custom or {})
    return {"id": segment.id} | {name: str(value) for name, value in own.items() if value is not None}
