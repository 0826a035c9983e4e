"""Voice commands from a few examples: accents never enrolled, a language never heard, and what is no command.

    python scripts/benchmarks/few_shot.py --shared ../shared [--quick] [--part fsdd arabic open speed zero] [--ctc-model M]

Episodes draw K examples of each command, enrol them and recognise everything else that the protocol allows; the interval is
that of the mean over episodes. Layers and method are chosen inside each enrolment. fsdd: enrolled from the two USA speakers,
queries of the four others; and from all six, queries all other clips. Arabic: enrolled from the train speakers, queries of
the test speakers, also with babble at 15 dB. In the same table a linear probe on log-mel means and spreads, and MFCC with DTW
(librosa, nearest example; fewer queries, as stated, for it is slow). Open set: three wake words with all training clips, or
five; unknown sounds are fsdd, Arabic and Romanian training speech; thresholds from the train and dev negatives; false accepts
are counted by the spotter over the test negatives joined per set, noise apart. Zero-shot: the single-command clips of an4.
The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from few_shot_baselines import LogMelProbe, MfccDtw

from speechxfer.commands import (
    Choice,
    CommandRecognizer,
    EventPicker,
    LinearClassifier,
    PhraseScorer,
    calibrate_thresholds,
    choose,
    enrol,
    listen,
    poisson_interval,
    speech_in,
    views_of,
)
from speechxfer.data import Manifest, Utterance, Waveform, load_audio, read_manifest
from speechxfer.decoding import ctc_log_probs
from speechxfer.evaluation import as_items, bootstrap_interval
from speechxfer.features import FeatureSource, StatisticsEncoder
from speechxfer.models import for_inference, load_model

PARTS = ("fsdd", "arabic", "open", "speed", "zero")
RATE, SEED, BABBLE_DB = 16_000, 0, 15.0
USA = ("jackson", "theo")
WAKE_WORDS = ("computer", "jarvis", "snowboy")
NEGATIVES = ("wake_words", "speechocean762", "an4", "speech_to_intent", "extra_speech_commands")
UNKNOWN = ("fsdd", "extra_arabic_commands", "extra_romanian")
FALSE_ACCEPTS_PER_HOUR = 0.5  # what thresholds are set for; the bar is 1
COMMAND_WORDS = ("enter", "erase", "rubout", "go", "help", "start", "stop", "yes", "no", "repeat")
BARS = {  # figure: (bar, whether it is an upper bound)
    "fsdd_5shot_other_accents": (0.88, False),
    "fsdd_5shot_mixed": (0.96, False),
    "arabic_5shot": (0.975, False),
    "arabic_1shot": (0.85, False),
    "arabic_5shot_babble_loss": (0.05, True),
    "wake_words_miss_rate": (0.05, True),
    "false_accepts_per_hour": (1.0, True),
    "zero_shot_balanced_accuracy": (0.85, False),
    "enrol_seconds": (10.0, True),
    "recognise_ms": (60.0, True),
}


@dataclass(frozen=True)
class Size:
    """How much is done: episodes, queries of each, DTW's queries, each n-th negative, unknown clips of a set, clips of a word."""

    episodes: int
    queries: int
    dtw_queries: int
    every: int
    unknown: int
    clips: int


FULL, QUICK = Size(20, 100_000, 100, 1, 600, 90), Size(2, 100, 10, 60, 30, 10)


@dataclass(frozen=True)
class Protocol:
    """Which rows examples are drawn from, and which are queries (drawn examples are never among these)."""

    name: str
    shots: int
    enrolled: Sequence[int]
    queries: Sequence[int]


def episodes(protocol: Protocol, labels: Sequence[str], size: Size) -> list[tuple[list[int], list[int]]]:
    """Draw examples and queries."""
    drawn = []
    for episode in range(size.episodes):
        random = np.random.default_rng([SEED, protocol.shots, episode])
        examples = []
        for label in sorted(set(labels)):
            own = [row for row in protocol.enrolled if labels[row] == label]
            examples += random.choice(own, protocol.shots, replace=False).tolist()
        rest = sorted(set(protocol.queries) - set(examples))
        drawn.append((examples, sorted(random.permutation(rest)[: size.queries].tolist())))
    return drawn


