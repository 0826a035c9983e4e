"""The parts of the demo: manifests in; scores of the pretrained model, of what it learned, and of its random twin, out."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

import torch

from speechxfer import Transcriber, evaluate, finetune, read_manifest, read_recipe
from speechxfer.cli.progress import DemoProgress
from speechxfer.data import Manifest, parse_manifest
from speechxfer.errors import RunDirectoryError
from speechxfer.evaluation import RowErrors, term_counts, word_errors
from speechxfer.models import EMBEDDED, load_model
from speechxfer.report import DemoExample, DemoResult, read_answers
from speechxfer.transcript import Transcript

ASSETS = Path(str(files("speechxfer"))) / "assets" / "demo"
AN4_TERMS = ("enter", "erase", "rubout", "repeat")
_TWIN = "random-tiny"
_EXAMPLES = 4
_HOTWORD_WEIGHT = 1.5  # chosen on dev: with 2, names are heard in sentences that have none


@dataclass(frozen=True)
class Part:
    """One thing to learn: `dialect`, `vocabulary` or `commands`."""

    name: str
    title: str
    measure: Literal["WER", "recall", "right"]
    manifest: Path
    terms: tuple[str, ...] = ()


def embedded_parts() -> list[Part]:
    """Give what is learned from the audio of the package."""
    terms = tuple(sorted({*parse_manifest(ASSETS / "vocabulary.csv").columns["label"]}))
    return [
        Part("dialect", "a new accent (Scottish)", "WER", ASSETS / "dialect.csv"),
        Part("vocabulary", f"new words ({len(terms)} names of products)", "recall", ASSETS / "vocabulary.csv", terms),
        Part("commands", "commands (5 examples of each)", "right", ASSETS / "commands.csv"),
    ]


def real_parts(folder: Path) -> list[Part]:
    """Give what is learned from real speech."""
    return [
        Part("dialect", "a new accent (speechocean762, Mandarin)", "WER", folder / "speechocean762" / "manifest.csv"),
        Part("vocabulary", f"new words (an4: {', '.join(AN4_TERMS)})", "recall", folder / "an4" / "manifest.csv", AN4_TERMS),
        Part("commands", "commands (fsdd, spoken digits)", "right", folder / "fsdd" / "manifest.csv"),
    ]


def make_place(out: Path) -> Path:
    """Clear away an earlier demo, and save a model of `tiny`'s shape that knows nothing; gives its directory.

    Raises
    ------
    RunDirectoryError
        If the directory holds anything else.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / _TWIN).is_dir():
        raise RunDirectoryError(f"{out} is not empty and holds no demo; give another --out")
    shutil.rmtree(out, ignore_errors=True)
    tiny = load_model(EMBEDDED)
    torch.manual_seed(0)
    (out / _TWIN).mkdir(parents=True)
    replace(tiny, model=type(tiny.model)(tiny.model.config)).save(out / _TWIN)
    return out / _TWIN


def run_part(part: Part, random_twin: Path, directory: Path, progress: DemoProgress) -> DemoResult:
    """Score `tiny` as it is, fine-tune it and its random twin by the same recipe, and score both, listening for new words."""
    sets = [f"data.{name}={part.manifest}[split={name}]" for name in ("train", "dev", "test")]
    recipe = ASSETS / f"{part.name}.yaml"
    progress.begin(part.title)
    test = parse_manifest(f"{part.manifest}[split=test]")
    before = evaluate(EMBEDDED, test).rows
    report = finetune(read_recipe(recipe, [*sets, f"model.path={EMBEDDED}"]), directory, progress)
    progress.begin(f"{part.title}, from random weights")
    finetune(read_recipe(recipe, [*sets, f"model.path={random_twin}"]), directory / "from-random", progress)
    (_, after), (_, control) = (read_answers(run / "answers.csv") for run in (directory, directory / "from-random"))
    remark = ""
    if part.terms:
        trained, hotwords = _score(part, after), [f"{term}\t{_HOTWORD_WEIGHT}" for term in part.terms]
        listened, after, control = (
            evaluate(model, test, hotwords=hotwords).rows for model in (EMBEDDED, directory, directory / "from-random")
        )
        false = term_counts(after.references, after.answers, part.terms).false
        remark = (
            f"trained and listened for, with {false} heard where none was said; "
            f"listened for alone {_score(part, listened):.0%}, trained alone {trained:.0%}"
        )
    return DemoResult(
        part.title,
        part.measure,
        len(test),
        _score(part, before),
        _score(part, after),
        _score(part, control),
        seconds=report["training"]["seconds"],
        examples=_examples(test, before, after),
        remark=remark,
    )


def transcribe_call() -> tuple[Transcript, float]:
    """Transcribe the call of the package, each side by itself; gives its WER too."""
    turns = read_manifest(ASSETS / "call.csv")
    roles = dict(sorted((turn.channel, speaker) for turn, speaker in zip(turns, turns.columns["speaker"], strict=True)))
    call = Transcriber(EMBEDDED, channels="split", roles=[*roles.values()]).transcribe(ASSETS / "call.flac")
    said = [" ".join(turn.text or "" for turn in turns if turn.channel == channel) for channel in roles]
    heard = [" ".join(segment.text for segment in call.segments if segment.channel == channel) for channel in roles]
    errors = word_errors(said, heard)
    return call, sum(side.errors for side in errors) / sum(side.reference_length for side in errors)


def _score(part: Part, rows: RowErrors) -> float:
    if part.measure == "recall":
        return term_counts(rows.references, rows.answers, part.terms).recall or 0.0
    if part.measure == "WER":
        return rows.rate
    # A pretrained model knows no commands: what it can do is to write down the very words.
    return sum(not errors for errors in rows.errors) / len(rows.errors)


def _examples(test: Manifest, before: RowErrors, after: RowErrors) -> tuple[DemoExample, ...]:
    """Give the first utterances of as many speakers; they are not chosen by how well they went."""
    rows = {speaker: row for row, speaker in reversed([*enumerate(test.columns["speaker"])])}
    return tuple(
        DemoExample(test[row], test.columns["text"][row], before.answers[row], after.answers[row])
        for row in sorted(rows.values())[:_EXAMPLES]
    )
