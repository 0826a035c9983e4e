"""Manifests: what each row means, which rows a selector takes, and every fault named with its line."""

import json
from pathlib import Path

import pytest

from speechxfer.data import parse_manifest, read_manifest
from speechxfer.errors import DataError


def found(spec) -> list[tuple[int | None, str]]:
    with pytest.raises(DataError) as caught:
        read_manifest(spec)
    return [(problem.line, problem.what) for problem in caught.value.problems]


def test_a_row_becomes_an_utterance(write):
    path = write("id,audio,start,end,channel,text,label,gender,speaker\na,x/y.wav,0.5,1.25,1,hello,0,f,s1\nb,z.wav,,,,,,,\n")
    first, second = read_manifest(path)
    assert (first.id, first.audio) == ("a", str(path.parent / "x/y.wav"))
    assert (first.start, first.end, first.channel, first.text, first.label) == (0.5, 1.25, 1, "hello", "0")
    assert dict(first.fields) == {"gender": "f", "speaker": "s1"}
    assert (second.start, second.end, second.channel, second.text, second.label) == (0.0, None, None, None, None)


def test_an_absolute_audio_path_stays(write):
    assert read_manifest(write("audio\n/far/away.wav\n"))[0].audio == str(Path("/far/away.wav"))


@pytest.mark.parametrize("name", ["audio", "path", "audio_filepath"])
def test_aliases_of_audio(write, name):
    manifest = read_manifest(write(f"{name},text\na.wav,hi\n"))
    assert manifest.columns["audio"] == ["a.wav"]


def test_an_alias_beside_audio_is_an_own_column(write):
    manifest = read_manifest(write("audio,path\na.wav,from/elsewhere\n"))
    assert manifest.columns["audio"] == ["a.wav"]
    assert dict(manifest[0].fields) == {"path": "from/elsewhere"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "audio,label\na.wav,0\n"),
        ("m.tsv", "audio\tlabel\na.wav\t0\n"),
        ("m.CSV", "\ufeffaudio, label\r\na.wav,0\r\n"),
        ("m.jsonl", '{"audio": "a.wav", "label": 0}\n'),
        ("m.jsonl", '\ufeff{"audio": "a.wav", "label": "0"}\n'),
    ],
)
def test_label_0_stays_0(write, name, text):
    manifest = read_manifest(write(text, name))
    assert manifest.columns["label"] == ["0"]
    assert manifest[0].label == "0"


def test_jsonl_values_become_text_and_columns_keep_their_order(write):
    rows = [{"audio": "a", "end": 1.5, "ok": True}, {"audio": "b", "slots": {"n": [1]}, "text": None, "é": "ș"}]
    manifest = read_manifest(write("\n".join(map(json.dumps, rows)), "m.jsonl"))
    assert {name: values for name, values in manifest.columns.items() if name != "id"} == {
        "audio": ["a", "b"],
        "end": ["1.5", ""],
        "ok": ["true", ""],
        "slots": ["", '{"n": [1]}'],
        "text": ["", ""],
        "é": ["", "ș"],
    }
    assert [name for name in manifest.columns if name != "id"] == ["audio", "end", "ok", "slots", "text", "é"]


def test_ids_are_made_where_they_are_missing(write):
    ids = read_manifest(write("audio\nx/a.wav\ny/a.wav\n")).columns["id"]
    assert ids == ["a:2", "a:3"]


def test_lines_count_newlines_in_quoted_fields(write):
    path = write('audio,text\na.wav,"one\ntwo\r\nthree"\nb.wav,x\n\nc.wav,"y\n"\n')
    manifest = read_manifest(path)
    assert list(manifest.lines) == [4, 5, 8]
    assert manifest.columns["text"][0] == "one\ntwo\r\nthree"
    assert str(manifest.problem(1, "bad")) == f"{path}:5: bad"


def test_selectors(write):
    path = write("audio,split,label\na,train,0\nb,dev,0\nc,train,1\nd,train,0\n")
    assert read_manifest(f"{path}[split=train]").columns["audio"] == ["a", "c", "d"]
    assert read_manifest(f"{path}[split=train, label=0]").columns["audio"] == ["a", "d"]
    assert list(read_manifest(f"{path}[split=train,label=0]").lines) == [2, 5]
    [(_, what)] = found(f"{path}[split=test]")
    assert "'test'" in what and "'dev'" in what and "'train'" in what
    assert found(f"{path}[splt=train]") == [(1, "no column `splt`; is it `split`?")]
    assert "[split]: expected [column=value" in found(f"{path}[split]")[0][1]


def test_a_path_with_brackets(write, tmp_path):
    (tmp_path / "d[split=x]").mkdir()
    path = write("audio,split\na,train\nb,dev\n", "d[split=x]/m[1].csv")
    assert len(read_manifest(path)) == 2
    assert read_manifest(f"{path}[split=dev]").columns["audio"] == ["b"]


