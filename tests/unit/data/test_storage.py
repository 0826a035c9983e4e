"""Files in memory and on the disk by one road: whole or not at all, and patient with what may be over in a moment."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from speechxfer.data import (
    Waveform,
    list_files,
    load_audio,
    probe,
    read_manifest,
    read_text,
    remove,
    stream_audio,
    write_whole,
)
from speechxfer.data import storage as storage_module
from speechxfer.errors import AudioError, DataError, StorageError


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_what_is_written_is_read_listed_and_removed(where, tmp_path, memory):
    root = str(tmp_path / "out") if where == "disk" else "memory://bucket/out"
    assert list_files(root) == []
    write_whole(f"{root}/a/1.txt", "ă1")
    write_whole(f"{root}/2.txt", "2")
    write_whole(f"{root}/2.txt", "two")
    assert list_files(root) == [f"{root}/2.txt", f"{root}/a/1.txt"]
    assert (read_text(f"{root}/a/1.txt"), read_text(f"{root}/2.txt")) == ("ă1", "two")
    remove(f"{root}/2.txt")
    assert list_files(root) == [f"{root}/a/1.txt"]
    with pytest.raises(StorageError, match=r"2\.txt: no such file"):
        read_text(f"{root}/2.txt")


def test_only_the_owner_reads_what_is_written(tmp_path):
    write_whole(str(tmp_path / "transcript.json"), "{}")
    assert (tmp_path / "transcript.json").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_leaves_what_was_there_and_nothing_beside_it(tmp_path, monkeypatch):
    write_whole(str(tmp_path / "report.json"), "whole")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"report\.json: No space left on device"):
        write_whole(str(tmp_path / "report.json"), "half")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.json", "whole")]


def test_a_recording_is_read_from_where_it_lies(memory, tmp_path):
    tone = np.sin(np.arange(30_000) / 20).astype(np.float32) / 2
    soundfile.write(tmp_path / "tone.flac", tone, 8_000)
    memory.pipe_file("/bucket/tone.flac", (tmp_path / "tone.flac").read_bytes())
    remote, local = (
        np.concatenate([*stream_audio(name, 16_000)]) for name in ("memory://bucket/tone.flac", tmp_path / "tone.flac")
    )
    assert np.array_equal(remote, local)
    with pytest.raises(AudioError, match=r"memory://bucket/gone\.wav: no such file"):
        [*stream_audio("memory://bucket/gone.wav", 16_000)]
    with pytest.raises(AudioError, match="nowhere://x"):
        [*stream_audio("nowhere://x/y.wav", 16_000)]


def test_a_manifest_is_read_from_where_it_lies(memory, tmp_path):
    tone = np.sin(np.arange(16_000) / 20).astype(np.float32) / 2
    soundfile.write(tmp_path / "tone.ogg", tone, 16_000)
    soundfile.write(tmp_path / "tone.m4a.wav", tone, 16_000)
    memory.pipe_file("/bucket/calls/a/tone.ogg", (tmp_path / "tone.ogg").read_bytes())
    rows = f"audio,start,end,text\na/tone.ogg,0.1,0.5,one\n{tmp_path / 'tone.m4a.wav'},,,two\nmemory://bucket/calls/a/tone.ogg,,,one\n"
    memory.pipe_file("/bucket/calls/list.csv", rows.encode())
    manifest = read_manifest("memory://bucket/calls/list.csv[text=one]")
    assert [utterance.audio for utterance in manifest] == ["memory://bucket/calls/a/tone.ogg"] * 2
    local = replace(manifest[0], audio=str(tmp_path / "tone.ogg"))
    assert np.array_equal(load_audio(manifest[0], 8_000), load_audio(local, 8_000))
    assert probe(manifest[0].audio) == probe(local.audio)
    assert read_manifest("memory://bucket/calls/list.csv")[1].audio == str(tmp_path / "tone.m4a.wav")
    manifest.write(tmp_path / "copy.csv")
    assert [utterance.audio for utterance in read_manifest(tmp_path / "copy.csv")] == [one.audio for one in manifest]
    with pytest.raises(DataError, match=r"memory://bucket/gone\.csv: cannot read the manifest: no such file"):
        read_manifest("memory://bucket/gone.csv")
    memory.pipe_file("/bucket/latin.csv", b"audio\na.wav\ncaf\xe9.wav\n")
    with pytest.raises(DataError, match=r"latin\.csv: cannot read the manifest: line 3 is not UTF-8 \(byte 0xe9\)"):
        read_manifest("memory://bucket/latin.csv")
    memory.pipe_file("/bucket/bad.csv", b"audio,start\nx.wav,soon\n")
    with pytest.raises(DataError, match=r"memory://bucket/bad\.csv:2"):
        read_manifest("memory://bucket/bad.csv")
    with pytest.raises(AudioError, match=r"memory://bucket/x\.wav: no such file"):
        probe("memory://bucket/x.wav")


def test_what_may_be_over_in_a_moment_is_tried_again(monkeypatch, memory):
    memory.pipe_file("/bucket/a.txt", b"a")
    monkeypatch.setattr(storage_module, "_FIRST_PAUSE_SECONDS", 0.001)
    failures = [OSError("503"), ConnectionResetError("cut")]
    read = type(memory).cat_file

    def flaky(self, *arguments, **options):
        if failures:
            raise failures.pop()
        return read(self, *arguments, **options)

    monkeypatch.setattr(type(memory), "cat_file", flaky)
    assert read_text("memory://bucket/a.txt") == "a"
    failures += [OSError("503")] * 9
    with pytest.raises(StorageError, match=r"memory://bucket/a\.txt: 503"):
        read_text("memory://bucket/a.txt")
    assert len(failures) == 4


def test_samples_in_memory_have_no_place():
    assert len(np.concatenate([*stream_audio(Waveform(np.zeros(10, np.float32), 16_000), 16_000)])) == 10
