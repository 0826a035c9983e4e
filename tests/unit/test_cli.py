"""The command line: exit codes, what goes to stdout and what to stderr, and never a traceback for a user's mistake."""

import csv
import io
import json
from pathlib import Path

import pytest
import soundfile

import speechxfer as package


@pytest.fixture
def recipe(tmp_path, small_whisper, tones):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"task: classification\nmodel: {{path: {small_whisper}}}\ndata: {{train: {tones}}}\n"
        "training: {epochs: 2, batch_seconds: 4, head_learning_rate: 1e-2}\n"
    )
    return path


def test_a_run_is_scored_and_heard(speechxfer, recipe, tones, tmp_path):
    out = tmp_path / "run"
    code, printed, log = speechxfer("finetune", recipe, "--out", out)
    assert code == 0
    assert str(out / "report.html") in printed and "ACCURACY" in printed
    assert (out / "report.html").is_file() and (out / "model/README.md").is_file()
    assert "epoch 2/2" in log and "encoder.layers.2" in log
    code, printed, _ = speechxfer("evaluate", out, f"{tones}[split=test]", "--json")
    scores = json.loads(printed)["sets"]["test"]
    # The same road gives the same figures, whoever asks.
    assert (code, scores) == (0, json.loads((out / "report.json").read_text())["sets"]["test"])
    code, printed, _ = speechxfer("transcribe", tones.parent / "0.wav", "--model", out)
    assert (code, printed.strip() in {"a", "b"}) == (0, True)
    code, printed, _ = speechxfer("info", out)
    assert code == 0 and "labels: a, b" in printed


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A tree with two copies of a recorded call's beginning, a file that is no audio, and a note."""
    samples, rate = soundfile.read(Path(package.__file__).parent / "assets" / "demo" / "call.flac", stop=8 * 8000)
    for name in ("calls/a.wav", "calls/may/b.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, samples, rate)
    (tmp_path / "calls/bad.wav").write_text("no audio")
    (tmp_path / "calls/note.txt").write_text("not a recording")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_are_printed_as_they_are_and_a_language_that_no_model_heeds_is_refused(speechxfer, calls):
    (calls / "m.csv").write_text("audio,text,split\ncalls/a.wav,thank you for calling,test\n")
    code, printed, _ = speechxfer("evaluate", "tiny", "m.csv[split=test]", "--precision", "fp32")
    assert code == 0 and "m.csv[split=test]" in printed
    code, _, log = speechxfer("evaluate", "tiny", "m.csv", "--language", "de")
    assert code == 2 and "language 'de': this model knows the one of its training texts" in log


def test_a_text_is_aligned_or_it_is_said_what_cannot_be_written(speechxfer, calls):
    (calls / "said.txt").write_text("thank you for calling\n")
    words = ("align", "calls/a.wav", "said.txt", "--model", "tiny", "--channel", "0", "--format", "srt", "--precision", "fp32")
    code, printed, _ = speechxfer(*words)
    assert code == 0 and printed.startswith("1\n00:00:0") and "thank you for" in printed and "calling" in printed
    assert speechxfer(*words, "--out", "a.srt")[0] == 0 and (calls / "a.srt").read_text() == printed
    code, _, log = speechxfer(*words[:5], "--channel", "-1")
    assert code == 2 and "--channel" in log and "Traceback" not in log
    code, _, log = speechxfer(*words, "--out", "calls/note.txt/a.srt")
    assert code == 3 and "calls/note.txt/a.srt: " in log and "Traceback" not in log


def test_a_directory_is_transcribed_and_gone_on_with(speechxfer, calls):
    words = ("transcribe", "calls", "--model", "tiny", "--channels", "split", "--roles", "agent, customer")
    words += ("--format", "json", "--out", "texts", "--precision", "fp32")
    code, printed, log = speechxfer(*words)
    written = sorted(str(path.relative_to(calls / "texts")) for path in (calls / "texts").rglob("*") if path.is_file())
    assert (code, printed, written) == (1, "", ["a.wav.json", "may/b.flac.json"])
    assert "calls/bad.wav: neither libsndfile nor FFmpeg" in log and "1 of 3 recordings" in log and "Traceback" not in log
    one, other = (json.loads((calls / "texts" / name).read_text()) for name in written)
    assert one["segments"] == other["segments"] and {segment["role"] for segment in one["segments"]} == {"agent", "customer"}
    (calls / "texts/a.wav.json").write_text("left alone")
    (calls / "texts/may/b.flac.json").unlink()
    (calls / "calls/bad.wav").unlink()
    assert speechxfer(*words, "--skip-existing")[0] == 0
    assert (calls / "texts/a.wav.json").read_text() == "left alone"
    assert json.loads((calls / "texts/may/b.flac.json").read_text()) == other


def test_several_recordings_on_stdout(speechxfer, calls):
    code, printed, _ = speechxfer(
        "transcribe", "calls/may/*.flac", "calls/**/*.flac", "calls/a.wav", "--model", "tiny", "--format", "jsonl"
    )
    assert code == 0 and [json.loads(line)["audio"] for line in printed.splitlines()] == ["calls/may/b.flac", "calls/a.wav"]
    code, printed, _ = speechxfer("transcribe", "calls/a.wav", "calls/may", "--model", "tiny")
    titles = [line for line in printed.splitlines() if line.endswith(":")]
    assert code == 0 and titles == ["calls/a.wav:", "calls/may/b.flac:"]


def test_standard_input_is_transcribed(speechxfer, calls, monkeypatch):
    _, expected, _ = speechxfer("transcribe", "calls/a.wav", "--model", "tiny", "--precision", "fp32")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((calls / "calls/a.wav").read_bytes())))
    assert speechxfer("transcribe", "-", "--model", "tiny", "--precision", "fp32")[:2] == (0, expected)