class Ours:
    """Enrolment and recognition; what a clip is as it is, is computed once for all episodes."""

    name = "speechxfer"

    def __init__(self, model: Path, utterances: Sequence[Utterance]) -> None:
        self._encoder = StatisticsEncoder(model)
        self._utterances = utterances
        self._enrolled: dict[tuple[int, ...], tuple[Choice, LinearClassifier]] = {}
        self._queries: dict[int, np.ndarray] = {}
        self._speakers = [utterance.fields.get("speaker", "") for utterance in utterances]
        self.chosen: dict[str, int] = {}

    def prepare(self, queries: Sequence[int]) -> None:
        """Encode what the episodes will need."""
        encoded = self._encoder(self._spoken(queries))
        self._queries |= dict(zip(queries, encoded, strict=True))

    def _spoken(self, rows: Sequence[int]) -> list[Utterance]:
        return [speech_in(self._utterances[row]) for row in rows]

    def answers(self, examples: Sequence[int], commands: np.ndarray, queries: Sequence[int]) -> np.ndarray:
        """Enrol and recognise one episode."""
        choice, classifier = self._enrolled.get(tuple(examples)) or self._enrol(examples, commands)
        statistics = np.stack([self._queries[row] for row in queries])
        return classifier.scores(choice.vectors(statistics)).argmax(axis=1)

    def _enrol(self, examples: Sequence[int], commands: np.ndarray) -> tuple[Choice, LinearClassifier]:
        """Enrol one episode, whose views know no clips but its own examples."""
        views = views_of(self._encoder, self._spoken(examples))
        choice = choose(views, commands, [self._speakers[row] for row in examples])
        what = f"{choice.method} on {','.join(map(str, choice.layers))}"
        self.chosen[what] = self.chosen.get(what, 0) + 1
        self._enrolled[tuple(examples)] = choice, choice.fit(views, commands)
        return self._enrolled[tuple(examples)]


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """Give the mean over episodes and the half width of its 95 % interval."""
    spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return float(np.mean(values)), float(1.96 * spread / math.sqrt(len(values)))


def run_episodes(
    protocol: Protocol, labels: Sequence[str], size: Size, answers: Callable[..., np.ndarray], shown: str
) -> tuple[float, float]:
    """Run all episodes of one method."""
    names = sorted(set(labels))
    rates = []
    for examples, queries in episodes(protocol, labels, size):
        commands = np.array([names.index(labels[row]) for row in examples])
        right = answers(examples, commands, queries) == [names.index(labels[row]) for row in queries]
        rates.append(float(np.mean(right)))
    mean, half = mean_and_interval(rates)
    print(
        f"| {protocol.name} | {protocol.shots} | {shown} | {mean:.4f} ± {half:.4f} | {len(rates)} × {len(queries)} |", flush=True
    )
    return mean, half


def compare(ours: Ours, utterances: Sequence[Utterance], protocols: Sequence[Protocol], size: Size) -> list[float]:
    """Run all methods on all protocols; gives ours."""
    labels = [str(utterance.label) for utterance in utterances]
    needed = [episodes(protocol, labels, size) for protocol in protocols]
    ours.prepare(sorted({row for one in needed for _, queries in one for row in queries}))
    used = sorted({row for one in needed for pair in one for part in pair for row in part})
    probe, dtw = LogMelProbe([utterances[row] for row in used]), MfccDtw(utterances)
    place = {row: number for number, row in enumerate(used)}
    rates = []
    for protocol in protocols:
        rates.append(run_episodes(protocol, labels, size, ours.answers, ours.name)[0])
        run_episodes(
            protocol,
            labels,
            size,
            lambda examples, commands, queries: probe.answers(
                [place[row] for row in examples], commands, [place[row] for row in queries]
            ),
            probe.name,
        )
        few = replace(size, episodes=min(2, size.episodes), queries=size.dtw_queries)
        run_episodes(protocol, labels, few, dtw.answers, dtw.name)
    return rates


def fsdd(model: Path, data: Path, size: Size) -> dict[str, float]:
    """Run the dialect question: two American speakers enrolled, four accents heard."""
    manifest = read_manifest(data / "fsdd/manifest.csv")
    utterances, speakers = list(manifest), manifest.columns["speaker"]
    american = [row for row, speaker in enumerate(speakers) if speaker in USA]
    others, everyone = sorted(set(range(len(utterances))) - set(american)), range(len(utterances))
    shots = (1, 5, 20) if size is FULL else (5,)
    protocols = [Protocol("fsdd, USA to the others", count, american, others) for count in shots]
    protocols += [Protocol("fsdd, mixed speakers", count, everyone, everyone) for count in shots]
    ours = Ours(model, utterances)
    rates = compare(ours, utterances, protocols, size)
    print(f"chosen: {ours.chosen}", flush=True)
    names = [f"fsdd_{count}shot_{kind}" for kind in ("other_accents", "mixed") for count in shots]
    return dict(zip(names, rates, strict=True))


