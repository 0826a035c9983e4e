"""Manifests as others lay them out: read as they are, converted between each other, and split with no speaker in two sets."""

import json
from pathlib import Path

import pytest

from speechxfer.data import read_manifest, write_manifest
from speechxfer.errors import DataError

NAMES = ("u1", "u2", "u3", "u4")


@pytest.fixture
def audio(wav):
    """Write four recordings of three seconds and give them by name."""
    return {name: wav(f"{name}.wav", 3.0) for name in NAMES}


def put(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def seen(manifest):
    return [(u.id, Path(u.audio).name, u.start, u.end, u.text) for u in manifest]


def test_nemo(audio, tmp_path):
    rows = [
        {"audio_filepath": "u1.wav", "offset": 0.5, "duration": 1.25, "text": "ja"},
        {"audio_filepath": "u2.wav", "duration": 3.0},
    ]
    read = read_manifest(put(tmp_path / "train.json", *map(json.dumps, rows)))
    assert [(Path(u.audio).name, u.start, u.end, u.text) for u in read] == [
        ("u1.wav", 0.5, 1.75, "ja"),
        ("u2.wav", 0.0, 3.0, None),
    ]


@pytest.fixture
def kaldi(audio, tmp_path):
    put(tmp_path / "k/wav.scp", *(f"rec-{name} {path}" for name, path in audio.items()))
    put(tmp_path / "k/text", "a-1 guten tag", "b-1 und  tschüss")
    put(tmp_path / "k/utt2spk", "a-1 a", "b-1 b")
    put(tmp_path / "k/spk2gender", "a f", "b m")
    return tmp_path / "k"


def test_kaldi_with_and_without_segments(kaldi):
    put(kaldi / "segments", "a-1 rec-u1 0.50 1.00", "b-1 rec-u2 1.00 2.50")
    read = read_manifest(kaldi)
    assert seen(read) == [("a-1", "u1.wav", 0.5, 1.0, "guten tag"), ("b-1", "u2.wav", 1.0, 2.5, "und  tschüss")]
    assert read.columns["speaker"] == ["a", "b"] and read.columns["gender"] == ["f", "m"]
    assert all(Path(u.audio).is_file() for u in read)
    (kaldi / "segments").unlink()
    assert [u.id for u in read_manifest(kaldi)] == [f"rec-{name}" for name in NAMES]


def test_commands_and_unknown_recordings_of_kaldi_are_named_and_never_run(kaldi, tmp_path):
    put(kaldi / "wav.scp", f"rec-u1 touch {tmp_path / 'ran'} |", "rec-u1 twice.wav")
    put(kaldi / "segments", "a-1 rec-u9 0 1")
    with pytest.raises(DataError) as caught:
        read_manifest(kaldi)
    said = str(caught.value)
    assert "wav.scp:2: rec-u1 stands on line 1 already" in said and "segments:1: a-1: no recording 'rec-u9'" in said
    put(kaldi / "wav.scp", f"rec-u9 touch {tmp_path / 'ran'} |")
    with pytest.raises(DataError, match=r"wav\.scp:1: rec-u9 is a command, which is not run"):
        read_manifest(kaldi)
    assert not (tmp_path / "ran").exists()


def test_librispeech(audio, tmp_path):
    chapter = tmp_path / "LibriSpeech/dev-clean/84/121"
    put(chapter / "84-121.trans.txt", "84-121-0000 GO ON", "84-121-0001 STAY")
    for number, path in enumerate((audio["u1"], audio["u2"])):
        place(path, chapter / f"84-121-000{number}.wav")
    read = read_manifest(tmp_path / "LibriSpeech")
    assert [(u.id, u.text) for u in read] == [("84-121-0000", "GO ON"), ("84-121-0001", "STAY")]
    assert read.columns["speaker"] == ["84"] * 2 and read.columns["subset"] == ["dev-clean"] * 2
    assert all(Path(u.audio).is_file() for u in read)


def test_common_voice(audio, tmp_path):
    header = "client_id\tpath\tsentence\tage\tgender\tlocale"
    put(tmp_path / "cv/train.tsv", header, 'x\tu1.wav\tSie sagte: "ja\ttwenties\tfemale\tde')
    put(tmp_path / "cv/test.tsv", header, "y\tu2.wav\tNein\t\t\tde")
    for name in ("u1", "u2"):
        place(audio[name], tmp_path / f"cv/clips/{name}.wav")
    read = read_manifest(tmp_path / "cv")
    assert seen(read) == [("u1", "u1.wav", 0.0, None, 'Sie sagte: "ja'), ("u2", "u2.wav", 0.0, None, "Nein")]
    assert read.columns["split"] == ["train", "test"] and read.columns["speaker"] == ["x", "y"]
    assert len(read_manifest(f"{tmp_path / 'cv'}[split=test]")) == 1


def test_a_folder_for_each_class(audio, tmp_path):
    for name, label in zip(NAMES, ("yes", "no", "yes", "_background_noise_"), strict=True):
        place(audio[name], tmp_path / f"classes/{label}/{name}.wav")
    put(tmp_path / "classes/LICENSE", "free")
    read = read_manifest(tmp_path / "classes")
    assert [(u.id, u.label) for u in read] == [("no/u2", "no"), ("yes/u1", "yes"), ("yes/u3", "yes")]


def test_stm_and_ctm(audio, tmp_path):
    stm = put(
        tmp_path / "r.stm",
        ";; comment",
        "u1 1 anna 0.50 1.00 <o,f0> guten tag",
        "u2 A ben 0 2",
        "u2 A x 2 3 ignore_time_segment_in_scoring",
    )
    read = read_manifest(stm)
    assert [row[1:] for row in seen(read)] == [("u1.wav", 0.5, 1.0, "guten tag"), ("u2.wav", 0.0, 2.0, None)]
    assert read.columns["speaker"] == ["anna", "ben"] and read.columns["channel"] == ["0", "0"]
    words = ("u1 1 0.50 0.20 guten 0.9", "u1 1 0.80 0.30 tag", "u1 1 2.20 0.30 ja", "u2 1 0.10 0.30 nein")
    read = read_manifest(put(tmp_path / "r.ctm", *words))
    expected = [("u1.wav", 0.5, 1.1, "guten tag"), ("u1.wav", 2.2, 2.5, "ja"), ("u2.wav", 0.1, 0.4, "nein")]
    assert [row[1:] for row in seen(read)] == expected
    with pytest.raises(DataError, match=r"bad\.stm:2: expected: file channel"):
        read_manifest(put(tmp_path / "bad.stm", "u1 1 a 0 1 x", "u1 1"))


@pytest.fixture
def table(audio, tmp_path):
    rows = (
        "anna,u1.wav,0.5,1.25,guten tag",
        "anna,u1.wav,1.5,2.5,ja",
        "ben,u2.wav,,,nein",
        "cleo,u3.wav,1,,tschüss",
        "dan,u4.wav,,,ok",
    )
    return put(tmp_path / "m.csv", "id,speaker,audio,start,end,text", *(f"x{number},{row}" for number, row in enumerate(rows)))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("csv", "o.csv"), ("tsv", "o.tsv"), ("jsonl", "o.jsonl"), ("nemo", "o.json"), ("kaldi", "o"), ("stm", "o.stm")],
)
def test_what_is_converted_reads_back(speechxfer, table, tmp_path, kind, name):
    out = tmp_path / name
    for _ in range(2):  # over what is there already
        code, said, err = speechxfer("manifest", table, out, "--to", kind)
        assert code == 0, err
    assert "5 utterances" in said and not [*tmp_path.glob(".*.part")]
    back = read_manifest(out)
    given = {(Path(u.audio).name, u.start, u.end or 3.0, u.text, u.fields["speaker"]) for u in read_manifest(table)}
    assert {(Path(u.audio).name, u.start, u.end or 3.0, u.text, u.fields["speaker"]) for u in back} == given
    assert all(Path(u.audio).is_file() for u in back)


