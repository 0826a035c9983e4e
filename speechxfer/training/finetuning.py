"""The verb `finetune`: a recipe in; a directory with model, report and log out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechxfer.data import Manifest
from speechxfer.errors import AudioError, RunStoppedError, TrainingError
from speechxfer.evaluation import RowErrors, check_decoder
from speechxfer.recipe import Recipe
from speechxfer.report import make_report, plot_learning_curve, write_answers, write_card, write_json, write_page
from speechxfer.training.comparisons import learning_curve, proof, score, scratch_control, starting_point
from speechxfer.training.guarding import guard
from speechxfer.training.preparation import Prepared, prepare
from speechxfer.training.processes import is_first_process, own_directory
from speechxfer.training.run import Listener, Run
from speechxfer.training.stages import train


def finetune(recipe: Recipe, out: str | Path, listener: Listener | None = None, *, resume: bool = False) -> dict[str, Any]:
    """Fine-tune a pretrained model as a recipe says.

    Parameters
    ----------
    recipe
        See `speechxfer.read_recipe`.
    out
        The run's directory: `model/` (`candidate/` if the guard refuses it), `report.json`, `report.html`, `answers.csv` of the
        test set, `recipe.yaml`, `log.jsonl`, `environment.json`, `checkpoints/`.
    listener
        Told every event as a dictionary, for progress.
    resume
        Go on with a run that was stopped or killed, to the same weights; begin it if there is none.

    Returns
    -------
    dict
        The report: scores of dev and test, of the starting point where it can do the task, the verdict on the difference, how
        training went, and what `proof` asks for.

    Raises
    ------
    DataError
        With all problems of manifests, audio files and model, before anything is trained.
    RunDirectoryError
        If a run cannot begin or go on in this directory.
    TrainingError
        If training cannot go on.
    StoreError
        If the recipe's store cannot be used, or does not take the features.
    StorageError
        If a report cannot be written.
    RunStoppedError
        If the user stopped it (Ctrl-C); what is needed to resume is saved.

    Notes
    -----
    Under `torchrun` or `accelerate launch`, each process takes its share of every step.
    """
    with own_directory(Path(out), resume=resume) as directory:
        return _finetune(recipe, directory, listener if is_first_process() else None, resume)


def _finetune(recipe: Recipe, directory: Path, listener: Listener | None, resume: bool) -> dict[str, Any]:
    prepared = prepare(recipe)
    notes = [*prepared.notes, *(f"left out: {problem}" for problem in prepared.skipped)]
    run = Run(directory, recipe, listener, resume)
    run.tell("start", sets={name: _size(manifest) for name, manifest in prepared.sets.items()}, task=recipe.task)
    for note in notes:
        run.tell("note", text=note)
    with _saying_how_to_go_on(run), _naming_the_row(prepared):
        stages = train(recipe, prepared, run)
        training = {"seconds": round(run.seconds, 1), "stages": stages}
        start = starting_point(recipe, prepared, run)
        guarded = None
        if recipe.data.guard:
            assert start is not None
            guarded = guard(recipe, prepared, start, run)
            prepared = replace(prepared, speech_model=guarded.speech_model)
        model = run.candidate if guarded and guarded.is_refused else run.model
        scores = score(recipe, prepared)
        if calibration := scores["dev"].fitted_calibration():
            prepared = replace(prepared, speech_model=replace(prepared.speech_model, calibration=calibration))
            scores["test"] = scores["test"].calibrated(calibration)
        prepared.speech_model.save(model)
        sets = {name: result.scores for name, result in scores.items()}
        report = make_report(recipe.task, str(model), sets, training=training, notes=notes)
        report |= proof(recipe, prepared, start, scores) if start else {}
        report |= {"guard": guarded.section} if guarded else {}
        if recipe.task == "seq2seq":
            report["decoder"] = check_decoder(prepared.speech_model, prepared.sets["test"], recipe.training.device)
        # There to be read while comparisons, which take as long again and longer, are under way.
        write_json(run.directory / "report.json", report)
        if recipe.proof.control == "scratch":
            report["control"] = scratch_control(recipe, prepared, scores, run)
        if recipe.proof.learning_curve:
            report["learning_curve"] = learning_curve(recipe, prepared, scores, run)
            plot_learning_curve(report["learning_curve"], run.directory / "learning_curve.svg")
    write_json(run.directory / "report.json", report)
    _write_for_people(recipe, report, scores["test"].rows, prepared.sets["test"], run)
    run.finish()
    run.tell("end", report=str(run.directory / "report.json"), model=str(model))
    return report


def _write_for_people(recipe: Recipe, report: dict[str, Any], rows: RowErrors, test: Manifest, run: Run) -> None:
    """Write the page, what was heard, and the card of the model."""
    environment = json.loads((run.directory / "environment.json").read_text(encoding="utf-8"))
    page = run.directory / "report.html"
    write_page(page, report, rows, test, audio=recipe.report.audio, recipe=recipe.to_yaml(), environment=environment)
    write_answers(run.directory / "answers.csv", test.columns["id"], rows)
    tested_on = recipe.data.test or f"held out from {recipe.data.train}"
    write_card(Path(report["model"]) / "README.md", report, recipe.model.path, recipe.data.train, tested_on)


def _size(manifest: Manifest) -> dict[str, float]:
    minutes = sum(map(float, manifest.columns["duration"])) / 60
    return {"utterances": len(manifest), "minutes": round(minutes, 1)}


@contextmanager
def _saying_how_to_go_on(run: Run) -> Iterator[None]:
    """Tell what to do after Ctrl-C, wherever in the run it came."""
    try:
        yield
    except (KeyboardInterrupt, RunStoppedError):
        raise RunStoppedError(f"stopped; go on with the same command and --resume ({run.directory})") from None


@contextmanager
def _naming_the_row(prepared: Prepared) -> Iterator[None]:
    """Say which row's audio it is that could be read before training and cannot be read any more."""
    try:
        yield
    except AudioError as error:
        rows = [
            manifest.problem(manifest.columns["id"].index(error.utterance_id), str(error))
            for manifest in prepared.sets.values()
            if error.utterance_id in manifest.columns["id"]
        ]
        what = str(rows[0]) if rows else str(error)
        raise TrainingError(f"{what}; it could be read when the run began. Bring it back and go on with --resume") from None
