"""`speechxfer commands record|negatives|enrol|evaluate|spot|zero-shot`: commands from examples, or from their text alone."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechxfer.cli.options import Channels, Device, Json, Model, Precision, Quiet, Roles

if TYPE_CHECKING:
    from speechxfer.data import Manifest

commands = typer.Typer(help="Voice commands, from a few examples or from text.", no_args_is_help=True, rich_markup_mode=None)

Enrolled = Annotated[Path, typer.Argument(help="What `commands enrol` wrote.")]
Negatives = Annotated[
    str | None, typer.Option(help="A manifest of speech and noise without any command, of any length.", show_default=False)
]


@commands.command("enrol")
def enrol(
    examples: Annotated[
        str, typer.Argument(help="A folder per command with 1 to 20 recordings each, or a manifest with labels.")
    ],
    out: Annotated[Path, typer.Option(help="Directory for the commands; those that it holds already are kept.")],
    model: Annotated[
        str, typer.Option(help="The model whose encoder is used: pretrained, saved by speechxfer, or a run; or tiny.")
    ],
    unknown: Annotated[
        str | None, typer.Option(help="A manifest of recordings of what is no command, to learn from.", show_default=False)
    ] = None,
    negatives: Negatives = None,
    false_accepts_per_hour: Annotated[float, typer.Option(min=1e-3, help="What --negatives set the thresholds for.")] = 0.5,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Enrol commands from examples, or add some to those enrolled before."""
    from speechxfer.commands import CommandRecognizer, Enrolment, calibrate_thresholds
    from speechxfer.commands import enrol as learn
    from speechxfer.data import parse_manifest

    onto = Enrolment.load(out) if (out / "commands.json").exists() else None
    others = parse_manifest(unknown) if unknown else None
    speech = _readable(negatives) if negatives else None  # before anything is done
    made = learn(examples, model, unknown=others, onto=onto, device=device, precision=precision)
    if speech:
        recognizer = CommandRecognizer(made, device=device, precision=precision)
        made = calibrate_thresholds(recognizer, speech, false_accepts_per_hour)
    made.save(out)
    counts = {command: made.labels.count(command) for command in made.commands}
    facts: dict[str, Any] = {"out": str(out), "examples": counts, **asdict(made.choice)}
    facts["thresholds"] = dict(zip(made.commands, made.thresholds, strict=True))
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    accuracy, layers = made.choice.accuracy, ", ".join(map(str, made.choice.layers))
    found = "too few to validate" if accuracy is None else f"{100 * accuracy:.1f} % right in cross-validation"
    print(f"{out}: {', '.join(f'{name} ({count})' for name, count in counts.items())}")
    print(f"{made.choice.method} on layers {layers}; {found}")
    if not speech and not quiet:
        print("note: thresholds are not calibrated; --negatives sets them for a rate of false accepts", file=sys.stderr)


