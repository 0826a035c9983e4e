"""A model and recordings that nobody wrote down in; a model that knows them better, or the word that there is none, out.

Self-training: the model writes down what it hears, what it is firm about is learned as if it were the truth, and the better
model writes down more. Every round starts from the weights that were given, so that mistakes do not pile up and `data.guard` is
always judged against them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from speechxfer.adaptation.pseudo_labels import PseudoLabel, pseudo_label
from speechxfer.data import Manifest, is_remote, normalise, normaliser_of, read_manifest, refuse, sift_sets
from speechxfer.decoding import Decoder, make_decoder, writing_options
from speechxfer.errors import AudioError, DataError, ModelError, Problem, RecipeError, RunDirectoryError
from speechxfer.evaluation import SetScores, evaluate, total, word_errors
from speechxfer.models import SpeechModel, load_model
from speechxfer.recipe import Recipe
from speechxfer.report import write_json
from speechxfer.training import finetune
from speechxfer.transcription import Transcriber, find_recordings

Listener = Callable[[dict[str, Any]], None]

NO_LABELS = "none"
_FEWEST = 8  # utterances, from which a round is worth its while


@dataclass(frozen=True)
class Round:
    """What came of one round.

    Attributes
    ----------
    kept, kept_seconds
        Utterances whose texts were learned, and how long they are.
    of, of_seconds
        All there were.
    pseudo_wer
        Of the texts that were learned, where the recordings' own are known after all; nothing else looks at these.
    dev_error
        CER on dev.
    accepted
        Whether the guard let it pass and dev got better.
    why
        In plain words.
    """

    kept: int
    kept_seconds: float
    of: int
    of_seconds: float
    pseudo_wer: float | None
    dev_error: float
    accepted: bool
    why: str


@dataclass(frozen=True)
class Adaptation:
    """What came of it all.

    Attributes
    ----------
    rounds
        In their order; only the last may have failed.
    model
        Directory of the adapted model; None if no round was accepted.
    dev_error
        CER on dev before.
    test
        Scores on test before, and after if a round was accepted.
    verdict
        On the difference, as in a run's report; None if no round was accepted.
    recovered_share
        How much of the gap in WER to a reference model was closed on test; None without one.
    """

    rounds: tuple[Round, ...]
    model: str | None
    dev_error: float
    test: dict[str, dict[str, Any]]
    verdict: dict[str, Any] | None
    recovered_share: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, ready for JSON."""
        return asdict(self)


def adapt(
    recipe: Recipe,
    unlabelled: Manifest,
    out: str | Path,
    *,
    rounds: int = 2,
    min_confidence: float = 0.7,
    max_disagreement: float = 0.2,
    language_model: str | Path | None = None,
    reference: str | Path | None = None,
    listener: Listener | None = None,
    resume: bool = False,
) -> Adaptation:
    """Adapt a model that writes to speech without labels.

    Parameters
    ----------
    recipe
        How a round is trained. `model.path` can do the task, `data.dev` and `data.test` are labelled. `data.train` is labelled
        speech to learn from as well, and what the model writes down then takes the place of `data.mix`; or it is `none`.
    unlabelled
        Utterances, see `spoken_stretches`. If it has texts, they are only compared with.
    out
        A directory that does not exist or is empty: `model/`, a run `round-N/` and its `round-N.csv` each, `adapt.json`.
    rounds
        At most.
    min_confidence, max_disagreement
        Texts of which the model is less sure, or which change more when model and recording are disturbed, are not learned; see
        `PseudoLabel`.
    language_model
        For a CTC model to write down with, see `speechxfer.decoding.make_decoder`.
    reference
        A model that was trained with labels, as a measure.
    listener
        Told the events of the runs, and how many utterances the model has heard.
    resume
        Go on in `out` with what was stopped or killed there.

    Returns
    -------
    Adaptation
        Also written to `adapt.json`.

    Raises
    ------
    RecipeError
        If the recipe lacks dev or test, or is not for a model that writes and keeps its vocabulary.
    ModelError
        If its model cannot write yet, or has a decoder and there is a language model.
    DataError
        With all problems of the recordings; or if the model is firm about too few.
    AudioError
        If audio whose header could be read cannot be decoded.
    RunDirectoryError
        If there is something in `out`, and this is no resumption, or one of what was asked for otherwise.
    TrainingError
        If training cannot go on.
    RunStoppedError
        If the user stopped it; what is needed to resume is saved.
    """
    directory = Path(out)
    original = _checked(recipe, directory, resume)
    decoder = _decoder(original, language_model)
    good, problems = sift_sets({"unlabelled": unlabelled}, None)
    refuse(problems, good, recipe.data.on_bad_row)
    recordings = good["unlabelled"]
    directory.mkdir(parents=True, exist_ok=True)
    told = {"recipe": recipe.to_yaml(), "unlabelled": unlabelled.source, "language_model": str(language_model or "")}
    firm = {"min_confidence": min_confidence, "max_disagreement": max_disagreement}
    _refuse_to_mix(directory / "begun.json", told | {name: str(value) for name, value in firm.items()})
    before = _evaluate(recipe, original, recipe.data.test)
    best = start = _evaluate(recipe, original, recipe.data.dev).error
    teacher, done, last = original, list[Round](), None
    for number in range(1, rounds + 1):
        table = directory / f"round-{number}.csv"
        if not table.exists():
            _write_down(recipe, teacher, recordings, decoder, firm, number, table, listener)
        report = _trained(_with(recipe, table), directory / f"round-{number}", listener, resume)
        done.append(_judged(report, best, read_manifest(table), recordings, original))
        if not done[-1].accepted:
            break
        best, last = done[-1].dev_error, report
        teacher = load_model(report["model"])
    result = Adaptation(tuple(done), None, start, {"before": before.scores}, None)
    if last:
        result = _with_model(result, last, directory / "model")
        if reference:
            result = replace(
                result, recovered_share=_recovered(result, _evaluate(recipe, load_model(reference), recipe.data.test))
            )
    write_json(directory / "adapt.json", result.to_dict())
    return result


