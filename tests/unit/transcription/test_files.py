"""What users name: files, directories, patterns; and where the transcripts go."""

from pathlib import Path, PurePath

import pytest

from speechxfer.errors import DataError
from speechxfer.transcription import find_recordings, refuse_same_places


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    for name in ("calls/b.wav", "calls/a.MP3", "calls/notes.txt", "calls/2026/may/c.ogg", "calls/x[1].wav", "other/a.flac"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(*names: str) -> list[str]:
    return [str(recording.place) for recording in find_recordings(names)]


def test_a_directory_is_its_recordings(tree):
    assert places("calls") == ["2026/may/c.ogg", "a.MP3", "b.wav", "x[1].wav"]


def test_patterns(tree):
    assert places("calls/*.wav") == ["b.wav", "x[1].wav"]
    assert places("calls/**/*.ogg") == ["2026/may/c.ogg"]
    assert places("*/a.*") == ["calls/a.MP3", "other/a.flac"]


def test_a_file_is_taken_whatever_its_name(tree):
    assert places("calls/notes.txt", "calls/x[1].wav") == ["notes.txt", "x[1].wav"]
    assert places("gone.wav") == ["gone.wav"]  # whoever opens it says that it is not there


def test_each_once_in_the_order_named(tree):
    assert places("calls/b.wav", "calls", "calls/*.wav") == ["b.wav", "2026/may/c.ogg", "a.MP3", "x[1].wav"]


def test_all_names_with_nothing_in_them_are_said(tree):
    (tree / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        find_recordings(["empty", "calls", "no/*.wav"])
    assert str(caught.value).splitlines()[1:] == [
        "empty: no audio or video file in this directory",
        "no/*.wav: no file matches this pattern",
    ]


def test_transcripts_mirror_the_tree(tree):
    found = ["out" / recording.transcript("srt") for recording in find_recordings(["calls"])]
    assert PurePath("out/2026/may/c.ogg.srt") in found and PurePath("out/b.wav.srt") in found


def test_a_manifest_is_what_it_lists(tree):
    (tree / "list.csv").write_text("audio,text,split\ncalls/b.wav,hello,a\ncalls/2026/may/c.ogg,,a\ncalls/a.MP3,no,b\n")
    found = find_recordings(["list.csv[split=a]"])
    assert [(str(one.place), one.text) for one in found] == [("calls/b.wav", "hello"), ("calls/2026/may/c.ogg", None)]
    (tree / "parts.csv").write_text("audio,start,end\ncalls/b.wav,1,2\ncalls/b.wav,,\n")
    with pytest.raises(DataError, match=r"parts\.csv:2: a part of a recording"):
        find_recordings(["parts.csv"])
    (tree / "sides.csv").write_text("audio,channel,text\ncalls/b.wav,0,hello\ncalls/b.wav,1,goodbye\n")
    with pytest.raises(DataError, match=r"sides\.csv:3: a part of a recording.*--channels"):
        find_recordings(["sides.csv"])
    with pytest.raises(DataError, match="cannot read the manifest"):
        find_recordings(["gone.csv"])


def test_two_recordings_do_not_write_to_the_same_place(tree):
    (tree / "other/b.wav").touch()
    with pytest.raises(DataError, match=r"other/b\.wav: its transcript would take the place of that of calls/b\.wav"):
        refuse_same_places(find_recordings(["calls", "other"]))
    refuse_same_places(find_recordings(["*/b.wav", "calls"]))


def test_recordings_are_found_in_somebody_elses_storage(memory):
    for name in ("calls/a/1.wav", "calls/a/2.ogg", "calls/b/1.WAV", "calls/notes.txt"):
        memory.pipe_file(f"/bucket/{name}", b"")
    found = find_recordings(["memory://bucket/calls", "memory://bucket/calls/a/*.wav"])
    assert [(one.path, str(one.transcript("json"))) for one in found] == [
        ("memory://bucket/calls/a/1.wav", "a/1.wav.json"),
        ("memory://bucket/calls/a/2.ogg", "a/2.ogg.json"),
        ("memory://bucket/calls/b/1.WAV", "b/1.WAV.json"),
    ]
    (one,) = find_recordings(["memory://bucket/calls/*/2.*"])
    assert str(one.place) == "a/2.ogg"
    assert find_recordings(["memory://bucket/gone.wav"])[0].path == "memory://bucket/gone.wav"
    with pytest.raises(DataError, match="2 problems"):
        find_recordings(["memory://bucket/nothing", "memory://bucket/calls/*.wav"])
