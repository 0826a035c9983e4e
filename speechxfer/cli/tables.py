"""Reports in, tables on the terminal out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from speechxfer.report import (
    DemoResult,
    describe_decoder,
    describe_learning_curve,
    describe_terms,
    main_measure,
    measures_of,
)
from speechxfer.transcript import Transcript

if TYPE_CHECKING:
    from speechxfer.adaptation import Adaptation, Clustering, Ranking
    from speechxfer.evaluation import DomainGap


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _with_interval(scores: Mapping[str, Any], name: str) -> str:
    interval = scores.get(f"{name}_interval")
    return _percent(scores[name]) + (f"  ({100 * interval[0]:.1f} - {100 * interval[1]:.1f})" if interval else "")


def show_sets(sets: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Print one row per set and per group in it."""
    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
    measures = measures_of(sets.values())
    for heading in (
        "set",
        "utterances",
        *(name.replace("_", "-") if name == "macro_f1" else name.upper() for name in measures),
    ):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for name, scores in sets.items():
        table.add_row(name, str(scores["utterances"]), *(_with_interval(scores, measure) for measure in measures))
        for column, groups in scores.get("groups", {}).items():
            for group, own in groups.items():
                row = (_with_interval(own, measure) for measure in measures)
                table.add_row(f"  {column} {group}", str(own["utterances"]), *row, style="dim")
    console.print(table)
    for name, scores in sets.items():
        if found := scores.get("terms"):
            console.print(f"{name}: {describe_terms(found)}", highlight=False)
    blocks = {str(scores.get("interval_blocks")) for scores in sets.values()} - {"None"}
    if blocks:
        console.print(f"in brackets: 95 % bootstrap interval over each {' or '.join(sorted(blocks))}", style="dim")


def show_proof(report: Mapping[str, Any], console: Console) -> None:
    """Print what the verdict on the run, or on the transfer, says."""
    for name, verdict in report.get("proof", {}).items():
        console.print(f"{name}: {verdict['sentence']}", highlight=False)
    if gain := report.get("control", {}).get("gain"):
        console.print(gain["sentence"], highlight=False)
    for sentence in describe_decoder(report["decoder"]) if "decoder" in report else ():
        console.print(sentence, highlight=False)