def with_babble(utterances: Sequence[Utterance], data: Path) -> list[Utterance]:
    """Add a random stretch of the test babble at 15 dB below the clip."""
    noises = [load_audio(one, RATE) for one in read_manifest(f"{data}/noise_rir/manifest.csv[kind=babble,split=test]")]
    random, made = np.random.default_rng(SEED), []
    for utterance in utterances:
        samples, noise = load_audio(utterance, RATE), noises[random.integers(len(noises))]
        noise = np.take(noise, np.arange(len(samples)) + random.integers(len(noise)), mode="wrap")
        gain = math.sqrt(float((samples**2).mean()) / max(float((noise**2).mean()), 1e-12) / 10 ** (BABBLE_DB / 10))
        waveform = Waveform((samples + gain * noise).astype(np.float32), RATE)
        made.append(Utterance(f"{utterance.id} babble", waveform, end=len(samples) / RATE, label=utterance.label))
    return made


def arabic(model: Path, data: Path, size: Size) -> dict[str, float]:
    """Run a language that an English encoder never heard, and babble."""
    manifest = read_manifest(data / "extra_arabic_commands/manifest.csv")
    split = manifest.columns["split"]
    train, test = ([row for row, name in enumerate(split) if name == part] for part in ("train", "test"))
    utterances = [*manifest, *with_babble([manifest[row] for row in test], data)]
    noisy = range(len(manifest), len(utterances))
    protocols = [Protocol("Arabic, unseen speakers", shots, train, test) for shots in (1, 5)]
    protocols.append(Protocol("Arabic, the same in babble", 5, train, noisy))
    ours = Ours(model, utterances)
    one, five, babble = compare(ours, utterances, protocols, size)
    print(f"chosen: {ours.chosen}", flush=True)
    return {"arabic_1shot": one, "arabic_5shot": five, "arabic_5shot_babble": babble, "arabic_5shot_babble_loss": five - babble}


def negatives(data: Path, splits: Sequence[str], size: Size) -> dict[str, list[Utterance]]:
    """Give speech without the wake words, per set."""
    found = {}
    for name in NEGATIVES:
        manifest = read_manifest(data / name / "manifest.csv")
        wanted = [
            row
            for row in range(len(manifest))
            if manifest.columns["split"][row] in splits
            and manifest.columns.get("label", [""] * len(manifest))[row] not in WAKE_WORDS
        ]
        found[name] = list(manifest.select(wanted[:: size.every]))
    return found


def unknown(data: Path, size: Size) -> Manifest:
    """Give speech that no threshold and no test sees."""
    columns: dict[str, list[str]] = {"id": [], "audio": []}
    for name in UNKNOWN:
        manifest = read_manifest(f"{data}/{name}/manifest.csv[split=train]")
        rows = np.linspace(0, len(manifest) - 1, min(size.unknown, len(manifest))).astype(int)
        columns["id"] += [manifest.columns["id"][row] for row in rows]
        columns["audio"] += [str(Path(str(manifest[row].audio)).absolute()) for row in rows]
    return Manifest(columns, "unknown", range(1, len(columns["id"]) + 1))


def open_set(model: Path, data: Path, size: Size) -> dict[str, float]:
    """Run wake words in hours of other speech."""
    wake = read_manifest(data / "wake_words/manifest.csv")
    rows = [row for row, label in enumerate(wake.columns["label"]) if label in WAKE_WORDS]
    train, test = (wake.select([row for row in rows if wake.columns["split"][row] == part]) for part in ("train", "test"))
    test = test.select(range(0, len(test), 1 if size is FULL else 6))
    figures: dict[str, float] = {}
    labels = train.columns["label"]
    own = [[row for row, label in enumerate(labels) if label == word] for word in WAKE_WORDS]
    for shown, count in (("", size.clips), ("_5shot", 5))[: 2 if size is FULL else 1]:
        examples = train.select(sorted(row for rows in own for row in rows[:count]))
        start = time.perf_counter()
        recognizer = CommandRecognizer(enrol(examples, model, unknown=unknown(data, size)))
        print(f"enrolled {len(examples)} clips in {time.perf_counter() - start:.0f} s: {recognizer.enrolment.choice}", flush=True)
        known = [one for part in negatives(data, ("train", "dev"), size).values() for one in part]
        calibrated = calibrate_thresholds(recognizer, known, FALSE_ACCEPTS_PER_HOUR)
        recognizer = CommandRecognizer(calibrated)
        print(
            f"thresholds: {dict(zip(calibrated.commands, np.round(calibrated.thresholds, 2).tolist(), strict=True))}", flush=True
        )
        total, hours = 0, 0.0
        sets = negatives(data, ("test",), size)
        sets["noise, apart"] = [
            one for one in read_manifest(f"{data}/noise_rir/manifest.csv[split=test]") if one.fields["kind"] in ("noise", "music")
        ]
        for name, utterances in sets.items():
            hops, length = listen(recognizer, utterances)
            heard = [event.command for event in EventPicker(calibrated)(hops)]
            print(f"| negatives: {name} | {length:.3f} h | {len(heard)} false accepts: {heard} |", flush=True)
            if name != "noise, apart":
                total, hours = total + len(heard), hours + length
        lower, upper = poisson_interval(total, hours)
        missed = []
        for clip in test:
            hops, _ = listen(recognizer, [clip])
            missed.append(clip.label not in [event.command for event in EventPicker(calibrated)(hops)])
        print(
            f"| wake words{shown} | {len(missed)} clips, {np.mean(missed):.4f} missed | {total} false accepts in {hours:.2f} h |"
        )
        print(f"false accepts per hour: {total / hours:.2f}, 95 % {lower:.2f} to {upper:.2f}", flush=True)
        figures |= {f"wake_words{shown}_miss_rate": float(np.mean(missed)), f"false_accepts_per_hour{shown}": total / hours}
        figures |= {f"false_accepts_per_hour{shown}_upper": upper, "negative_hours": hours}
    return figures


