"""Examples from a microphone, which here is a script."""

import sys
import types

import numpy as np
import pytest
import soundfile

from speechxfer.commands import microphone, record_commands
from speechxfer.errors import AudioError


def tone(peak):
    return np.full(32_000, peak, dtype=np.float32)


def test_each_command_is_recorded_and_bad_takes_again(tmp_path):
    sounds, asked = iter([tone(0.2), tone(0.0), tone(0.3), tone(1.0), tone(0.4), tone(0.5)]), []
    (tmp_path / "go").mkdir()
    (tmp_path / "go/00.wav").write_text("kept")
    written = record_commands(["stop", "go"], tmp_path, lambda seconds: next(sounds), asked.append, takes=2)
    assert [file.relative_to(tmp_path).as_posix() for file in written] == ["stop/00.wav", "stop/01.wav", "go/01.wav", "go/02.wav"]
    assert [round(float(soundfile.read(file)[0].max()), 2) for file in written] == [0.2, 0.3, 0.4, 0.5]
    assert (tmp_path / "go/00.wav").read_text() == "kept"
    assert asked == [
        "say 'stop', 1 of 2",
        "say 'stop', 2 of 2",
        "nothing was heard; again: say 'stop', 2 of 2",
        "say 'go', 1 of 2",
        "that was too loud; again, from further away: say 'go', 1 of 2",
        "say 'go', 2 of 2",
    ]


def test_without_package_or_microphone_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AudioError, match=r"speechxfer\[microphone\]"):
        microphone()

    def refuse(**_):
        raise ValueError("no input device")

    monkeypatch.setitem(sys.modules, "sounddevice", types.SimpleNamespace(check_input_settings=refuse))
    with pytest.raises(AudioError, match="no microphone can be used: no input device"):
        microphone()


def test_the_verb_records_with_the_package(monkeypatch, tmp_path, speechxfer):
    def rec(count, samplerate, channels, dtype, blocking):
        assert (samplerate, channels, dtype, blocking) == (16_000, 1, "float32", True)
        return np.full((count, 1), 0.25, dtype=np.float32)

    device = types.SimpleNamespace(check_input_settings=lambda **_: None, rec=rec)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    asked = []
    monkeypatch.setattr("builtins.input", asked.append)
    words = ("commands", "record", "lights on", "--out", tmp_path, "--takes", "1", "--seconds", "0.5")
    code, out, _ = speechxfer(*words)
    assert code == 0 and f"1 recording in {tmp_path}" in " ".join(out.split())
    assert asked == ["say 'lights on', 1 of 1: press Enter, then speak "]
    assert soundfile.info(tmp_path / "lights on/00.wav").frames == 8_000
