"""Text in files, zipped and in manifests: read line by line, with everything unreadable named at once."""

import gzip

import pytest

from speechxfer.data import read_sentences
from speechxfer.errors import DataError


def test_files_zipped_files_and_manifests(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffHello, World!\n\nIt's five.\n", encoding="utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress("Ünder\n".encode()))
    (tmp_path / "m.csv").write_text("audio,text,split\nx.wav,One TWO,train\ny.wav,three,test\n", encoding="utf-8")
    sources = [str(tmp_path / name) for name in ("a.txt", "b.txt.gz", "m.csv[split=train]")]
    assert [*read_sentences(sources, "basic")] == ["hello world", "", "it's five", "ünder", "one two"]
    assert next(read_sentences(sources[1:], "none")) == "Ünder"


def test_all_that_cannot_be_read_is_named_before_anything_is(tmp_path):
    (tmp_path / "no-text.csv").write_text("audio,txt\nx.wav,One\n", encoding="utf-8")
    (tmp_path / "b.gz").write_bytes(b"not zipped")
    sources = [str(tmp_path / name) for name in ("missing.txt", "no-text.csv", "b.gz", "missing.csv")]
    with pytest.raises(DataError) as caught:
        read_sentences(sources, "basic")
    said = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "missing.txt: cannot read the text" in said and "is it `txt`?" in said and "b.gz: cannot read" in said


def test_a_line_that_is_not_utf8(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("one\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt:2: not UTF-8 \(byte 0xe9\)"):
        list(read_sentences([str(path)], "basic"))
