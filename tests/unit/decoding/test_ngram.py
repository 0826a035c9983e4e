"""Language models: as the textbook has it, n-gram by n-gram; read by KenLM; sums to one, pruned or not."""

import math
import random
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

from speechxfer.decoding import BeamDecoder, build_language_model
from speechxfer.decoding import ngram_counts as counting
from speechxfer.decoding.arpa import read_unigrams
from speechxfer.errors import DataError

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


def sentences(size: int, seed: int = 0) -> list[str]:
    """Draw sentences in which a word depends on the one before; as in any text, half of all words are seen once or twice."""
    draw = random.Random(seed)
    found = []
    for _ in range(size):
        numbers = [draw.randrange(6)]
        while draw.random() < 0.85:
            follows = draw.random() < 0.7
            step = int(draw.paretovariate(1.0 if follows else 0.7))
            numbers.append((3 * numbers[-1] % 50 + step if follows else step) % 5000)
        found.append(" ".join(f"w{number}" for number in numbers))
    return found


class Textbook:
    """Modified Kneser-Ney smoothing by its definition: dictionaries and recursion (Chen and Goodman 1998)."""

    def __init__(self, texts: list[str], order: int, prune: tuple[int, ...]) -> None:
        self.order, self.raw = order, Counter()
        for text in texts:
            padded = [BEGIN, *text.split(), END]
            for length in range(1, order + 1):
                for start in range(len(padded) - length + 1):
                    self.raw[tuple(padded[start : start + length])] += 1
        self.vocabulary = {ngram[0] for ngram in self.raw if len(ngram) == 1} - {BEGIN} | {UNKNOWN}
        before = defaultdict(set)
        for ngram in self.raw:
            before[ngram[1:]].add(ngram[0])
        self.counts = {
            ngram: count if len(ngram) == order or ngram[0] == BEGIN else len(before[ngram])
            for ngram, count in self.raw.items()
            if ngram != (BEGIN,)
        }
        self.threshold = [*prune, *[prune[-1]] * order]
        self.discounts = {length: self.discounts_of(length) for length in range(1, order + 1)}
        self.following = defaultdict(list)
        for ngram in self.counts:
            self.following[ngram[:-1]].append(ngram)

    def discounts_of(self, length: int) -> list[float]:
        n = Counter(count for ngram, count in self.counts.items() if len(ngram) == length)
        y = n[1] / (n[1] + 2 * n[2])
        return [0.0, *(times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3))]

    def discount(self, ngram: tuple[str, ...]) -> float:
        return self.discounts[len(ngram)][min(self.counts[ngram], 3)]

    def is_kept(self, ngram: tuple[str, ...]) -> bool:
        return self.raw[ngram] > self.threshold[len(ngram) - 1]

    def probability(self, word: str, context: tuple[str, ...]) -> float:
        lower = self.probability(word, context[1:]) if context else 1 / len(self.vocabulary)
        following = self.following[context]
        if not following:
            return lower
        total = sum(self.counts[ngram] for ngram in following)
        spare = sum(self.discount(ngram) if self.is_kept(ngram) else self.counts[ngram] for ngram in following)
        ngram = (*context, word)
        own = self.counts[ngram] - self.discount(ngram) if ngram in self.counts and self.is_kept(ngram) else 0.0
        return (own + spare * lower) / total


class Read:
    """An ARPA file in KenLM, which the beam search uses."""

    def __init__(self, path, tmp_path) -> None:
        self.words = [*read_unigrams(path), UNKNOWN]
        listed = tmp_path / "words"
        listed.write_text("".join(f"{word}\n" for word in self.words), encoding="utf-8")
        self.dictionary = Dictionary(str(listed))
        self.model = KenLM(str(path), self.dictionary)

    def scores(self, text: str) -> list[float]:
        """Give the logarithm, base 10, of each word's probability, and of the end's."""
        state, found = self.model.start(False), []
        for word in text.split():
            state, score = self.model.score(state, self.dictionary.get_index(word if word in self.words else UNKNOWN))
            found.append(score)
        return [*found, self.model.finish(state)[1]]

    def total_after(self, text: str) -> float:
        """Sum the probabilities of all that can follow the beginning of a sentence."""
        state = self.model.start(False)
        for word in text.split():
            state, _ = self.model.score(state, self.dictionary.get_index(word))
        numbers = map(self.dictionary.get_index, self.words)
        return sum(10 ** self.model.score(state, number)[1] for number in numbers) + 10 ** self.model.finish(state)[1]