def test_two_models_are_compared_on_the_same_set(speechxfer, recipe, tones, tmp_path):
    for number in (1, 2):
        words = ("finetune", recipe, f"training.epochs={number}", "--out", tmp_path / f"run{number}", "--quiet")
        assert speechxfer(*words)[0] == 0
    test = f"{tones}[split=test]"
    words = ("evaluate", tmp_path / "run2", test, "--baseline", tmp_path / "run1")
    code, printed, _ = speechxfer(*words, "--json")
    report = json.loads(printed)
    both = [1 - report[part]["sets"]["test"]["accuracy"] for part in ("before",)] + [1 - report["sets"]["test"]["accuracy"]]
    overall = report["proof"]["test"]["overall"]
    assert code == 0 and [overall["before"], overall["after"]] == pytest.approx(both)
    assert "no evidence over speakers" in " ".join(speechxfer(*words)[1].split())


def test_runs_are_ranked_by_dev_and_compared_on_test(speechxfer, recipe, tones, tmp_path):
    rates = {"good": "1e-2", "bad": "1e-9"}
    for name, rate in rates.items():
        words = ("finetune", recipe, f"training.head_learning_rate={rate}", "--out", tmp_path / name, "--quiet")
        assert speechxfer(*words)[0] in (0, 1)
    code, printed, _ = speechxfer("compare", tmp_path / "bad", tmp_path / "good", "--json")
    first, second = json.loads(printed)["runs"]
    assert code == 0 and (first["run"], second["run"]) == (str(tmp_path / "good"), str(tmp_path / "bad"))
    assert first["verdict"] is None
    overall = second["verdict"]["overall"]
    right = [row["sets"]["test"]["accuracy"] for row in (second, first)]
    assert [overall["before"], overall["after"]] == pytest.approx([1 - share for share in right])
    assert "no evidence over speakers" in " ".join(speechxfer("compare", tmp_path / "bad", tmp_path / "good")[1].split())
    code, _, said = speechxfer("compare", tmp_path)
    assert code == 2 and "is not the directory of a finished run" in said.replace("\n", " ")


def test_the_doctor_says_how_far_two_sets_are_apart(speechxfer, recipe, tones, small_whisper, tmp_path):
    sets = (f"{tones}[split=train]", "--model", small_whisper, "--against", tones)
    code, printed, log = speechxfer("doctor", *sets, "--json")
    found = json.loads(printed)
    assert (code, log, found["against"]) == (0, "", str(tones))
    assert found["gap"]["utterances"] == [40, 60] and found["gap"]["features"]["frechet"]["between"] > 0
    code, printed, _ = speechxfer("doctor", *sets)
    printed = " ".join(printed.split())
    assert code == 0 and "proxy A-distance" in printed and found["gap"]["sentences"][0] in printed
    # The pretrained model and what was made of it hear alike, with the head's own checks besides.
    assert speechxfer("finetune", recipe, "--out", tmp_path / "run", "--quiet")[0] == 0
    again = json.loads(speechxfer("doctor", sets[0], "--model", tmp_path / "run", "--against", tones, "--json")[1])
    assert again["gap"] == found["gap"]
    code, printed, log = speechxfer("doctor", tones, "--against", tones)
    assert (code, printed) == (2, "") and "--against needs --model" in log


def test_quiet_is_quiet_and_json_is_json(speechxfer, recipe, tmp_path):
    code, printed, log = speechxfer("finetune", recipe, "--out", tmp_path / "run", "--quiet", "--json")
    assert (code, log) == (0, "")
    assert json.loads(printed) == json.loads((tmp_path / "run/report.json").read_text())


