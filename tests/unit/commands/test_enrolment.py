"""Enrolment: it tells tones apart, comes back from disk as it was, and grows without a change to what was there."""

import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from speechxfer import CommandRecognizer
from speechxfer.commands import Enrolment, enrol, read_examples
from speechxfer.errors import DataError, ModelError, StoreError


def test_unheard_clips_are_told_apart(recognizer, unheard):
    heard = recognizer.recognise(unheard)
    assert [one.likeliest for one in heard] == [clip.label for clip in unheard]
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in heard)
    assert all((one.command == one.likeliest) == (one.log_odds >= 0) or one.command is None for one in heard)


def test_a_clip_is_heard_the_same_alone_and_in_a_batch(recognizer, unheard):
    together = [one.log_odds for one in recognizer.recognise(unheard)]
    assert together == pytest.approx([recognizer.recognise([clip])[0].log_odds for clip in unheard], abs=1e-3)


def test_what_is_saved_answers_the_same(enrolment, recognizer, unheard, tmp_path):
    recognizer.save(tmp_path / "commands")
    again = CommandRecognizer.from_pretrained(tmp_path / "commands", device="cpu", precision="fp32")
    assert again.recognise(unheard) == recognizer.recognise(unheard)
    assert Enrolment.load(tmp_path / "commands").commands == enrolment.commands
    names = sorted(path.name for path in (tmp_path / "commands").iterdir())
    assert names[0] == "commands.json" and len(names) == 2
    enrolment.with_thresholds([9.0] * len(enrolment.commands)).save(tmp_path / "commands")
    assert sorted(path.name for path in (tmp_path / "commands").iterdir()) == names
    assert Enrolment.load(tmp_path / "commands").thresholds == (9.0,) * len(enrolment.commands)


def test_above_any_threshold_nothing_is_a_command(enrolment, sound_is_speech, unheard):
    strict = CommandRecognizer(enrolment.with_thresholds([1e9] * 2), device="cpu", precision="fp32")
    assert [one.command for one in strict.recognise(unheard)] == [None] * len(unheard)


@pytest.fixture
def more(tmp_path):
    """A folder per command: noise bursts, and one tone."""
    random = np.random.default_rng(0)
    for number in range(2):
        for name in ("hiss", "hum"):
            (tmp_path / "more" / name).mkdir(parents=True, exist_ok=True)
            hum = 0.3 * np.sin(2 * np.pi * 90 * np.arange(4000) / 16_000) * (name == "hum")
            noise = random.normal(0, 0.2 if name == "hiss" else 0.01, 4000)
            soundfile.write(tmp_path / "more" / name / f"{number}.wav", hum + noise, 16_000)
    return tmp_path / "more"


def test_a_command_is_added_and_the_others_stay(enrolment, sound_is_speech, more, small_whisper, unheard):
    grown = enrol(more, small_whisper, onto=enrolment, device="cpu", precision="fp32")
    assert grown.commands == (*enrolment.commands, "hiss", "hum")
    count = len(enrolment.labels)
    assert np.array_equal(grown.examples[:, :count], enrolment.examples)
    assert grown.labels[:count] == enrolment.labels and grown.labels[count:] == ("hiss", "hiss", "hum", "hum")
    heard = CommandRecognizer(grown, device="cpu", precision="fp32").recognise(unheard)
    assert [one.likeliest for one in heard] == [clip.label for clip in unheard]


def test_a_clip_is_not_enrolled_twice(enrolment, sound_is_speech, examples, more, small_whisper):
    again = enrol(read_examples(examples), small_whisper, onto=enrolment, device="cpu", precision="fp32")
    assert (again.ids, again.labels, again.examples.shape) == (enrolment.ids, enrolment.labels, enrolment.examples.shape)
    assert again.choice == enrolment.choice


def test_another_model_is_refused(enrolment, sound_is_speech, more, small_models, tmp_path):
    with pytest.raises(DataError, match="another model than that of the commands there"):
        enrol(more, small_models["wav2vec2-layer"], onto=enrolment, device="cpu", precision="fp32")
    with pytest.raises(ModelError, match="not the model any more"):
        CommandRecognizer(replace(enrolment, digest="0"), device="cpu", precision="fp32")


def test_one_example_of_each_is_enough_for_every_family(sound_is_speech, more, small_models):
    examples = read_examples(more)
    single = examples.select([0, 2])
    for model in small_models.values():
        made = enrol(single, model, device="cpu", precision="fp32")
        assert (made.choice.method, made.choice.accuracy) == ("prototypes", None)
        assert made.choice.layers == (2, 3)  # of what goes into three layers, and what comes out
        heard = CommandRecognizer(made, device="cpu", precision="fp32").recognise(list(single))
        assert [one.likeliest for one in heard] == ["hiss", "hum"]


def test_folders_are_read_and_all_that_is_wrong_is_named(tmp_path):
    with pytest.raises(DataError, match="expected a folder per command"):
        read_examples(tmp_path)
    for name in ("on", "off"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.wav").write_text("no audio")
    with pytest.raises(DataError) as error:
        read_examples(tmp_path)
    assert len(error.value.problems) == 2 and "off/1.wav" in str(error.value) and "on/1.wav" in str(error.value)
    (tmp_path / "off/1.wav").unlink()
    soundfile.write(tmp_path / "on/1.wav", np.zeros(800), 16_000)
    with pytest.raises(DataError, match="examples of 1 command, expected two"):
        read_examples(tmp_path)


def test_a_full_disk_is_named(enrolment, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"the commands cannot be written: .*No space left"):
        enrolment.save(tmp_path)


def test_damaged_directories_are_named(enrolment, tmp_path):
    with pytest.raises(ModelError, match=r"commands\.json is missing"):
        Enrolment.load(tmp_path)
    enrolment.save(tmp_path)
    content = json.loads((tmp_path / "commands.json").read_text())
    for damage in ({"format": 99}, {"choice": {}}, {"tensors": "commands.json"}, {"unheard": 1}):
        (tmp_path / "commands.json").write_text(json.dumps(content | damage))
        with pytest.raises(ModelError, match="cannot be read as enrolled commands"):
            Enrolment.load(tmp_path)
    next(tmp_path.glob("examples-*")).unlink()
    (tmp_path / "commands.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="is missing"):
        Enrolment.load(tmp_path)