@commands.command("record")
def record(
    names: Annotated[list[str], typer.Argument(help='What will be said: stop "lights on" ...')],
    out: Annotated[Path, typer.Option(help="Directory for a folder of recordings each, as `enrol` reads it.")],
    takes: Annotated[int, typer.Option(min=1, help="Recordings of each.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.3, help="Length of a recording.")] = 2.0,
) -> None:
    """Record examples with this computer's microphone, one after the other."""
    from speechxfer.commands import microphone, record_commands

    written = record_commands(
        names, out, microphone(), lambda what: input(f"{what}: press Enter, then speak "), takes=takes, seconds=seconds
    )
    print(f"{len(written)} recording{'s' if len(written) != 1 else ''} in {out}")


@commands.command("negatives")
def negatives(
    manifest: Annotated[str, typer.Argument(help="manifest.csv with labels, and with a column split if it has sets.")],
    out: Annotated[Path, typer.Option(help="Directory for manifest.csv, which holds the commands too, and near-misses.")],
    unknown: Annotated[
        str | None, typer.Option(help="A manifest of speech without any command, of any length.", show_default=False)
    ] = None,
    silence: Annotated[
        str | None, typer.Option(help="A manifest of noise, of whatever is heard while nobody speaks.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
) -> None:
    """Add what is no command, labelled unknown or silence, for `finetune configs/commands.yaml`.

    Half of the unknown rows are near-misses, made of the commands themselves: played backwards, or half of them.
    """
    from collections import Counter

    from speechxfer.commands import add_negatives
    from speechxfer.data import check_sets, parse_manifest

    checked, _ = check_sets({"set": parse_manifest(manifest)}, "classification")
    others = {"unknown": unknown, "silence": silence}
    made = add_negatives(
        checked["set"], out / "audio", seed=seed, **{name: _readable(given) for name, given in others.items() if given}
    )
    made.write(out / "manifest.csv")
    counts = Counter(made.columns["label"])
    added = ", ".join(f"{counts[name]} of {name}" for name in others if name in counts)
    print(f"{out / 'manifest.csv'}: {len(made)} utterances, {added}")


@commands.command("evaluate")
def evaluate(
    directory: Enrolled,
    manifest: Annotated[str, typer.Argument(help="manifest.csv with labels; other labels than commands are unknown words.")],
    negatives: Negatives = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write scores.json and scores.html, with the DET curve, into this directory too.", show_default=False),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Score enrolled commands: accuracy, misses, false accepts (per hour, with --negatives), EER and AUROC."""
    from speechxfer.commands import CommandRecognizer, score_commands
    from speechxfer.data import check_sets, parse_manifest
    from speechxfer.report import write_commands_page, write_json

    recognizer = CommandRecognizer.from_pretrained(directory, device=device, precision=precision)
    checked, _ = check_sets({"set": parse_manifest(manifest)}, "classification")
    speech = _readable(negatives) if negatives else ()
    scores = score_commands(recognizer, [*checked["set"]], [*speech])
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "scores.json", scores)
        write_commands_page(out / "scores.html", scores, of=manifest)
    if as_json:
        print(json.dumps(scores, ensure_ascii=False))
        return
    for name, value in scores.items():
        if isinstance(value, int | float):
            print(f"{name.replace('_', ' ')}: {value:.4g}")
    if "false_accepts_per_hour_interval" in scores:
        print("false accepts per hour, 95 %: {:.3g} to {:.3g}".format(*scores["false_accepts_per_hour_interval"]))


@commands.command("spot")
def spot(
    directory: Enrolled,
    files: Annotated[list[str], typer.Argument(help="Audio or video files, directories, patterns.")],
    channels: Channels = "mix",
    roles: Roles = "",
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Listen for enrolled commands in recordings of any length; a line of JSON for each event."""
    from speechxfer.cli.options import checked_channels
    from speechxfer.commands import CommandRecognizer, spot_commands
    from speechxfer.errors import AudioError
    from speechxfer.transcription import find_recordings

    names = checked_channels(channels, roles)
    recognizer = CommandRecognizer.from_pretrained(directory, device=device, precision=precision)
    recordings, failed = find_recordings(files), 0
    for recording in recordings:
        try:
            for event in spot_commands(recognizer, recording.path, channels, names):
                print(json.dumps({"audio": str(recording.path), **asdict(event)}, ensure_ascii=False), flush=True)
        except AudioError as error:
            failed += 1
            print(f"speechxfer: {error}", file=sys.stderr)
    if failed:
        print(f"speechxfer: {failed} of {len(recordings)} recordings could not be read", file=sys.stderr)
        raise typer.Exit(1)


@commands.command("zero-shot")
def zero_shot(
    phrases: Annotated[list[str], typer.Argument(help='Commands as text: "transfer me to billing" stop ...')],
    model: Model,
    manifest: Annotated[str | None, typer.Option(help="Recordings to listen to, one command each.", show_default=False)] = None,
    audio: Annotated[list[str] | None, typer.Option(help="The same as files, directories, patterns.", show_default=False)] = None,
    running: Annotated[bool, typer.Option(help="The command may stand anywhere in running speech: an approximation.")] = False,
    threshold: Annotated[float, typer.Option(help="Scores below it, in nats per symbol, are unknown.")] = -1.0,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Recognise commands that are given as text, with a model that writes text (CTC); a line of JSON for each recording."""
    from speechxfer import load_model
    from speechxfer.commands import PhraseScorer
    from speechxfer.decoding import ctc_log_probs
    from speechxfer.errors import ModelError
    from speechxfer.evaluation import as_items
    from speechxfer.features import FeatureSource
    from speechxfer.models import for_inference

    loaded = load_model(model)
    if loaded.vocabulary is None:
        raise ModelError(f"{model}: commands as text need a model that writes text (CTC); this one knows labels")
    scorer = PhraseScorer(loaded.vocabulary, phrases, loaded.normaliser)
    if bool(manifest) == bool(audio):
        raise typer.BadParameter("give one of them", param_hint="--manifest, --audio")
    recordings = _readable(manifest) if manifest else _checked(_listed(audio or []))
    split, exactness = for_inference(loaded, device, precision)
    features = FeatureSource(split, loaded.frontend, None, exactness).features(as_items(recordings))
    log_probs = ctc_log_probs(split, features, exactness)
    for recording, heard in zip(recordings, (scorer.find if running else scorer.recognise)(log_probs), strict=True):
        said = replace(heard, score=max(heard.score, -1e9))  # JSON knows no infinity
        answer = {"id": recording.id, "command": heard.phrase if heard.score >= threshold else None}
        print(json.dumps(answer | asdict(said), ensure_ascii=False))


def _readable(manifest: str) -> Manifest:
    """Read a manifest of recordings that need neither text nor label."""
    from speechxfer.data import parse_manifest

    return _checked(parse_manifest(manifest))


def _checked(manifest: Manifest) -> Manifest:
    from speechxfer.data import refuse, sift_sets

    sets, problems = sift_sets({"recordings": manifest}, None)
    refuse(problems, sets, "error")
    return sets["recordings"]


def _listed(files: list[str]) -> Manifest:
    from speechxfer.data import Manifest
    from speechxfer.transcription import find_recordings

    paths = [str(recording.path) for recording in find_recordings(files)]
    return Manifest({"id": paths, "audio": [str(Path(path).absolute()) for path in paths]}, "--audio", [0] * len(paths))