def test_rows_left_out_are_named_at_the_end(speechxfer, recipe, tones, tmp_path):
    rows = list(csv.reader(tones.open()))
    table = [[tones.parent / row[0], *row[1:]] for row in rows[1:]]
    with (tmp_path / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *table, ["gone.wav", "a", "a", "s0", "train"]])
    given = (f"data.train={tmp_path / 'm.csv'}", "--out", tmp_path / "run")
    code, _, log = speechxfer("finetune", recipe, *given)
    assert code == 2 and "m.csv:62" in log and "gone.wav: no such file" in log
    assert not (tmp_path / "run").exists()
    code, _, log = speechxfer("finetune", recipe, "data.on_bad_row=skip", *given)
    assert code == 1
    assert "1 bad row" in log.splitlines()[-2] and "m.csv:62" in log.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("finetune", "gone.yaml"), "gone.yaml: cannot read the recipe"),
        (("finetune", "RECIPE", "trainng.epochs=3", "model.train=hed"), "did you mean `training`?"),
        (("evaluate", "gone", "m.csv"), "gone: no such model directory"),
        (("transcribe", "a.wav", "--model", "gone"), "gone: no such model directory"),
        (("transcribe", "a.wav", "--model", "gone", "--format", "doc"), "expected txt, json"),
        (("transcribe", "a.wav", "b.wav", "--model", "gone", "--format", "srt"), "several recordings need --out"),
        (("transcribe", "a.wav", "--model", "gone", "--channels", "left"), "expected mix, split or a number"),
        (("transcribe", "a.wav", "--model", "gone", "--roles", "agent"), "add --channels split"),
        (("transcribe", "a.wav", "--model", "gone", "--skip-existing"), "needs --out"),
        (("transcribe", "no/*.wav", "--model", "gone"), "no/*.wav: no file matches this pattern"),
        (("info", "gone"), "gone: no such model directory"),
    ],
)
def test_mistakes_end_in_a_message(speechxfer, recipe, words, expected):
    code, printed, log = speechxfer(*(recipe if word == "RECIPE" else word for word in words))
    assert code == 2
    assert expected in log and "Traceback" not in log
    assert printed == ""


def test_stopping_a_run_exits_with_130(speechxfer, recipe, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("speechxfer.training.step.classification_losses", interrupt)
    code, _, log = speechxfer("finetune", recipe, "--out", tmp_path / "run", "--quiet")
    assert code == 130 and "Traceback" not in log


def test_a_store_is_looked_into_and_mended(speechxfer, recipe, tmp_path):
    store = tmp_path / "store"
    assert speechxfer("finetune", recipe, f"store.directory={store}", "--out", tmp_path / "run", "--quiet")[0] == 0
    code, printed, _ = speechxfer("cache", "ls", store)
    assert code == 0 and ": 50 utterances' features" in printed  # train and dev
    assert speechxfer("cache", "verify", store)[:2] == (0, f"{store}: 0 of 50 damaged\n")
    data = store / "features-0.bin"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert speechxfer("cache", "verify", store)[:2] == (1, f"{store}: 1 of 50 damaged, dropped\n")
    assert speechxfer("cache", "verify", store)[:2] == (0, f"{store}: 0 of 49 damaged\n")
    code, _, said = speechxfer("cache", "ls", tmp_path)
    assert code == 2 and "not a feature store" in said


def test_a_store_is_filled_and_pruned(speechxfer, recipe, tones, tmp_path):
    store = tmp_path / "store"
    code, printed, log = speechxfer("cache", "build", recipe, f"store.directory={store}")
    assert (code, log) == (0, "") and printed.startswith(f"{store}: features of 50 utterances, ")
    assert speechxfer("cache", "prune", store)[:2] == (0, f"{store}: 0 utterances' features deleted, 0.0 MB freed\n")
    code, printed, _ = speechxfer("cache", "prune", store, "--manifest", f"{tones}[split=dev]")
    assert code == 0 and printed.startswith(f"{store}: 40 utterances' features deleted, ")
    assert ": 10 utterances' features" in speechxfer("cache", "ls", store)[1]
    code, _, said = speechxfer("cache", "build", recipe)
    assert code == 2 and "store.directory is missing" in said


def test_the_demo_removes_nothing_but_an_earlier_demo(speechxfer, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, said = speechxfer("demo", "--out", tmp_path, "--quiet")
    assert code == 2 and "holds no demo" in said
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_export_says_how_far_it_is_from_its_model_and_is_transcribed_with(speechxfer, tones, tmp_path):
    out = tmp_path / "exported"
    code, printed, _ = speechxfer("export", "tiny", "--to", "onnx", "--out", out, "--check", tones, "--json")
    told = json.loads(printed)
    assert (code, told["holds"], told["utterances"], told["bound"]) == (0, True, 20, 0.01)
    code, printed, _ = speechxfer("info", out)
    assert code == 0 and "format: ONNX, fp32" in printed and "loads in: ONNX Runtime" in printed
    code, _, log = speechxfer("transcribe", tones.parent / "0.wav", "--model", out, "--quiet")
    assert (code, log) == (0, "")
    code, _, log = speechxfer("export", "tiny", "--to", "onnx", "--out", out)
    assert code == 2 and "exists already" in log
    code, _, log = speechxfer("export", "tiny", "--to", "tflite", "--out", tmp_path / "other")
    assert code == 2 and "expected onnx" in log
