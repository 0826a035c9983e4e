"""Beam search: as greedy where nothing is in doubt; a language model and hotwords decide where something is."""

import sys

import pytest
import torch
import torchaudio

from speechxfer.data import Vocabulary
from speechxfer.decoding import BeamDecoder, greedy, read_hotwords
from speechxfer.errors import DataError, ModelError

ARPA = """
\\data\\
ngram 1=8
ngram 2=2

\\1-grams:
-1.0\t<s>\t-0.3
-1.0\t</s>
-2.0\t<unk>
-1.0\tto\t-0.3
-1.5\tmust\t-0.3
-1.5\tmist\t-0.3
-2.5\tflex\t-0.3
-3.0\tnaïve

\\2-grams:
-0.2\tto must
-3.0\tto mist

\\end\\
"""


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "words.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", ["_hheel_lloo  wwor_ld_", "he_l_lo", " _ he _ lo  ", "_____", "a"])
def test_without_a_language_model_as_greedy(heard, alphabet, path):
    log_probs = heard({path: 0.95})
    segment, expected = BeamDecoder(alphabet)(log_probs, 0.02), greedy(log_probs, alphabet, 0.02)
    assert segment.text == expected.text
    assert [(word.start, word.end) for word in segment.words] == [(word.start, word.end) for word in expected.words]
    assert [word.confidence for word in segment.words] == pytest.approx([word.confidence for word in expected.words])


def test_paths_of_one_text_are_summed(heard, alphabet):
    """The best path is empty; but more paths say `a`."""
    log_probs = heard({"__": 0.6, "aa": 0.4})
    assert greedy(log_probs, alphabet, 0.02).text == ""
    assert BeamDecoder(alphabet)(log_probs, 0.02).text == "a"


def test_the_language_model_decides(heard, alphabet, arpa):
    log_probs = heard({"to mist  ": 0.55, "to must  ": 0.45})
    assert BeamDecoder(alphabet)(log_probs, 0.02).text == "to mist"
    assert BeamDecoder(alphabet, arpa)(log_probs, 0.02).text == "to must"
    assert BeamDecoder(alphabet, arpa, lm_weight=0.0)(log_probs, 0.02).text == "to mist"


def test_only_words_of_the_language_model_are_heard(heard, alphabet, arpa):
    segment = BeamDecoder(alphabet, arpa)(heard({"_to mfst ": 0.9}), 0.02)
    assert segment.text == "to must"
    assert [(word.start, word.end) for word in segment.words] == [(0.02, 0.06), (0.08, 0.16)]


def test_the_last_word_needs_no_space_after_it(heard, alphabet, arpa):
    assert BeamDecoder(alphabet, arpa)(heard({"to_must": 0.5, "to must": 0.45}), 0.02).text == "to must"


def test_hotwords_are_words_too_and_a_weight_makes_them_likely(heard, alphabet, arpa):
    log_probs = heard({"_to vault flex_": 0.9})
    assert "vault" not in BeamDecoder(alphabet, arpa)(log_probs, 0.02).text
    hotwords = read_hotwords(["vault flex => VaultFlex"], alphabet)
    segment = BeamDecoder(alphabet, arpa, hotwords)(log_probs, 0.02)
    assert segment.text == "to VaultFlex"
    assert (segment.words[1].start, segment.words[1].end) == (0.08, 0.28)
    either = heard({" to mist ": 0.55, " to must ": 0.45})
    assert BeamDecoder(alphabet, arpa, hotwords)(either, 0.02).text == "to must"
    assert BeamDecoder(alphabet, arpa, read_hotwords(["mist"], alphabet))(either, 0.02).text == "to must"
    assert BeamDecoder(alphabet, arpa, read_hotwords(["mist\t6"], alphabet))(either, 0.02).text == "to mist"


def test_no_frames(heard, alphabet, arpa):
    for decoder in (BeamDecoder(alphabet), BeamDecoder(alphabet, arpa)):
        segment = decoder(heard({"a": 0.9})[:0], 0.02)
        assert (segment.text, segment.words, segment.end) == ("", (), 0.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello\n", "no unigrams"),
        ("\\data\\\n\\1-grams:\nhello -1.0\n\\end\\\n", "arpa:3: 'hello -1.0'"),
        ("\\data\\\n\\1-grams:\n-1.0\tNAÏVE\n\\end\\\n", "spell none"),
        (None, "cannot read"),
    ],
)
def test_files_that_are_no_language_model(tmp_path, alphabet, content, message):
    path = tmp_path / "x.arpa"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.arpa") as caught:
        BeamDecoder(alphabet, path)
    assert message in str(caught.value)


def test_what_a_beam_needs(monkeypatch, alphabet):
    with pytest.raises(ModelError, match="space"):
        BeamDecoder(Vocabulary.from_texts(["abc"]))
    with pytest.raises(ValueError, match="HotwordDecoder"):
        BeamDecoder(alphabet, None, read_hotwords(["vault"], alphabet))
    # As torchaudio finds it without Flashlight.
    monkeypatch.setitem(sys.modules, "torchaudio.models.decoder._ctc_decoder", None)
    for name in ("_ctc_decoder", "ctc_decoder"):
        monkeypatch.delattr(torchaudio.models.decoder, name, raising=False)
    with pytest.raises(ModelError, match=r"pip install 'speechxfer\[lm\]'"):
        BeamDecoder(alphabet)


def test_pieces_of_words_are_searched_as_letters_are(tmp_path):
    """A language model decides between words in pieces; frames, and so times, are those of the pieces."""
    pieces = Vocabulary((" ", *"imostu", "to", "st"), (("t", "o"), ("s", "t")))
    to, must, mist, space = (pieces.encode(text) for text in ("to", "must", "mist", " "))
    assert (len(to), len(must), len(mist)) == (1, 3, 3)

    def frames(word):
        return [number for number in word for _ in range(2)]

    def probabilities(path):
        return torch.nn.functional.one_hot(torch.tensor([0, *frames(to), *space, *frames(path), *space]), len(pieces)).float()

    log_probs = (0.54 * probabilities(mist) + 0.45 * probabilities(must) + 0.01 / len(pieces)).log()
    path = tmp_path / "words.arpa"
    path.write_text(ARPA, encoding="utf-8")
    heard = greedy(log_probs, pieces, 0.02)
    assert heard.text == "to mist"
    assert [(word.text, word.start, word.end) for word in heard.words] == [
        ("to", 0.02, 0.06),
        ("mist", 0.08, round(0.08 + 0.04 * len(mist), 2)),
    ]
    assert BeamDecoder(pieces)(log_probs, 0.02).words == heard.words
    searched = BeamDecoder(pieces, path)(log_probs, 0.02)
    assert searched.text == "to must"
    assert [(word.start, word.end) for word in searched.words] == [(word.start, word.end) for word in heard.words]
    hotword = read_hotwords(["mist\t9"], pieces)
    assert BeamDecoder(pieces, path, hotword)(log_probs, 0.02).text == "to mist"
