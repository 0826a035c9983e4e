"""A run's report in; `report.html` out: the verdict first, then whom it concerns, then what went wrong, to be read and heard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from speechxfer.data import Manifest, write_whole
from speechxfer.evaluation import RowErrors
from speechxfer.report.differences import aligned, confused
from speechxfer.report.html import page, picture, player, table
from speechxfer.report.learning_curve import describe_learning_curve, draw_learning_curve
from speechxfer.report.schema import MEASURES, main_measure, measures_of, with_interval

_WORST = 12
_CONFUSED = 20
_MAX_LABELS = 40  # of a confusion matrix that can be read


def write_page(
    path: Path,
    report: Mapping[str, Any],
    rows: RowErrors,
    manifest: Manifest,
    *,
    audio: bool,
    recipe: str = "",
    environment: Mapping[str, Any] | None = None,
) -> None:
    """Write the page.

    Parameters
    ----------
    path
        The file; it needs no other.
    report
        As in `report.json`.
    rows, manifest
        Of its test set.
    audio
        Whether the worst utterances can be heard; their sound is then in the file.
    recipe, environment
        Shown at the end.

    Raises
    ------
    StorageError
        If it cannot be written.
    AudioError
        If sound that is to be heard in it cannot be read.
    """
    parts = [
        *_verdicts(report),
        "<h2>Scores</h2>",
        _scores(report),
        *_groups(report),
        *_guard(report),
        *_learning_curve(report),
        *_worst(rows, manifest, audio),
        *_confusions(report, rows),
        *_run(report, recipe, environment or {}),
    ]
    write_whole(str(path), page(f"{report['task']}: {report['model']}", parts))


def _verdicts(report: Mapping[str, Any]) -> Iterator[str]:
    verdicts = [verdict for verdict in report.get("proof", {}).values()]
    for verdict in verdicts:
        yield f'<p class="verdict {verdict["overall"]["outcome"]}">{escape(_capital(verdict["sentence"]))}.</p>'
        if segments := verdict.get("mapsswe"):
            yield f"<p>MAPSSWE: {segments['segments']} segments, p = {segments['p']:.3g}; it takes segments for independent.</p>"
    if not verdicts:
        yield '<p class="verdict">There is no before and after: nothing to compare with could do the task, or none was given.</p>'
    if gain := report.get("control", {}).get("gain"):
        yield f"<p>{escape(_capital(gain['sentence']))}.</p>"
    for sentence in describe_decoder(report["decoder"]) if "decoder" in report else ():
        yield f"<p>{escape(_capital(sentence))}.</p>"
    if guard := report.get("guard"):
        found = guard.get("verdicts_after_remedy", guard["verdicts"])
        said = "; ".join(f"{name}: {verdict['sentence']}" for name, verdict in found.items())
        kind = "worse" if guard["outcome"] == "refused" else "better"
        yield f'<p class="{kind}">The guard has {guard["outcome"]} this model. {escape(said)}.</p>'


def describe_decoder(found: Mapping[str, Any]) -> list[str]:
    """Say what fine-tuning did to a decoder beside its error rate, a sentence each, of the `decoder` section of a report."""
    rates = " and ".join(f"{100 * rate:.1f} %" for rate in found["wer"].values())
    contexts = " and ".join({"adaptive": "on the audio there is", "stock": "in windows of 30 s"}[name] for name in found["wer"])
    return [
        f"over {found['utterances']} utterances of test, WER is {rates} {contexts}, as plain transformers takes them",
        f"timestamps: {found['timestamps']} (in {100 * found['share_with_times']:.0f} % of answers that were asked for them)",
    ]


def describe_terms(found: Mapping[str, Any]) -> str:
    """Say how words of interest were heard, of what `TermCounts.to_dict` gives."""
    if not found["hits"] + found["missed"]:
        return f"no term was said; heard all the same: {found['false']}"
    said = found["hits"] + found["missed"]
    rates = ", ".join(f"{name} {100 * found[name]:.1f} %" for name in ("recall", "precision") if found[name] is not None)
    return f"terms: {found['hits']} of {said} heard, {found['false']} heard where none was said ({rates})"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _scores(report: Mapping[str, Any]) -> str:
    parts = {"": report, "before: ": report.get("before", {}), "control: ": report.get("control", {})}
    sets = {f"{part}{name}": scores for part, own in parts.items() for name, scores in own.get("sets", {}).items()}
    measures = measures_of(sets.values())
    rows = [
        (escape(name), str(scores["utterances"]), *(with_interval(scores, measure) for measure in measures))
        for name, scores in sets.items()
    ]
    blocks = sorted({str(scores.get("interval_blocks", "")) for scores in sets.values()} - {""})
    caption = f"<p>In brackets: 95 % bootstrap intervals over each {escape(' or '.join(blocks))}.</p>" if blocks else ""
    terms = (
        f"<p>{escape(name)}: {describe_terms(found)}.</p>" for name, scores in sets.items() if (found := scores.get("terms"))
    )
    return table(("set", "utterances", *(MEASURES[name] for name in measures)), rows) + caption + "".join(terms)


def _groups(report: Mapping[str, Any]) -> Iterator[str]:
    """Draw each group's rate with its interval, before and after."""
    after = report["sets"]["test"]
    before = report.get("before", {}).get("sets", {}).get("test", {})
    measure = main_measure(after)
    names = [(column, group) for column, groups in after.get("groups", {}).items() for group in groups]
    if not names:
        return
    figure = Figure(figsize=(8, 0.8 + 0.4 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for shift, label, scores, marker in ((-0.1, "before", before, "s"), (0.1, "after", after, "o")):
        for place, (column, group) in enumerate(names):
            own = scores.get("groups", {}).get(column, {}).get(group)
            if not own:
                continue
            low, high = own.get(f"{measure}_interval") or (own[measure], own[measure])
            span = [[max(0.0, own[measure] - low)], [max(0.0, high - own[measure])]]
            color = "C7" if label == "before" else "C0"
            axes.errorbar(own[measure], place + shift, xerr=span, fmt=marker, color=color, capsize=3, label=label)
    axes.set_yticks(range(len(names)), [f"{column} {group}" for column, group in names])
    axes.invert_yaxis()
    axes.set_xlabel(f"{MEASURES[measure]} on test, with 95 % intervals")
    shown = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(shown.values(), shown.keys())
    yield "<h2>Groups</h2>"
    yield picture(figure, f"{MEASURES[measure]} of each group")
    verdict = report.get("proof", {}).get("test", {})
    rows = [
        (escape(f"{column} {group}"), one["outcome"], f"{100 * one['difference']:+.1f} points", f"{one['p']:.3g}")
        for column, groups in verdict.get("groups", {}).items()
        for group, one in groups.items()
    ]
    if rows:
        yield table(("group", "outcome", "change of the error rate", "p, corrected (Holm)"), rows)


def _guard(report: Mapping[str, Any]) -> Iterator[str]:
    curve = report.get("guard", {}).get("trade_off")
    if not curve:
        return
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    shares = [point["share"] for point in curve]
    axes.plot(shares, [point["dev_error"] for point in curve], "o-", label="dev error")
    for name in curve[0]["losses"]:
        axes.plot(shares, [point["losses"][name] for point in curve], "s--", label=f"lost on {name}")
    axes.set(xlabel="share of the tuned weights", ylabel="error rate")
    axes.legend()
    yield "<h2>Guard: what is gained and what is lost on the way from the old weights to the new</h2>"
    yield picture(figure, "trade-off between dev error and loss on the guard sets")


def _learning_curve(report: Mapping[str, Any]) -> Iterator[str]:
    if curve := report.get("learning_curve"):
        yield "<h2>Learning curve</h2>"
        yield picture(draw_learning_curve(curve), "errors over minutes of training audio")
        yield f"<p>{escape(_capital(describe_learning_curve(curve)))}.</p>"


def _worst(rows: RowErrors, manifest: Manifest, audio: bool) -> Iterator[str]:
    wrong = sorted((row for row in range(len(rows.errors)) if rows.errors[row]), key=lambda row: -rows.errors[row])[:_WORST]
    if not wrong:
        return
    yield "<h2>Worst utterances of the test set</h2>"
    if rows.measure != "error":
        yield "<p><del>left out</del>, <ins>put in</ins>, <mark>said → heard</mark>.</p>"
    cells = []
    for row in wrong:
        reference, answer = rows.references[row], rows.answers[row]
        compared = aligned(reference, answer, rows.measure)
        sound = [player(manifest[row])] if audio else []
        cells.append((escape(manifest.columns["id"][row]), str(rows.errors[row]), compared, *sound))
    yield table(("utterance", "errors", "what was said and heard", *(["sound"] if audio else [])), cells)


def _confusions(report: Mapping[str, Any], rows: RowErrors) -> Iterator[str]:
    if rows.measure != "error":
        pairs = confused(rows.references, rows.answers, rows.measure).most_common(_CONFUSED)
        if pairs:
            yield f"<h2>{'Words' if rows.measure == 'wer' else 'Characters'} most often taken for others</h2>"
            yield table(("said", "heard", "times"), [(escape(said), escape(heard), str(n)) for (said, heard), n in pairs])
        return
    found = report["sets"]["test"].get("confusion", {"labels": []})
    if 0 < len(found["labels"]) <= _MAX_LABELS:
        labels = [escape(label) for label in found["labels"]]
        counts = zip(labels, found["true_by_recognised"], strict=True)
        yield "<h2>True labels (rows) and recognised ones</h2>"
        yield table(("", *labels), [(f"<b>{label}</b>", *(str(n) if n else "" for n in row)) for label, row in counts])


def _run(report: Mapping[str, Any], recipe: str, environment: Mapping[str, Any]) -> Iterator[str]:
    if training := report.get("training"):
        yield f"<h2>The run</h2><p>{training['seconds'] / 60:.1f} minutes.</p>"
    if notes := report.get("notes"):
        yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"
    for title, text in (("Recipe", recipe), ("Environment", json.dumps(environment, indent=1) if environment else "")):
        if text:
            yield f"<details><summary>{title}</summary><pre>{escape(text)}</pre></details>"
