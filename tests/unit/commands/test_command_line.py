"""The verbs of `speechxfer commands`, on tones."""

import csv
import json

import numpy as np
import pytest
import soundfile

RATE = 16_000


@pytest.fixture
def commands(speechxfer, sound_is_speech):
    """Run `speechxfer commands` where every sound counts as speech."""
    return lambda *words: speechxfer("commands", *words)


@pytest.fixture
def unheard_set(tmp_path, unheard):
    """Return a manifest of clips that were not enrolled, and of a hiss that is no command."""
    hiss = np.concatenate([np.zeros(6000), np.random.default_rng(0).normal(0, 0.2, 3000), np.zeros(6000)])
    sounds = [(clip.id, clip.label, clip.audio.samples) for clip in unheard] + [("hiss", "hiss", hiss)]
    with (tmp_path / "unheard.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "audio", "label"))
        for name, label, samples in sounds:
            soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
            table.writerow((name, f"{name}.wav", label))
    return tmp_path / "unheard.csv"


def test_commands_are_enrolled_scored_and_spotted(commands, examples, small_whisper, unheard_set, tmp_path):
    out = tmp_path / "commands"
    enrol = ("enrol", examples, "--model", small_whisper, "--out", out, "--precision", "fp32")
    code, printed, log = commands(*enrol, "--json", "--quiet", "--negatives", f"{unheard_set}[label=hiss]")
    facts = json.loads(printed)
    assert (code, facts["examples"], log.count("note:")) == (0, {"a": 6, "b": 6}, 0)
    assert set(facts["thresholds"]) == {"a", "b"}
    negatives = ("--negatives", f"{unheard_set}[label=hiss]", "--out", out)
    code, printed, _ = commands("evaluate", out, unheard_set, "--json", "--precision", "fp32", *negatives)
    scores = json.loads(printed)
    page = (out / "scores.html").read_text()
    assert json.loads((out / "scores.json").read_text()) == scores and (out / "commands.json").exists()
    assert "DET curve" in page and "<svg" in page and "hours without a command" in page and "<b>unknown</b>" in page
    assert (code, scores["utterances"], scores["accuracy"]) == (0, 9, 1.0)
    assert scores["confusion"]["labels"] == ["a", "b", "unknown"]
    assert sum(map(sum, scores["confusion"]["true_by_recognised"])) == 9
    assert -1 < scores["latency_seconds"] < 1
    assert 0 <= scores["equal_error_rate"] <= 1 and 0 <= scores["auroc"] <= 1
    (tmp_path / "bad.wav").write_text("no audio")
    code, printed, log = commands("spot", out, tmp_path / "a0.wav", tmp_path / "bad.wav", "--precision", "fp32")
    assert code == 1 and "bad.wav: neither libsndfile nor FFmpeg" in log and "1 of 2 recordings" in log
    assert {json.loads(line)["command"] for line in printed.splitlines()} <= {"a", "b"}
    code, printed, log = commands(*enrol)  # what is there already is not added
    assert code == 0 and "a (6), b (6)" in printed and "note: thresholds are not calibrated" in log


def test_a_transcript_names_the_commands_in_it(speechxfer, enrolment, sound_is_speech, tmp_path):
    enrolment.with_thresholds([-4.0, -4.0]).save(tmp_path / "commands")
    silence = np.random.default_rng(1).normal(0, 0.01, (4 * RATE, 2))
    silence[RATE : RATE + RATE // 5, 1] += 0.3 * np.sin(2 * np.pi * 1200 * np.arange(RATE // 5) / RATE)
    soundfile.write(tmp_path / "call.wav", silence, RATE)
    listening = ("--model", "tiny", "--commands", tmp_path / "commands", "--precision", "fp32", "--quiet")
    both = ("--channels", "split", "--roles", "agent,customer")
    code, printed, _ = speechxfer("transcribe", tmp_path / "call.wav", *listening, *both, "--format", "jsonl")
    (event,) = json.loads(printed)["commands"]
    assert (code, event["command"], event["channel"], event["role"]) == (0, "b", 1, "customer")
    assert 0.5 < event["start"] <= 1.0 and 1.2 <= event["end"] < 2.0
    code, _, log = speechxfer("transcribe", tmp_path / "call.wav", *listening)
    assert code == 2 and "json or jsonl" in log
    broken = np.concatenate([silence, np.zeros((20 * RATE, 2)), np.full((1, 2), np.nan)])
    soundfile.write(tmp_path / "broken.wav", broken, RATE, subtype="FLOAT")
    code, printed, log = speechxfer("transcribe", tmp_path / "broken.wav", *listening, *both, "--format", "jsonl")
    assert code == 1 and [one["command"] for one in json.loads(printed)["commands"]] == ["b"]


def test_wrong_use_is_named(commands, tones, tmp_path):
    code, _, log = commands("evaluate", tmp_path, tones)
    assert code == 2 and "commands.json is missing" in log and "Traceback" not in log
    code, _, log = commands("zero-shot", "stop", "--model", "tiny")
    assert code == 2 and "give one of them" in log


def test_commands_as_text(commands, tones, tmp_path):
    words = ("--model", "tiny", "--audio", tones.parent / "0.wav", "--precision", "fp32")
    code, printed, _ = commands("zero-shot", "stop", "transfer me to billing", *words, "--threshold", "-1e12")
    answer = json.loads(printed)
    assert code == 0 and answer["command"] == answer["phrase"] and answer["command"] in ("stop", "transfer me to billing")
    code, printed, _ = commands("zero-shot", "stop", *words, "--threshold", "0.1")
    assert code == 0 and json.loads(printed)["command"] is None
    code, _, log = commands("zero-shot", "stop", "stop", "停", *words)
    assert code == 2 and "2 problems found" in log
