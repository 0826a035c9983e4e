"""Lists of hotwords: what is read, what is refused, and how terms are written in the end."""

from pathlib import Path

import pytest

from speechxfer.data import Vocabulary
from speechxfer.decoding import Hotword, read_hotwords
from speechxfer.decoding.hotwords import write_forms
from speechxfer.errors import DataError
from speechxfer.transcript import Segment, Word


def test_a_file_of_terms(tmp_path, alphabet):
    path = tmp_path / "terms.txt"
    path.write_text(
        "\ufeff# products\n\nvault  flex => VaultFlex\t2.5\n  # more\nnine one one => 911\ntina's\t0\nrubout\n", encoding="utf-8"
    )
    expected = [
        Hotword("vault flex", "VaultFlex", 2.5),
        Hotword("nine one one", "911", 1.0),
        Hotword("tina's", "tina's", 0.0),
        Hotword("rubout", "rubout", 1.0),
    ]
    assert read_hotwords(path, alphabet) == expected
    assert read_hotwords(str(path), alphabet) == expected


def test_a_term_is_spelled_as_training_texts_are_and_written_as_given(alphabet):
    assert read_hotwords(["Vault-Flex", "O\u2019Hara => OHARA"], alphabet) == [
        Hotword("vault flex", "Vault-Flex"),
        Hotword("o'hara", "OHARA"),
    ]
    assert read_hotwords(["NASA"], Vocabulary.from_texts(["NAS"])) == [Hotword("NASA", "NASA")]


def test_all_that_is_wrong_is_said_at_once_with_its_line(alphabet):
    lines = ["fine", "911", "# 12", "café", "fine => Fine", " => Nothing", "nothing =>", "word\tmuch", "other\t-1", "!?"]
    with pytest.raises(DataError) as caught:
        read_hotwords(lines, alphabet)
    found = {problem.line: problem.what for problem in caught.value.problems}
    assert [*found] == [2, 4, 5, 6, 7, 8, 9, 10]
    assert "'1', '9'" in found[2] and "911" in found[2] and "=>" in found[2]
    assert "'é'" in found[4]
    assert "line 1" in found[5]
    assert "'much'" in found[8] and "'-1'" in found[9]
    assert "hotwords:2: " in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n", b"caf\xe9\n"])
def test_files_that_hold_nothing_to_listen_for(tmp_path: Path, alphabet, content):
    path = tmp_path / "terms.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"terms\.txt"):
        read_hotwords(path, alphabet)


def test_written_forms_take_the_longest_term_and_the_time_of_all_its_words():
    words = [Word("call", 0.0, 0.3, 0.9), Word("nine", 0.4, 0.6, 0.9), Word("one", 0.7, 0.8, 0.8), Word("one", 0.9, 1.1, 0.1)]
    words += [Word("one", 1.2, 1.3, 0.7)]
    segment = Segment("call nine one one one", 0.0, 2.0, 0.5, tuple(words), channel=1)
    hotwords = [Hotword("one", "1"), Hotword("nine one one", "911"), Hotword("nine one", "91"), Hotword("call", "call")]
    made = write_forms(segment, hotwords)
    assert made.text == "call 911 1"
    assert [(word.text, word.start, word.end) for word in made.words] == [("call", 0.0, 0.3), ("911", 0.4, 1.1), ("1", 1.2, 1.3)]
    assert made.words[1].confidence == pytest.approx((0.9 * 0.8 * 0.1) ** (1 / 3))
    assert (made.start, made.end, made.confidence, made.channel) == (0.0, 2.0, 0.5, 1)


def test_a_written_form_is_not_read_again():
    segment = Segment("one", 0.0, 1.0, 0.5, (Word("one", 0.0, 1.0, 0.5),))
    assert write_forms(segment, [Hotword("one", "two"), Hotword("two", "three")]).text == "two"
    assert write_forms(segment, []) == segment