def show_ranking(runs: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print runs from the best on dev on, and how the first one does against each."""
    measure = main_measure(runs[0]["sets"]["dev"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", f"dev {measure}", f"test {measure}", "training"):
        table.add_column(heading, justify="left" if heading == "run" else "right", overflow="fold")
    for run in runs:
        scores = (_with_interval(run["sets"][name], measure) for name in ("dev", "test"))
        table.add_row(run["run"], *scores, f"{run['seconds'] / 60:.1f} min")
    console.print(table)
    for run in runs[1:]:
        said = run["verdict"]["sentence"] if run["verdict"] else "other test utterances, so nothing can be said"
        console.print(f"{runs[0]['run']} against {run['run']}: {said}", highlight=False)


def show_demo(results: Sequence[DemoResult], console: Console) -> None:
    """Print what the pretrained model could do, what it learned, and what its random twin made of the same lessons."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("learned", "measure", "tests", "tiny before", "tiny after", "training", "from random weights")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("learned", "measure") else "right")
    for result in results:
        scores = (_percent(result.before), _percent(result.after), f"{result.seconds:.0f} s", _percent(result.from_random))
        table.add_row(result.title, result.measure, str(result.utterances), *scores)
    console.print(table)
    for result in results:
        if result.remark:
            console.print(f"{result.title}: {result.remark}", highlight=False)


def show_call(call: Transcript, wer: float, console: Console) -> None:
    """Print a call, turn by turn."""
    console.print(f"\nThe call {call.audio}, transcribed by tiny as it is (WER {_percent(wer)}):", style="bold")
    for segment in call.segments:
        console.print(f"{segment.start:6.1f} s  {segment.role}: {segment.text}", highlight=False)
    console.print()


def show_gap(gap: DomainGap, names: tuple[str, str], console: Console) -> None:
    """Print how far two sets are apart: conditions side by side, distances beside their yardsticks, and what that means."""
    ranks = ("first", "second")
    for rank, name in zip(ranks, names, strict=True):
        console.print(f"{rank}: {name}", markup=False, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", *ranks):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("utterances compared", *map(str, gap.utterances))
    table.add_row("left out: unreadable, silent, too long", *map(str, gap.left_out))
    conditions = (
        ("length, s", "seconds", ".1f"),
        ("sampling rate, Hz", "sampling_rate", ".0f"),
        ("sound up to, Hz", "bandwidth_hz", ".0f"),
        ("level, dB of full scale", "level_db", ".1f"),
        ("noise, dB of full scale", "noise_db", ".1f"),
        ("level over noise, dB", "snr_db", ".1f"),
    )
    for title, name, form in conditions:
        table.add_row(title, *(format(getattr(audio, name), form) for audio in gap.audio))
    console.print(table)
    distances = Table(box=None, pad_edge=False, header_style="bold")
    halved = ranks[gap.features.halved]
    for heading in ("", "between the sets", f"between halves of the {halved}", "at most"):
        distances.add_column(heading, justify="right" if heading else "left")
    for title, found in (("Fréchet distance", gap.features.frechet), ("proxy A-distance", gap.features.a_distance)):
        distances.add_row(title, f"{found.between:.3f}", f"{found.halves:.3f}", f"{found.halves_most:.3f}")
    console.print(distances)
    how = f"halves of the {halved} set by {gap.features.over}, {gap.features.size} utterances each"
    console.print(how, style="dim", highlight=False)
    if gap.unseen:
        words = ", ".join(f"{word} ({count})" for word, count in gap.unseen.frequent)
        share = f"words of the second set that the first lacks: {_percent(gap.unseen.rate)} of {gap.unseen.words}"
        console.print(share + (f", most often {words}" if words else ""), markup=False, highlight=False)
    for sentence in gap.sentences:
        console.print(sentence, markup=False, highlight=False)


def show_candidates(found: Ranking, console: Console) -> None:
    """Print models from the best on, with what they cost, and which one to take."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads, gaps = found.task == "ctc", any(one.gap for one in found.candidates)
    score = ("letters explained" if heads else "accuracy", "95 %", "first in", *(("WER of a head",) if heads else ()))
    costs = ("parameters", "memory", "real-time factor")
    for heading in ("model", *score, "best layer", "LogME there", *(["gap to target"] if gaps else []), *costs):
        table.add_column(heading, justify="left" if heading == "model" else "right", overflow="fold")
    for one in found.candidates:
        interval = f"{one.interval[0]:.3f} - {one.interval[1]:.3f}"
        layer = f"{one.best_layer} of {len(one.layers) - 1}"
        best = one.layers[one.best_layer]
        head = (f"{one.head.wer:.3f}",) if one.head else ()
        gap = (f"{one.gap.a_distance.between:.2f} (halves {one.gap.a_distance.halves:.2f})",) if one.gap else ()
        cost = (f"{one.parameters / 1e6:.1f} M", f"{one.weights_mb:.0f} MB", f"{one.real_time_factor:.3f}")
        first = (f"{one.score:.3f}", interval, _percent(one.first_share), *head)
        table.add_row(one.model, *first, layer, f"{best.logme:.3f}", *gap, *cost)
    console.print(table, highlight=False)
    how = (
        f"{found.utterances} utterances; the probe's folds are by {found.folds_over}, the bootstrap's draws by {found.draws_over}"
    )
    console.print(how, style="dim", highlight=False)
    console.print(found.verdict, markup=False, highlight=False)


def show_clusters(found: Clustering, console: Console) -> None:
    """Print the groups: how large, what they sound like, what they correspond to, and which recordings to listen to."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [*found.agreement]
    headings = ("group", "size", "share", "length, s", "sound to, Hz", "level over noise, dB", *columns, "nearest to the centre")
    for heading in headings:
        text = heading in ("group", "nearest to the centre", *columns)
        table.add_column(heading, justify="left" if text else "right", overflow="fold")
    for one in found.clusters:
        audio = (f"{one.audio.seconds:.1f}", f"{one.audio.bandwidth_hz:.0f}", f"{one.audio.snr_db:.0f}")
        known = (f"{one.known[name].value} ({_percent(one.known[name].share)})" if name in one.known else "-" for name in columns)
        table.add_row(one.name or "none", str(one.size), _percent(one.share), *audio, *known, *one.central[:1])
        for other in one.central[1:]:
            table.add_row(*[""] * (len(headings) - 1), other)
    console.print(table, highlight=False)
    for name, index in found.agreement.items():
        console.print(f"{name}: adjusted Rand index {index:.2f}", markup=False, highlight=False)
    for place, what in found.left_out:
        console.print(f"left out: {place}: {what}", markup=False, highlight=False)
    for sentence in found.sentences:
        console.print(sentence, markup=False, highlight=False)


def show_adaptation(found: Adaptation, console: Console) -> None:
    """Print what each round learned from and came to, and whether there is a better model."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("round", "learned from", "minutes", "WER of these texts", "dev CER", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row("", "", "", "", _percent(found.dev_error), "before")
    for number, one in enumerate(found.rounds, start=1):
        of, minutes = f"{one.kept} of {one.of}", f"{one.kept_seconds / 60:.1f} of {one.of_seconds / 60:.1f}"
        outcome = "accepted" if one.accepted else f"left: {one.why}"
        table.add_row(str(number), of, minutes, _percent(one.pseudo_wer), _percent(one.dev_error), outcome)
    console.print(table)
    if found.verdict is None:
        console.print("nothing was gained; the model you have is the one to keep", highlight=False)
        return
    console.print(f"test: {found.verdict['sentence']}", highlight=False)
    if found.recovered_share is not None:
        console.print(f"{found.recovered_share:.0%} of the way to the model that was trained with labels", highlight=False)
    console.print(f"model: {found.model}", highlight=False)


def show_learning_curve(curve: Mapping[str, Any], console: Console) -> None:
    """Print the errors for each share of the data, and what more data would give."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("share", "utterances", "minutes", f"dev {curve['measure']}", f"test {curve['measure']}"):
        table.add_column(heading, justify="right")
    for point in curve["points"]:
        own = (f"{point['share']} %", str(point["utterances"]), f"{point['minutes']:.1f}")
        table.add_row(*own, _percent(point["dev"]), _percent(point["test"]))
    console.print(table)
    console.print(describe_learning_curve(curve))


def show_parts(parts: list[tuple[str, int, int]], console: Console) -> None:
    """Print what trains and what is frozen."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("part", "parameters", "trains"):
        table.add_column(heading, justify="right" if heading == "parameters" else "left")
    for name, trains, size in parts:
        table.add_row(name, f"{size:,}", "yes" if trains == size else "no" if not trains else f"{trains:,}")
    console.print(table)