def speed(model: Path, data: Path) -> dict[str, float]:
    """Time enrolling 10 commands from 5 examples, and one clip of 2 s, on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    manifest = read_manifest(f"{data}/fsdd/manifest.csv[speaker=jackson]")
    rows = [row for label in range(10) for row in [r for r, one in enumerate(manifest.columns["label"]) if one == str(label)][:5]]
    start, cpu = time.perf_counter(), time.process_time()
    enrolment = enrol(manifest.select(rows), model)
    figures = {"enrol_seconds": time.perf_counter() - start, "enrol_cpu_seconds": time.process_time() - cpu}
    recognizer = CommandRecognizer(enrolment)
    noise = np.random.default_rng(0).normal(0, 0.05, 2 * RATE).astype(np.float32)
    clips = [Utterance(str(number), Waveform(noise, RATE), end=2.0) for number in range(20)]
    recognizer.recognise(clips[:2])
    times, cpus = [], []
    for clip in clips:
        start, cpu = time.perf_counter(), time.process_time()
        recognizer.recognise([clip])
        times.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    torch.set_num_threads(threads)
    print(f"enrolled in {figures['enrol_seconds']:.1f} s, a clip recognised in {1000 * np.median(times):.0f} ms", flush=True)
    return figures | {"recognise_ms": 1000 * float(np.median(times)), "recognise_cpu_ms": 1000 * float(np.median(cpus))}


def zero_shot(ctc_model: Path, data: Path) -> dict[str, float]:
    """Run the command words of an4 by their text alone."""
    manifest = read_manifest(data / "an4/manifest.csv")
    rows = manifest.select([row for row, text in enumerate(manifest.columns["text"]) if text in COMMAND_WORDS])
    loaded = load_model(ctc_model)
    assert loaded.vocabulary is not None
    split, precision = for_inference(loaded)
    features = FeatureSource(split, loaded.frontend, None, precision).features(as_items(rows))
    scorer = PhraseScorer(loaded.vocabulary, COMMAND_WORDS, loaded.normaliser)
    heard = scorer.recognise(ctc_log_probs(split, features, precision))
    texts = rows.columns["text"]
    right = [one.phrase == text for one, text in zip(heard, texts, strict=True)]
    # Each word weighs the same: its clips count one over their number.
    weights = [1 / texts.count(text) / len(set(texts)) for text in texts]
    interval = bootstrap_interval(np.multiply(right, weights), weights, rows.columns["speaker"])
    balanced = float(np.dot(right, weights))
    print(
        f"| an4, zero-shot | {len(texts)} clips of {len(set(texts))} words | balanced accuracy {balanced:.3f}, 95 % {interval} |"
    )
    return {"zero_shot_balanced_accuracy": balanced, "zero_shot_accuracy": float(np.mean(right))}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--model", type=Path, help="default: whisper-tiny-en of the shared models")
    parser.add_argument("--ctc-model", type=Path, help="for the part `zero`, which is left out without it")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="two episodes, few queries, a part of the negatives")
    arguments = parser.parse_args()
    size, data = QUICK if arguments.quick else FULL, arguments.shared / "data"
    model = arguments.model or arguments.shared / "models/whisper-tiny-en"
    print("| protocol | shots | method | accuracy | episodes × queries |\n|---|---|---|---|---|", flush=True)
    figures: dict[str, float] = {}
    for part in arguments.part:
        if part == "speed":
            figures |= speed(model, data)
        elif part == "zero":
            figures |= zero_shot(arguments.ctc_model, data) if arguments.ctc_model else {}
        else:
            figures |= {"fsdd": fsdd, "arabic": arabic, "open": open_set}[part](model, data, size)
    figures = {name: round(figure, 4) for name, figure in figures.items()}  # a difference of two shares is not exact
    bars = {
        name: [figures[name], bar, figures[name] <= bar if upper else figures[name] >= bar]
        for name, (bar, upper) in BARS.items()
        if name in figures
    }
    print(json.dumps({"benchmark": "few_shot", "figures": figures, "bars": bars}))
    return 0 if all(met for *_, met in bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