def spoken_stretches(model: str, folder: str, listener: Callable[[str], None] | None = None) -> Manifest:
    """Find what is said in the recordings of a folder, of any length, each channel for itself.

    Parameters
    ----------
    model
        Whose longest input the stretches fit.
    folder
        Or a file, a pattern, a URL.
    listener
        Told of each recording that cannot be read.

    Returns
    -------
    Manifest
        A row for each stretch.

    Raises
    ------
    DataError
        If nothing is said anywhere, or there is no recording.
    ModelError
        If there is no such model.
    StorageError
        If a storage cannot be reached.
    """
    paths = [one.path for one in find_recordings([folder])]
    columns: dict[str, list[str]] = {name: [] for name in ("id", "audio", "start", "end", "channel")}
    for path, transcript in zip(paths, Transcriber(model, channels="split").transcribe_all(paths), strict=True):
        if isinstance(transcript, AudioError):
            if listener:
                listener(str(transcript))
            continue
        place = str(path if is_remote(path) else Path(path).absolute())
        for number, segment in enumerate(transcript.segments):
            columns["id"].append(f"{path}#{number}")
            columns["audio"].append(place)
            columns["start"].append(f"{segment.start:.3f}")
            columns["end"].append(f"{segment.end:.3f}")
            columns["channel"].append("" if segment.channel is None else str(segment.channel))
    if not columns["id"]:
        raise DataError([Problem(folder, None, "no speech in any recording", skippable=False)])
    return Manifest(columns, folder, range(1, len(columns["id"]) + 1))


def _checked(recipe: Recipe, out: Path, resume: bool) -> SpeechModel:
    missing = [name for name in ("dev", "test") if not getattr(recipe.data, name)]
    if missing:
        names = " and ".join(f"data.{name}" for name in missing)
        raise RecipeError(f"{names}: missing; what is learned from the model's own answers must be judged by labelled speech")
    if recipe.task == "classification" or (recipe.task == "ctc" and recipe.model.vocabulary != "keep"):
        what = "task seq2seq, or ctc with model.vocabulary keep"
        raise RecipeError(f"adapt is for {what}: the model writes down what it is to learn")
    if recipe.data.normaliser.startswith("phonemes:"):
        raise RecipeError(
            "adapt cannot learn from answers in phonemes, which would be pronounced again; give a model that spells"
        )
    if out.is_dir() and any(out.iterdir()) and not resume:
        raise RunDirectoryError(f"{out} is not empty; give another --out, or go on there with --resume")
    original = load_model(recipe.model.path)
    if not (original.vocabulary if recipe.task == "ctc" else original.tokens):
        what = f"{recipe.model.path} cannot write yet as task {recipe.task} does"
        raise ModelError(f"{what}; fine-tune it on what labelled speech there is first, or give the recipe of its own task")
    return replace(original, normaliser=normaliser_of(recipe.data))


def _decoder(model: SpeechModel, language_model: str | Path | None) -> Decoder | None:
    if model.tokens:
        writing_options(model, language_model=language_model)  # which refuses one
    return make_decoder(model.vocabulary, (), language_model) if language_model else None


def _refuse_to_mix(book: Path, told: dict[str, str]) -> None:
    """Write down what rounds depend on; those that are there already must have come of the same."""
    before: dict[str, str] = json.loads(book.read_text(encoding="utf-8")) if book.exists() else told
    if changed := [name for name in told if told[name] != before.get(name)]:
        raise RunDirectoryError(f"{book.parent}: its rounds were made with another {', '.join(changed)}; give another --out")
    write_json(book, told)


