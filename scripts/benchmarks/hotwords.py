"""Hotwords on Mandarin-accented English: words that the model was never trained on, listened for against plain greedy decoding.

    python scripts/benchmarks/hotwords.py --model runs/dialect --shared ../shared [--quick]

The 352 words of speechocean762's test set that its training set lacks are shuffled with a fixed seed and split into 17 lists
of 20 (12 are left over). Each list goes with 200 distractors: words of the training set that no test sentence holds. Counts are
pooled over the lists. Precision, recall and F1 are of the 20 terms, "put in right" of everything that listening added,
distractors as well; the WER is that of the sentences that hold no term of the list. `--set dev` is the same on dev, where the
parameters were chosen. A model with a decoder listens by a bias on its tokens or by its prompt (`--by`), normaliser `english`.
With a language model, its beam alone is a row too, and listening is done in the beam.
The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from speechxfer.data import Manifest, normalise, read_manifest
from speechxfer.decoding import ctc_log_probs, greedy, make_decoder, read_hotwords, write
from speechxfer.evaluation import TermCounts, as_items, term_counts, total, word_errors
from speechxfer.features import FeatureSource
from speechxfer.models import SpeechModel, for_inference, load_model

SEED = 0
TERMS, DISTRACTORS = 20, 200
RECALL_GAIN, PRECISION, WER_LOSS = 0.30, 0.90, 0.003
QUICK_SENTENCES, QUICK_LISTS = 100, 5


@dataclass
class Counts:
    """Everything that is pooled over the lists, for one way of decoding."""

    terms: TermCounts = field(default_factory=TermCounts)
    put_in: int = 0  # what greedy decoding did not have, distractors too
    put_in_right: int = 0
    errors: int = 0
    words: int = 0

    @property
    def wer(self) -> float:
        """Of the sentences without a term."""
        return self.errors / max(1, self.words)


def lists_of(texts: Sequence[str], training_texts: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """Give disjoint lists of terms, each with its distractors."""
    known = {word for text in training_texts for word in text.split()}
    said = {word for text in texts for word in text.split()}
    new, others = sorted(said - known), sorted(known - said)
    chance = random.Random(SEED)
    chance.shuffle(new)
    starts = range(0, len(new) - TERMS + 1, TERMS)
    return [(new[start : start + TERMS], chance.sample(others, DISTRACTORS)) for start in starts]


class CtcListener:
    """Runs a CTC model once, and decodes what it gave as often as asked."""

    def __init__(self, speech_model: SpeechModel, rows: Manifest, language_model: Path | None) -> None:
        assert speech_model.vocabulary is not None
        self._language_model = language_model
        split, precision = for_inference(speech_model, "cpu", "fp32")
        features = FeatureSource(split, speech_model.frontend, None, precision).features(as_items(rows))
        self._log_probs = ctc_log_probs(split, features, precision)
        self._vocabulary, self._frame_seconds = speech_model.vocabulary, split.frame_seconds

    def plain(self) -> list[str]:
        """Decode greedily."""
        return [greedy(one, self._vocabulary, self._frame_seconds).text for one in self._log_probs]

    def listening(self, lines: Sequence[str]) -> list[str]:
        """Decode with hotwords, and the language model if there is one."""
        decoder = make_decoder(self._vocabulary, lines, self._language_model)
        return [decoder(one, self._frame_seconds).text for one in self._log_probs]


class WritingListener:
    """Runs the encoder of a model with a decoder once, and lets it write as often as asked."""

    def __init__(self, speech_model: SpeechModel, rows: Manifest, by: str) -> None:
        assert speech_model.tokens is not None
        self._model, self._by = speech_model, by
        self._split, self._precision = for_inference(speech_model, "cpu", "fp32")
        self._features = FeatureSource(self._split, speech_model.frontend, None, self._precision).features(as_items(rows))

    def plain(self) -> list[str]:
        """Let it write as it would."""
        return self._write()

    def listening(self, lines: Sequence[str]) -> list[str]:
        """Let it write with hotwords, by a bias on its tokens or as its prompt."""
        if self._by == "prompt":
            return self._write(prompt=", ".join(reversed(lines)))  # of a long one the end is heeded
        return self._write(hotwords=read_hotwords(lines, None))

    def _write(self, **options: Any) -> list[str]:
        assert self._model.tokens is not None
        heard = write(self._split, self._features, self._model.tokens, self._precision, **options)
        return [normalise(segment.text, self._model.normaliser) for segment in heard]


def count(references: Sequence[str], heard: Sequence[str], before: Sequence[str], list_: tuple[list[str], list[str]]) -> Counts:
    """Count one list over all sentences."""
    terms, distractors = set(list_[0]), set(list_[1])
    counts = Counts(term_counts(references, heard, terms))
    for texts in zip(references, heard, before, strict=True):
        said, now, earlier = (Counter(text.split()) for text in texts)
        for word in terms | distractors:
            counts.put_in += max(0, now[word] - earlier[word])
            counts.put_in_right += max(0, min(said[word], now[word]) - min(said[word], earlier[word]))
    without = [row for row, reference in enumerate(references) if terms.isdisjoint(reference.split())]
    errors = total(word_errors([references[row] for row in without], [heard[row] for row in without]))
    counts.errors, counts.words = errors.errors, errors.reference_length
    return counts


def pooled(counts: Sequence[Counts]) -> Counts:
    """Sum over the lists."""
    numbers = (sum(getattr(one, name) for one in counts) for name in ("put_in", "put_in_right", "errors", "words"))
    return Counts(sum((one.terms for one in counts), TermCounts()), *numbers)


def main() -> int:
    """Decode each sentence greedily and with each list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--set", choices=("dev", "test"), default="test")
    parser.add_argument("--by", choices=("bias", "prompt"), default="bias", help="of a model with a decoder")
    parser.add_argument("--language-model", type=Path, help="an ARPA file for a CTC model: it alone, and hotwords in its beam")
    parser.add_argument("--lists", type=int, help="only so many")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SENTENCES} sentences, {QUICK_LISTS} lists")
    arguments = parser.parse_args()
    manifest = arguments.shared / "data/speechocean762/manifest.csv"
    texts = {name: read_manifest(f"{manifest}[split={name}]").columns["text"] for name in ("train", arguments.set)}
    lists = lists_of(texts[arguments.set], texts["train"])
    limit = QUICK_SENTENCES if arguments.quick else len(texts[arguments.set])
    rows = read_manifest(f"{manifest}[split={arguments.set}]")
    rows = rows.select(range(min(limit, len(rows))))
    speech_model, references = load_model(arguments.model), rows.columns["text"]
    if speech_model.tokens:
        speech_model = replace(speech_model, normaliser="english")
    listener: WritingListener | CtcListener
    if speech_model.tokens:
        listener = WritingListener(speech_model, rows, arguments.by)
    else:
        listener = CtcListener(speech_model, rows, arguments.language_model)
    before = listener.plain()
    by_language_model = listener.listening([]) if arguments.language_model else before
    plain, alone, listening, seconds = [], [], [], 0.0
    for one_list in lists[: QUICK_LISTS if arguments.quick else arguments.lists]:
        start = time.process_time()
        heard = listener.listening([*one_list[0], *one_list[1]])
        seconds += time.process_time() - start
        plain.append(count(references, before, before, one_list))
        alone.append(count(references, by_language_model, before, one_list))
        listening.append(count(references, heard, before, one_list))
    were, are = pooled(plain), pooled(listening)
    print("| | precision | recall | F1 | WER of sentences without a term |\n|---|---|---|---|---|")
    rows_of_table = [("greedy", were), ("listening", are)]
    if arguments.language_model:
        rows_of_table.insert(1, ("language model alone", pooled(alone)))
    for name, counts in rows_of_table:
        terms = counts.terms
        rates = (terms.precision or 0.0, terms.recall or 0.0, terms.f1 or 0.0)
        print(f"| {name} | {' | '.join(f'{rate:.3f}' for rate in rates)} | {counts.wer:.4f} |")
    print(
        f"{len(plain)} lists; {are.terms.hits + are.terms.missed} times a term was said; {were.terms} -> {are.terms}", flush=True
    )
    audio = len(plain) * sum(item.seconds for item in as_items(rows))
    figures = {
        "recall": are.terms.recall or 0.0,
        "precision": are.terms.precision or 0.0,
        "f1": are.terms.f1 or 0.0,
        "greedy_recall": were.terms.recall or 0.0,
        "greedy_precision": were.terms.precision or 0.0,
        "greedy_f1": were.terms.f1 or 0.0,
        "put_in_right": are.put_in_right / max(1, are.put_in),
        "wer": are.wer,
        "greedy_wer": were.wer,
        "ms_per_10_seconds": 10_000 * seconds / audio,
    }
    gain, loss = figures["recall"] - figures["greedy_recall"], are.wer - were.wer
    bars = {
        "recall_gain": [round(gain, 4), RECALL_GAIN, gain >= RECALL_GAIN],
        "precision": [round(figures["precision"], 4), PRECISION, figures["precision"] >= PRECISION],
        "wer_loss": [round(loss, 4), WER_LOSS, loss <= WER_LOSS],
    }
    print(json.dumps({"benchmark": "hotwords", "figures": {name: round(x, 4) for name, x in figures.items()}, "bars": bars}))
    return 0 if all(met for *_, met in bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
