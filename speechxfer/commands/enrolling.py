"""Examples in, enrolled commands out: no gradient reaches the encoder, and a command is added in seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from speechxfer.commands.enrolment import Enrolment
from speechxfer.commands.examples import read_examples
from speechxfer.commands.features import in_memory, speech_in
from speechxfer.commands.near_misses import near_misses
from speechxfer.commands.views import views_of
from speechxfer.commands.windows import HOP_FRAMES, HOP_SECONDS, SpeechWindows
from speechxfer.data import VAD_FRAME, VAD_RATE, Manifest, Utterance, load_audio, refuse, sift_sets
from speechxfer.errors import DataError, Problem
from speechxfer.features import FeatureStore, Statistics, StatisticsEncoder
from speechxfer.models import EMBEDDED

_SAME = 0.02  # of the spread of statistics; two takes of a word are further apart
_MOST_UNKNOWN = 3000


def enrol(
    examples: Manifest | str | Path,
    model: str | Path,
    *,
    unknown: Manifest | None = None,
    onto: Enrolment | None = None,
    device: str = "auto",
    precision: str = "auto",
    store: FeatureStore | None = None,
) -> Enrolment:
    """Enrol commands from a few examples of each.

    Layers and method are chosen by cross-validation among the examples; each is also looked at faster, slower, louder, quieter,
    in noise and among people who talk. From five examples of each command on, a trained probe competes with prototypes.

    Parameters
    ----------
    examples
        See `read_examples`.
    model
        Directory of a pretrained or fine-tuned model, whose encoder is used; or `tiny`.
    unknown
        Recordings of what is no command, such as other speech; near misses made of the examples are known to be none anyway.
    onto
        Commands enrolled before, which are kept: their examples stay as they are, to the bit, and new examples of one of them
        join the old. Layers, method and both classifiers are found anew for all together, and thresholds have to be set anew.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.
    store
        Keeps features.

    Returns
    -------
    Enrolment
        To be saved, or for a `CommandRecognizer`.

    Raises
    ------
    DataError
        With all that is wrong with the examples, or with the recordings of unknown sounds; or if the model is not that of `onto`.
    ModelError
        If the model, device or precision cannot be used.
    AudioError
        If audio whose header could be read cannot be decoded.
    """
    checked = examples if isinstance(examples, Manifest) else read_examples(examples)
    encoder = StatisticsEncoder(model, device=device, precision=precision, store=store)
    if onto and onto.digest != encoder.digest:
        raise DataError([Problem(str(model), None, f"is another model than that of the commands there, {onto.model}")])
    spoken = [speech_in(example) for example in checked]
    views = np.stack([_kept(view) for view in views_of(encoder, spoken)])
    others = [_kept(encoder(near_misses(spoken)))]
    if unknown is not None:
        heard = unknown_sounds(unknown, _window_seconds(spoken, onto))
        others.append(_kept(encoder(heard)))
    columns = {name: tuple(checked.columns.get(name, [""] * len(checked))) for name in ("label", "id", "speaker")}
    known: dict[str, Any] = {
        "model": str(model) if str(model) == EMBEDDED else str(Path(model).absolute()),
        "digest": encoder.digest,
        "commands": tuple(dict.fromkeys(columns["label"])),
        "labels": columns["label"],
        "ids": columns["id"],
        "speakers": columns["speaker"],
        "examples": views,
        "unknown": np.concatenate(others),
        "window_seconds": _window_seconds(spoken, onto),
    }
    return Enrolment.fit(**(_joined(onto, known) if onto else known))


def unknown_sounds(recordings: Manifest, window_seconds: float) -> list[Utterance]:
    """Cut recordings of what is no command into what a spotter would look at.

    Parameters
    ----------
    recordings
        Any length; joined.
    window_seconds
        Of the spotter.

    Returns
    -------
    list of Utterance
        Stretches of speech in memory, spread evenly over the recordings.

    Raises
    ------
    DataError
        If recordings cannot be read.
    """
    checked, problems = sift_sets({"unknown": recordings}, None)
    refuse(problems, checked, "error")
    seconds = sum(map(float, checked["unknown"].columns["duration"]))
    every = max(round(window_seconds / 2 / HOP_SECONDS), math.ceil(seconds / HOP_SECONDS / _MOST_UNKNOWN), 1)
    windows, hop = SpeechWindows(window_seconds), 0
    found: list[Utterance] = []
    for recording in checked["unknown"]:
        for window in windows.push(load_audio(recording, VAD_RATE)):
            hop += 1
            if hop % every == 0 and len(window.samples):
                found.append(in_memory(f"unknown {hop}", window.samples))
    if not found:
        raise DataError([Problem(recordings.source, None, "no speech found in what is to be unknown")])
    return found


def _window_seconds(spoken: Sequence[Utterance], onto: Enrolment | None) -> float:
    """Give the length of window that holds the longest example whole at two hops or more."""
    longest = max((example.end or 0.0) - example.start for example in spoken)
    frames = math.ceil(longest * VAD_RATE / VAD_FRAME) + 2 * HOP_FRAMES
    return max(frames * VAD_FRAME / VAD_RATE, onto.window_seconds if onto else 0.0)


def _kept(statistics: Statistics) -> npt.NDArray[np.float16]:
    return statistics.astype(np.float16)


def _unlike(examples: Statistics, others: Statistics) -> list[int]:
    """Give the rows of clips `[clips, layers, width]` that are none of the others, up to the rounding of another batch."""
    known = others.astype(np.float32)
    least = _SAME * known.std()
    return [row for row, one in enumerate(examples) if np.abs(known - one.astype(np.float32)).max(axis=(1, 2)).min() >= least]


def _joined(onto: Enrolment, new: dict[str, Any]) -> dict[str, Any]:
    """Put new examples behind those there are, but no clip twice: it would be tested on itself."""
    fresh = _unlike(new["examples"][0], onto.examples[0])
    joined = dict(new)
    new = {name: tuple(new[name][row] for row in fresh) for name in ("labels", "ids", "speakers")} | {
        "commands": new["commands"],
        "examples": new["examples"][:, fresh],
        "unknown": new["unknown"],
    }
    joined["commands"] = tuple(dict.fromkeys((*onto.commands, *new["commands"])))
    for name in ("labels", "ids", "speakers"):
        joined[name] = (*getattr(onto, name), *new[name])
    joined["examples"] = np.concatenate([onto.examples, new["examples"]], axis=1)
    joined["unknown"] = np.concatenate([onto.unknown, new["unknown"]])
    return joined