def test_a_column_may_have_any_name(write):
    assert read_manifest(f"{write('audio,self,name' + chr(10) + 'a,x,y' + chr(10))}[self=x,name=y]").columns["audio"] == ["a"]


def test_selected_rows_keep_their_lines_and_problems(write):
    manifest = parse_manifest(write("audio,start\na,1\nb,x\nc,2\nd,y\n"))
    chosen = manifest.select([3, 0])
    assert chosen.columns["audio"] == ["d", "a"]
    assert list(chosen.lines) == [5, 2]
    assert [(problem.line, problem.row) for problem in chosen.problems] == [(5, 0)]


def test_rows_that_cannot_be_split_are_named_whatever_is_selected(write):
    manifest = parse_manifest(write("audio,split\na,train\nb\nc,dev\n"))
    for part in (manifest, manifest.where(split="dev"), manifest.select([0])):
        assert [problem.line for problem in part.problems] == [3]


def test_a_missing_column_names_the_nearest(write):
    assert found(write("adio,text\na,b\n")) == [(1, "no column `audio`; is it `adio`?")]
    assert found(write("x,y\na,b\n")) == [(1, "no column `audio`; found x, y")]


def test_all_row_problems_at_once(write):
    path = write(
        "audio,start,end,duration,channel\n"
        "a,0,1,1,0\n"  # good
        "a,-1,1,1,0\n"
        "a,0,soon,1,0\n"
        "a,0,1,nan,0\n"
        "a,0,1,inf,left\n"
        "a,2,1,1,0\n"
        "a,0,1\n"
        ",0,1,1,0\n"
        "a,0,1,1,-1\n"
        "a,0,1,1,1.0\n"
        "a,0,1,1,0,0\n"
    )
    problems = sorted(found(path))
    assert [line for line, _ in problems] == [3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12]
    assert all(word in dict(problems)[line] for line, word in {3: "start", 4: "end", 5: "duration", 7: "not after"}.items())
    assert "found 3 fields, expected 5" in dict(problems)[8]
    assert "found 6 fields, expected 5" in dict(problems)[12]


def test_an_end_of_zero_is_wrong_without_a_start_column_too(write):
    assert found(write("audio,end\na,0\nb,1\n")) == [(2, "end 0.0 is not after start 0.0")]


def test_a_channel_of_thousands_of_digits_is_wrong(write):
    manifest = parse_manifest(write(f"audio,channel\na,{'9' * 5000}\n"))
    assert [problem.line for problem in manifest.problems] == [2]
    assert manifest[0].channel is None


def test_jsonl_problems_name_their_lines(write):
    path = write('{"audio": "a"}\n\n{"audio": \n[1]\n{"audio": "b", "start": -1}\n', "m.jsonl")
    assert sorted(line for line, _ in found(path)) == [3, 4, 5]
    # Without any good row the faults of the rows are still told, not only that there is no column.
    assert {line for line, _ in found(write("{\n3\n", "m.jsonl"))} == {1, 2}


def test_a_broken_quote_does_not_hide_other_problems(write):
    assert [line for line, _ in found(write('audio,text\na\nb,"x"y\n'))] == [2, 3]


def test_lone_surrogates_are_refused(write):
    # They cannot be written as UTF-8: neither in a report nor as a file name.
    assert [line for line, _ in found(write('{"audio": "a"}\n{"audio": "a", "text": "\\ud800"}\n', "m.jsonl"))] == [2]
    assert [line for line, _ in found(write('{"audio": "a"}\n{"audio": "a", "\\ud800": "x"}\n', "m.jsonl"))] == [2]


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl"])
def test_bytes_that_are_not_utf8_name_the_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b'{"audio": "a"}\n' * 2 + b'{"audio": "caf\xe9"}\n')
    [(line, what)] = found(path)
    assert line == 3
    assert "not UTF-8 (byte 0xe9)" in what


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("m.csv", "audio,text,audio\na,b,c\n", "column named twice: audio"),
        ("m.csv", "audio,text\n", "no rows"),
        ("m.csv", "", "no rows"),
        ("m.jsonl", "\n\n", "no rows"),
        ("m.txt", "audio\na\n", "unknown kind '.txt'"),
    ],
)
def test_files_that_are_no_manifest(write, name, text, what):
    [(_, said)] = found(write(text, name))
    assert what in said


def test_a_missing_file_and_a_folder(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, what in (
        ("gone.csv", "cannot read the manifest"),
        ("folder.csv", "no audio with a transcript or in a class's folder"),
    ):
        with pytest.raises(DataError, match=f"{name}: {what}"):
            read_manifest(tmp_path / name)
