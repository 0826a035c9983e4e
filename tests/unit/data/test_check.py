"""Checking sets: everything wrong is said at once, skipping keeps the good rows, durations come from the headers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechxfer.data import check_sets, load_audio, parse_manifest, probe, read_manifest
from speechxfer.errors import AudioError, DataError

GOOD = [2, 12, 13]


@pytest.fixture
def bad_manifest(tmp_path, wav, write):
    """Write a manifest with ten kinds of faults, one per row, among three good rows."""
    wav("one.wav", 1.0)
    wav("two.wav", 0.5, frequencies=(300.0, 600.0), rate=8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF is all there is")
    (tmp_path / "empty").write_bytes(b"")
    soundfile.write(tmp_path / "nan.wav", np.array([0.1] * 8000 + [np.nan]), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "nothing.wav", np.zeros((0, 1), dtype=np.float32), 16_000)
    rows = [
        "a,one.wav,,,,yes,yes",  # line 2, good
        "b,gone.wav,,,,yes,yes",
        "c,broken.wav,,,,yes,yes",
        "d,nothing.wav,,,,yes,yes",
        "e,one.wav,,,, , ",
        "a,one.wav,,,,yes,yes",
        "g,one.wav,,,1,yes,yes",
        "h,one.wav,0.5,1.2,,yes,yes",
        "i,one.wav,1.0,,,yes,yes",
        "j,one.wav,x,,,yes,yes",
        "k,two.wav,0.125,0.25,1,no,no",  # line 12, good
        "l,one.wav,0.25,1.004,,no,no",  # line 13, good: its end is rounded up
        "m,one.wav",
        "n,empty,,,,yes,yes",
        "o,nan.wav,,,,yes,yes",
    ]
    return write("id,audio,start,end,channel,text,label\n" + "\n".join(rows) + "\n")


FAULTS = {
    3: "no such file",
    4: "can read it as audio",
    5: "zero length",
    6: "nothing to learn",
    7: "stands already on line 2",
    8: "channel 1",
    9: "lies outside",
    10: "lies outside",
    11: "start is 'x'",
    14: "found 2 fields",
    15: "can read it as audio",
    16: "nan.wav: holds samples that are not finite numbers",
}


@pytest.mark.parametrize("task", ["ctc", "classification"])
def test_all_problems_at_once(bad_manifest, task):
    with pytest.raises(DataError) as caught:
        check_sets({"train": parse_manifest(bad_manifest)}, task)
    problems = {problem.line: problem.what for problem in caught.value.problems}
    assert sorted(problem.line for problem in caught.value.problems) == sorted(FAULTS)
    for line, what in FAULTS.items():
        assert what in problems[line]
        assert f"{bad_manifest}:{line}: " in str(caught.value)


def test_skip_keeps_exactly_the_good_rows(bad_manifest):
    sets, problems = check_sets({"train": parse_manifest(bad_manifest)}, "ctc", "skip")
    assert list(sets["train"].lines) == GOOD
    assert [float(seconds) for seconds in sets["train"].columns["duration"]] == [1.0, 0.125, 0.75]
    assert sets["train"].problems == []
    assert {problem.line for problem in problems} == set(FAULTS)


def test_what_passes_the_check_can_be_loaded(bad_manifest):
    [kept] = check_sets({"train": parse_manifest(bad_manifest)}, "ctc", "skip")[0].values()
    for utterance, seconds in zip(kept, kept.columns["duration"], strict=True):
        assert len(load_audio(utterance, 16_000)) == round(float(seconds) * 16_000)


def test_durations_are_those_of_the_headers_not_those_written(wav, write):
    wav("a.wav", 0.75)
    manifest = read_manifest(write("audio,text,duration\na.wav,x,9\n"))
    assert check_sets({"set": manifest}, "ctc")[0]["set"].columns["duration"] == ["0.750000"]


def test_a_missing_column_does_not_hide_missing_audio(write):
    manifest = parse_manifest(write("id,audio,txt\na,gone.wav,x\n"))
    for on_bad_row in ("error", "skip"):  # no row is good without the column
        with pytest.raises(DataError) as caught:
            check_sets({"set": manifest}, "ctc", on_bad_row)
        assert [problem.line for problem in caught.value.problems] == [1, 2]
        assert "no column `text`; is it `txt`?" in str(caught.value)
        assert "no such file" in str(caught.value)


def test_problems_of_all_sets_at_once(write):
    sets = {name: parse_manifest(write("audio,text\ngone.wav,x\n", f"{name}.csv")) for name in ("train", "dev")}
    with pytest.raises(DataError) as caught:
        check_sets(sets, "ctc")
    assert [(Path(problem.file).name, problem.line) for problem in caught.value.problems] == [("train.csv", 2), ("dev.csv", 2)]


def test_parts_of_one_file_name_its_broken_rows_once(wav, write):
    wav("a.wav", 0.1)
    path = write("audio,text,split\na.wav,x,train\na.wav\na.wav,x,dev\n")
    sets = {name: parse_manifest(f"{path}[split={name}]") for name in ("train", "dev")}
    with pytest.raises(DataError) as caught:
        check_sets(sets, "ctc")
    assert [problem.line for problem in caught.value.problems] == [3]


def test_skipping_everything_is_an_error(write):
    with pytest.raises(DataError, match="no usable row is left in dev"):
        check_sets({"dev": parse_manifest(write("audio,text\ngone.wav,x\n"))}, "ctc", "skip")


def test_text_that_is_empty_after_the_normaliser(wav, write):
    wav("a.wav", 0.1)
    manifest = parse_manifest(write("audio,text\na.wav,?!\n"))
    assert len(check_sets({"set": manifest}, "ctc", normaliser="none")[0]["set"]) == 1
    with pytest.raises(DataError, match="nothing to learn"):
        check_sets({"set": manifest}, "ctc", normaliser="basic")


@pytest.mark.parametrize("name", ["speech.raw", "speech.txt", "speech.mp4"])
def test_a_file_that_is_no_audio_is_an_audio_error(tmp_path, name):
    shutil.copy(__file__, tmp_path / name)
    with pytest.raises(AudioError, match=name):
        probe(str(tmp_path / name))