def _evaluate(recipe: Recipe, model: SpeechModel, manifest: str | None) -> SetScores:
    assert manifest
    return evaluate(model, manifest, device=recipe.training.device, precision=recipe.training.precision)


def _write_down(
    recipe: Recipe,
    teacher: SpeechModel,
    recordings: Manifest,
    decoder: Decoder | None,
    firm: dict[str, float],
    number: int,
    table: Path,
    listener: Listener | None,
) -> None:
    """Write a manifest of what the teacher is firm about."""
    tell = listener or (lambda event: None)
    labels = pseudo_label(
        teacher,
        recordings,
        seed=recipe.training.seed + number,
        device=recipe.training.device,
        precision=recipe.training.precision,
        decoder=decoder,
        progress=lambda done, total: tell({"event": "heard", "round": number, "utterances": done, "of": total}),
    )
    rows = [row for row, label in enumerate(labels) if _is_firm(label, **firm)]
    _must_be_enough(rows, recordings, firm)
    tell({"event": "note", "text": f"round {number}: the model is firm about {len(rows)} of {len(recordings)} utterances"})
    part = table.with_suffix(".part")
    _written_down(recordings, labels, rows).write(part)
    part.replace(table)


def _trained(recipe: Recipe, directory: Path, listener: Listener | None, resume: bool) -> dict[str, Any]:
    """Give the report of a round's run, which a stopped adaptation may have finished."""
    finished = directory / "report.json"
    if resume and finished.exists() and not (directory / "checkpoints/latest.safetensors").exists():
        report: dict[str, Any] = json.loads(finished.read_text(encoding="utf-8"))
        return report
    return finetune(recipe, directory, listener, resume=resume)


def _with_model(result: Adaptation, report: dict[str, Any], model: Path) -> Adaptation:
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(report["model"], model)
    test = {**result.test, "after": report["sets"]["test"]}
    return replace(result, model=str(model), test=test, verdict=report["proof"]["test"])


def _recovered(result: Adaptation, reached: SetScores) -> float | None:
    before, after = (result.test[when]["wer"] for when in ("before", "after"))
    gap = before - reached.scores["wer"]
    return (before - after) / gap if gap > 0 else None


def _is_firm(label: PseudoLabel, min_confidence: float, max_disagreement: float) -> bool:
    return bool(label.text) and label.confidence >= min_confidence and label.disagreement <= max_disagreement


def _must_be_enough(rows: Sequence[int], recordings: Manifest, firm: dict[str, float]) -> None:
    if len(rows) < _FEWEST:
        asked = f"confidence from {firm['min_confidence']:g}, disagreement up to {firm['max_disagreement']:g}"
        what = (
            f"the model is firm about {len(rows)} of {len(recordings)} utterances ({asked}), too few to learn from; "
            f"expected {_FEWEST} or more: label some, or allow more"
        )
        raise DataError([Problem(recordings.source, None, what, skippable=False)])


def _written_down(recordings: Manifest, labels: Sequence[PseudoLabel], rows: Sequence[int]) -> Manifest:
    """Give the kept utterances with the model's texts, their own put aside."""
    kept = recordings.select(rows)
    columns = {name: values for name, values in kept.columns.items() if name != "text"}
    columns |= {
        "text": [labels[row].text for row in rows],
        "confidence": [f"{labels[row].confidence:.4f}" for row in rows],
        "disagreement": [f"{labels[row].disagreement:.4f}" for row in rows],
    }
    if "text" in kept.columns:
        columns["own_text"] = kept.columns["text"]
    return Manifest(columns, kept.source, kept.lines)


def _with(recipe: Recipe, table: Path) -> Recipe:
    changes = {"train": str(table)} if recipe.data.train == NO_LABELS else {"mix": str(table)}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})


def _judged(report: dict[str, Any], best: float, kept: Manifest, recordings: Manifest, original: SpeechModel) -> Round:
    error = report["sets"]["dev"]["cer"]
    refused = report.get("guard", {}).get("outcome") == "refused"
    why = f"dev CER {error:.1%}, {best:.1%} before"
    if refused:
        why = "the guard refuses it: speech of data.guard got worse"
    elif error >= best:
        why += ": no better"
    return Round(
        kept=len(kept),
        kept_seconds=_seconds(kept),
        of=len(recordings),
        of_seconds=_seconds(recordings),
        pseudo_wer=_wer(kept, original.normaliser),
        dev_error=error,
        accepted=not refused and error < best,
        why=why,
    )


def _seconds(manifest: Manifest) -> float:
    return round(sum(map(float, manifest.columns["duration"])), 1)


def _wer(kept: Manifest, normaliser: str) -> float | None:
    if "own_text" not in kept.columns:
        return None
    return total(word_errors([normalise(text, normaliser) for text in kept.columns["own_text"]], kept.columns["text"])).rate