def test_what_a_form_has_no_place_for_is_refused(table, tmp_path, memory):
    rows = "audio,duration,channel,label,text\nmemory://bucket/a.wav,1,0,,x\nmemory://bucket/b.wav,1,,,y\n"
    sides, named = put(tmp_path / "sides.csv", rows), put(tmp_path / "named.csv", rows.replace(",0,,x", ",,go,x"))
    refused = [("kaldi", sides, "channels"), ("nemo", sides, "channels"), ("kaldi", named, "labels"), ("stm", named, "labels")]
    for kind, source, what in refused:
        with pytest.raises(DataError, match=f"no place for {what}"):
            write_manifest(read_manifest(source), tmp_path / "o", kind)
    write_manifest(read_manifest(sides), tmp_path / "o.csv", "csv")
    back = [utterance.audio for utterance in read_manifest(tmp_path / "o.csv")]
    assert back == ["memory://bucket/a.wav", "memory://bucket/b.wav"]


def test_no_speaker_is_in_two_sets(speechxfer, table, tmp_path):
    code, _, _ = speechxfer("manifest", table, tmp_path / "o.csv", "--split-by", "speaker", "--dev", "0.2", "--test", "0.2")
    read = read_manifest(tmp_path / "o.csv")
    of_set = {name: set(read.where(split=name).columns["speaker"]) for name in ("train", "dev", "test")}
    assert code == 0 and all(of_set.values()) and sum(map(len, of_set.values())) == 4
    header, *lines = table.read_text().splitlines()
    shuffled = put(tmp_path / "s.csv", header, *reversed(lines))
    speechxfer("manifest", shuffled, tmp_path / "p.csv", "--split-by", "speaker", "--dev", "0.2", "--test", "0.2")
    again = read_manifest(tmp_path / "p.csv")
    assert {name: set(again.where(split=name).columns["speaker"]) for name in of_set} == of_set
    code, _, err = speechxfer("manifest", table, tmp_path / "q.csv", "--split-by", "spkr")
    assert code == 2 and "is it `speaker`?" in err
    code, _, err = speechxfer("manifest", table, tmp_path / "q.csv", "--split-by", "speaker", "--dev", "0.9")
    assert code == 2 and "leave nothing to train on" in err


def test_a_folder_of_something_else_is_left_alone(speechxfer, table, tmp_path):
    put(tmp_path / "mine/thesis.txt", "years of work")
    for kind in ("kaldi", "csv"):
        code, _, err = speechxfer("manifest", table, tmp_path / "mine", "--to", kind)
        assert code == 2 and "holds thesis.txt; it is left alone" in err
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work\n"


def test_bad_rows_are_named_or_left_out(speechxfer, table, tmp_path):
    with table.open("a") as file:
        file.write("x9,eve,gone.wav,,,weg\n")
    code, _, err = speechxfer("manifest", table, tmp_path / "o.csv")
    assert code == 2 and "m.csv:7" in err and "gone.wav" in err and not (tmp_path / "o.csv").exists()
    code, said, _ = speechxfer("manifest", table, tmp_path / "o.csv", "--skip-bad-rows")
    assert code == 1 and "1 bad rows left out" in said and len(read_manifest(tmp_path / "o.csv")) == 5
    code, _, err = speechxfer("manifest", table, tmp_path / "o.xyz", "--skip-bad-rows")
    assert code == 2 and "unknown kind 'xyz'" in err
