"""Hotwords without a language model: a term wins where the sound supports it, and nothing else changes."""

from itertools import product

import pytest
import torch

from speechxfer.data import Vocabulary
from speechxfer.decoding import Hotword, HotwordDecoder, greedy, read_hotwords
from speechxfer.decoding.ctc import from_path


@pytest.fixture
def decode(alphabet):
    """Return a function: log-probabilities and terms to a segment."""

    def run(log_probs: torch.Tensor, *terms: str, letter_bonus: float = 1.0, term_cost: float = 2.0):
        hotwords = read_hotwords(terms, alphabet)
        decoder = HotwordDecoder(alphabet, hotwords, letter_bonus=letter_bonus, term_cost=term_cost)
        return decoder(log_probs, 0.02)

    return run


def test_a_term_wins_where_it_is_the_next_best(heard, decode):
    log_probs = heard({"_cal_l fallt _now": 0.6, "_cal_l vault _now": 0.3})
    assert decode(log_probs, "zebra").text == "call falt now"
    segment = decode(log_probs, "vault")
    assert segment.text == "call vault now"
    assert [(word.start, word.end) for word in segment.words] == [(0.02, 0.12), (0.14, 0.24), (0.28, 0.34)]
    before = decode(log_probs, "zebra")
    assert (segment.words[0], segment.words[2]) == (before.words[0], before.words[2])
    assert segment.words[1].confidence < before.words[1].confidence
    assert (segment.start, segment.end) == (0.0, 0.34)


def test_a_term_loses_where_the_sound_speaks_against_it(heard, decode):
    log_probs = heard({"_cal_l fallt _now": 0.98, "_cal_l vault _now": 0.01})
    assert decode(log_probs, "vault").text == "call falt now"
    # What a term may lose is its bonus: here twice ln(0.98 / 0.01) = 9.2 nats, for five letters.
    assert decode(log_probs, "vault", letter_bonus=2.0, term_cost=1.0).text == "call falt now"
    assert decode(log_probs, "vault", letter_bonus=2.0, term_cost=0.5).text == "call vault now"
    assert decode(log_probs, "vault\t1.1", letter_bonus=2.0, term_cost=1.0).text == "call vault now"
    assert decode(log_probs, "vault\t0", letter_bonus=2.0, term_cost=0.5).text == "call falt now"


def test_short_terms_have_no_bonus(heard, decode):
    log_probs = heard({" in _": 0.55, " an _": 0.45})
    assert decode(log_probs, "an").text == "in"
    assert decode(log_probs, "an", term_cost=0.0).text == "an"
    assert decode(log_probs, "an\t2").text == "an"


def test_a_term_does_not_begin_or_end_inside_a_word(heard, decode):
    assert decode(heard({"_showting ": 0.6, "_shouting ": 0.4}), "outing").text == "showting"
    assert decode(heard({" vaultlike ": 0.6, " baultlike ": 0.4}), "vault").text == "vaultlike"


@pytest.mark.parametrize(("best", "other"), [("fault_", "vault_"), ("_fault", "_vault"), (" fault ", " vault ")])
def test_the_edges_are_boundaries(heard, decode, best, other):
    assert decode(heard({best: 0.6, other: 0.4}), "vault").text == "vault"


def test_a_term_of_two_words_and_its_written_form(heard, decode):
    log_probs = heard({"_a fault_flecks to": 0.6, "_a vault flex _ to": 0.4})
    segment = decode(log_probs, "vault flex => VaultFlex")
    assert segment.text == "a VaultFlex to"
    assert (segment.words[1].start, segment.words[1].end) == (0.06, 0.26)
    assert decode(log_probs, "vault flex").text == "a vault flex to"


def test_repeated_letters_need_a_blank_between(heard, decode):
    assert decode(heard({" bellow ": 0.6, " belbow ": 0.4}), "bellow").text == "below"
    assert decode(heard({" be_l_ow ": 0.5, " bel_low ": 0.4}), "bellow").text == "bellow"


def test_overlapping_terms_the_better_wins(heard, decode):
    log_probs = heard({" i fault flecks ": 0.6, " i vault flex _ ": 0.4})
    assert decode(log_probs, "vault", "flex", "vault flex").text == "i vault flex"
    # One term of eight letters pays the cost of a term once, two pay it twice.
    assert decode(log_probs, "vault => V", "flex => F", "vault flex => VF").text == "i VF"
    assert decode(heard({" i cault ": 0.4, " i vault ": 0.35, " i fault ": 0.2}), "fault", "vault").text == "i vault"


def test_two_terms_share_the_space_between_them(heard, decode):
    log_probs = heard({" fault fault ": 0.6, " vault vault ": 0.4})
    segment = decode(log_probs, "vault")
    assert segment.text == "vault vault"
    assert [(word.start, word.end) for word in segment.words] == [(0.02, 0.12), (0.14, 0.24)]


def test_a_term_that_was_heard_anyway_changes_nothing_but_how_it_is_written(heard, decode, alphabet):
    log_probs = heard({"__call_ _mm__e  now_": 0.9, "_____________________"[:20]: 0.05})
    assert decode(log_probs, "me") == greedy(log_probs, alphabet, 0.02)
    assert decode(log_probs, "cal => Cal").text == "cal me now".replace("cal", "Cal")


def test_no_frames_and_no_hotwords(heard, decode, alphabet):
    segment = decode(torch.zeros(0, len(alphabet)), "vault")
    assert (segment.text, segment.words, segment.end) == ("", (), 0.0)
    log_probs = heard({" fault ": 0.6, " vault ": 0.4})
    assert HotwordDecoder(alphabet, [])(log_probs, 0.02) == greedy(log_probs, alphabet, 0.02)


def test_without_a_space_terms_stand_between_blanks(heard):
    vocabulary = Vocabulary.from_texts(["abct"])
    log_probs = heard({"_bat_": 0.6, "_cat_": 0.4}, vocabulary)
    decoder = HotwordDecoder(vocabulary, [Hotword("cat", "cat")], letter_bonus=1.0, term_cost=0.0)
    assert decoder(log_probs, 0.02).text == "cat"


def test_log_probs_are_left_alone(heard, decode):
    log_probs = heard({" fault ": 0.6, " vault ": 0.4})
    copy = log_probs.clone()
    decode(log_probs, "vault")
    assert torch.equal(log_probs, copy)


def test_the_score_is_that_of_the_best_path():
    """Against all paths that spell the term, where the greedy path is one word, which the term must replace as a whole."""
    vocabulary = Vocabulary.from_texts(["ab "])
    generator = torch.Generator().manual_seed(3)
    paths = torch.tensor([*product(range(len(vocabulary)), repeat=6)])
    spells = torch.tensor([from_path(path, torch.zeros(6, 4), vocabulary, 0.02).text == "abb" for path in paths])
    checked = 0
    while checked < 20:
        log_probs = torch.randn(6, len(vocabulary), generator=generator).mul(2).log_softmax(dim=-1)
        words = greedy(log_probs, vocabulary, 0.02).text.split()
        if len(words) != 1 or words == ["abb"]:
            continue
        best = log_probs[range(6), paths[spells]].sum(dim=1).max()
        loss = (log_probs.max(dim=1).values.sum() - best).item()
        for bonus, expected in ((loss + 0.01, ["abb"]), (loss - 0.01, words)):
            decoder = HotwordDecoder(vocabulary, [Hotword("abb", "abb")], letter_bonus=bonus / 3, term_cost=0.0)
            assert decoder(log_probs, 0.02).text.split() == expected
        checked += 1