@pytest.mark.parametrize(("order", "prune"), [(2, (0,)), (3, (0,)), (4, (0,)), (3, (0, 0, 1)), (4, (0, 1, 2))])
def test_as_the_textbook_has_it(tmp_path, order, prune):
    texts, unseen = sentences(3000), sentences(200, seed=1)
    expected = Textbook(texts, order, prune)
    path = tmp_path / "x.arpa"
    assert all(build_language_model(iter(texts), path, order=order, prune=prune).estimated)
    model = Read(path, tmp_path)
    logs, others = [], []
    for text in [*unseen, "w1 never w2 w3", "never"]:
        words = [word if word in expected.vocabulary else UNKNOWN for word in text.split()]
        past = [BEGIN, *words, END]
        places = range(1, len(past))
        others += [math.log10(expected.probability(past[i], tuple(past[max(0, i - order + 1) : i]))) for i in places]
        logs += model.scores(text)
    np.testing.assert_allclose(logs, others, atol=2e-5)
    perplexity, other = (10 ** -np.mean(values) for values in (logs, others))
    assert perplexity == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("prune", [(0,), (0, 0, 2), (0, 3)])
def test_probabilities_sum_to_one(tmp_path, prune):
    path = tmp_path / "x.arpa"
    built = build_language_model(sentences(400), path, order=4, prune=prune)
    assert built.estimated[1:3] == (True, True)
    model = Read(path, tmp_path)
    for text in ("", "w1", "w3 w21 w28", "w7 w5 w49 w2", "w49 w49 w49"):
        assert model.total_after(text) == pytest.approx(1, abs=1e-4)


def test_pruned_models_are_smaller_and_every_context_and_suffix_is_there(tmp_path):
    texts = sentences(400)
    whole, pruned = (
        build_language_model(texts, tmp_path / name, order=4, prune=prune)
        for name, prune in (("whole.arpa", (0,)), ("pruned.arpa", (0, 1, 2)))
    )
    assert pruned.sizes[0] == whole.sizes[0]
    assert all(0 < fewer < more for fewer, more in zip(pruned.sizes[1:], whole.sizes[1:], strict=True))
    ngrams = set()
    for line in (tmp_path / "pruned.arpa").read_text().splitlines():
        fields = line.split("\t")
        ngrams.add(tuple(fields[1].split()) if len(fields) > 1 else ())
    assert [sum(len(ngram) == n for ngram in ngrams) for n in (1, 2, 3, 4)] == list(pruned.sizes)
    assert all(ngram[1:] in ngrams and ngram[:-1] in ngrams for ngram in ngrams if ngram)


def test_counting_in_pieces_changes_nothing(tmp_path, monkeypatch):
    texts = sentences(300)
    build_language_model(texts, tmp_path / "at-once.arpa", order=3)
    monkeypatch.setattr(counting, "_CHUNK", 50)
    build_language_model(texts, tmp_path / "pieces.arpa", order=3)
    assert (tmp_path / "pieces.arpa").read_bytes() == (tmp_path / "at-once.arpa").read_bytes()


def test_counts_are_those_of_the_text():
    found = counting.count_ngrams(["a b a b", "", "b <s> a"], 2)
    table = {tuple(found.words[i] for i in row): int(n) for row, n in zip(found.rows, found.counts, strict=True)}
    pairs = [*pairwise([BEGIN, "a", "b", "a", "b", END]), *pairwise([BEGIN, "b", "a", END])]
    assert table == Counter(pairs)
    assert (found.sentences, found.tokens) == (2, 6)


def test_the_beam_search_reads_it(tmp_path, heard, alphabet):
    path = tmp_path / "x.arpa"
    built = build_language_model(["you must go to must"] * 9 + ["a mist"], path, order=3)
    assert not any(built.estimated)  # too little text: the usual discounts
    log_probs = heard({"to mist  ": 0.55, "to must  ": 0.45})
    assert BeamDecoder(alphabet, path)(log_probs, 0.02).text == "to must"


def test_what_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="order is 1"):  # which KenLM does not read
        build_language_model(["a"], tmp_path / "x.arpa", order=1)
    with pytest.raises(DataError, match="no words"):
        build_language_model(["", " "], tmp_path / "x.arpa")
    for prune in ((1,), (0, 2, 1), ()):
        with pytest.raises(ValueError, match="begin with 0"):
            build_language_model(["a"], tmp_path / "x.arpa", prune=prune)
    assert not any(tmp_path.iterdir())
