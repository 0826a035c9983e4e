"""The parts of the demo: manifests in; scores of the pretrained model, of what it learned, and of its random twin, out."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Literal

import torch

from speechxfer import Transcriber, evaluate, finetune, read_manifest, read_recipe
from speechxfer.cli.progress import DemoProgress
from speechxfer.data import Manifest, parse_manifest
from speechxfer.errors import RunDirectoryError
from speechxfer.evaluation import RowErrors, term_counts, total, word_errors
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


@contextmanager
def beside() -> Iterator[Executor]:
    """Give a process in which the random twins learn while `tiny` does, with half of the threads for each.

    A model so small gains little from a second thread. On Linux the process is forked by the first thing it is given, and shares
    what was imported, 0.4 GB; nothing may have computed before, or the threads of OpenMP would be missing in it.
    """
    threads = torch.get_num_threads()
    half = max(1, threads // 2)
    torch.set_num_threads(half)
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    twins = ProcessPoolExecutor(1, context, torch.set_num_threads, (half,))
    try:
        yield twins
    except BaseException:
        for process in active_children():  # what it is at would go on for minutes
            process.terminate()
        raise
    finally:
        twins.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def learn(part: Part, model: str | Path, directory: Path, progress: DemoProgress | None = None) -> tuple[RowErrors, float]:
    """Fine-tune a model; gives its errors, listening for the new words if there are any, and the seconds of training."""
    sets = [f"data.{name}={part.manifest}[split={name}]" for name in ("train", "dev", "test")]
    report = finetune(read_recipe(ASSETS / f"{part.name}.yaml", [*sets, f"model.path={model}"]), directory, progress)
    rows = _listen(part, directory) if part.terms else read_answers(directory / "answers.csv")[1]
    return rows, report["training"]["seconds"]


def run_part(part: Part, twin: Future[tuple[RowErrors, float]], directory: Path, progress: DemoProgress) -> DemoResult:
    """Score `tiny` as it is, fine-tune it, and score it beside its random twin, which learned by the same recipe."""
    progress.begin(part.title)
    test = parse_manifest(f"{part.manifest}[split=test]")
    before = evaluate(EMBEDDED, test).rows
    after, seconds = learn(part, EMBEDDED, directory, progress)
    remark = ""
    if part.terms:
        trained, listened = read_answers(directory / "answers.csv")[1], _listen(part, EMBEDDED)
        false = term_counts(after.references, after.answers, part.terms).false
        remark = (
            f"trained and listened for, with {false} heard where none was said; "
            f"listened for alone {_score(part, listened):.0%}, trained alone {_score(part, trained):.0%}"
        )
    progress.begin(f"{part.title}, from random weights")
    control, _ = twin.result()
    return DemoResult(
        part.title,
        part.measure,
        len(test),
        _score(part, before),
        _score(part, after),
        _score(part, control),
        seconds=seconds,
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
    return call, total(word_errors(said, heard)).rate or 0.0


def _listen(part: Part, model: str | Path) -> RowErrors:
    hotwords = [f"{term}\t{_HOTWORD_WEIGHT}" for term in part.terms]
    return evaluate(model, f"{part.manifest}[split=test]", hotwords=hotwords).rows


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
