"""The doctor finds each planted fault, by its name and in its rows, and none in clean data."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechxfer
from speechxfer import load_model
from speechxfer.data import load_audio, parse_manifest, resample
from speechxfer.evaluation import examine, measure

DEMO = Path(speechxfer.__file__).parent / "assets" / "demo"
RATE = 16_000
PER_SET = {"train": 24, "dev": 8, "test": 8}


class DataSet:
    """Spoken sentences in files of their own, whose rows and samples a test may spoil."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        manifest = parse_manifest(DEMO / "dialect.csv")
        self.rows = []
        for split, count in PER_SET.items():
            part = manifest.where(split=split)
            for number in range(count):
                name = f"{split}{number}.flac"
                self.write(name, load_audio(part[number], RATE))
                row = {"audio": name, "text": part[number].text, "speaker": part.columns["speaker"][number], "split": split}
                self.rows.append(row | {"label": "ab"[number % 2]})

    def write(self, name: str, samples: np.ndarray, rate: int = RATE) -> None:
        soundfile.write(self.directory / name, samples, rate)

    def change(self, rows, how) -> None:
        for row in rows:
            samples, rate = soundfile.read(self.directory / self.rows[row]["audio"], dtype="float32")
            self.write(self.rows[row]["audio"], how(samples), rate)

    def examine(self, model=None):
        path = self.directory / "data.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        manifest = parse_manifest(path)
        return examine({name: manifest.where(split=name) for name in PER_SET}, model)


@pytest.fixture
def data(tmp_path):
    return DataSet(tmp_path)


def test_clean_data_is_clean(data):
    assert data.examine() == []


def silence(data):
    data.change([3], np.zeros_like)


def clip(data):
    data.change([3], lambda samples: np.clip(samples * 8, -0.9, 0.9))


def whisper(data):
    data.change([3], lambda samples: samples * 3e-3)


def drown(data):
    data.change([3], lambda samples: 0.1 * samples + np.random.default_rng(0).normal(0, 0.1, len(samples)))


def telephone(data):
    data.change([3], lambda samples: resample(resample(samples, RATE, 8_000), 8_000, RATE))


def other_rate(data):
    data.write(data.rows[3]["audio"], np.random.default_rng(0).normal(0, 0.1, 22_050) * np.linspace(0, 1, 22_050), 22_050)


def break_file(data):
    (data.directory / data.rows[3]["audio"]).write_text("not audio")


def bad_number(data):
    for number, row in enumerate(data.rows):
        row["start"] = "soon" if number == 3 else ""


def long_text(data):
    data.rows[3]["text"] *= 4


def short_text(data):
    data.change([3], lambda samples: np.tile(samples, 5))
    data.rows[3]["text"] = "oh"


def twice(data):
    data.rows[3]["audio"] = data.rows[4]["audio"]


def audio_leak(data):
    data.rows[3]["audio"] = data.rows[-1]["audio"]


def speaker_leak(data):
    data.rows[-1]["speaker"] = data.rows[3]["speaker"]


def text_leak(data):
    data.rows[-1]["text"] = data.rows[3]["text"]
    data.rows[-1]["audio"] = data.rows[-2]["audio"]


def unknown_label(data):
    data.rows[-1]["label"] = "c"


def imbalance(data):
    for row in data.rows[:24]:
        row["label"] = "a" if row is not data.rows[3] else "b"


def similar_labels(data):
    data.rows[3]["label"] = "A"
    data.rows[5]["label"] = " a"


def label_by(how):
    def plant(data):
        data.change([row for row in range(24) if data.rows[row]["label"] == "b"], how)

    return plant


@pytest.mark.parametrize(
    ("plant", "kind", "severity"),
    [
        (break_file, "unreadable", "error"),
        (bad_number, "unreadable", "error"),
        (silence, "silent", "error"),
        (clip, "clipped", "warning"),
        (whisper, "quiet", "warning"),
        (drown, "noisy", "warning"),
        (telephone, "narrowband", "warning"),
        (other_rate, "sampling-rates", "warning"),
        (long_text, "text-too-long", "error"),
        (short_text, "text-too-short", "warning"),
        (twice, "duplicate", "warning"),
        (audio_leak, "audio-leak", "error"),
        (speaker_leak, "speaker-leak", "error"),
        (text_leak, "text-leak", "warning"),
        (unknown_label, "unknown-label", "error"),
        (imbalance, "imbalance", "warning"),
        (similar_labels, "similar-labels", "warning"),
        (label_by(lambda samples: np.tile(samples, 4)), "cue-length", "error"),
        (label_by(lambda samples: 0.03 * samples), "cue-level", "error"),
        (
            label_by(lambda samples: samples + np.random.default_rng(0).normal(0, 0.05, len(samples))),
            "cue-background",
            "error",
        ),
        (
            label_by(lambda samples: resample(resample(samples, RATE, 8_000), 8_000, RATE)),
            "cue-bandwidth",
            "error",
        ),
    ],
)
def test_a_planted_fault_is_found(data, plant, kind, severity):
    plant(data)
    found = {finding.kind: finding for finding in data.examine()}
    assert kind in found and found[kind].severity == severity
    assert found[kind].what and found[kind].advice
    if found[kind].places and kind not in ("speaker-leak", "audio-leak", "narrowband"):
        assert any(
            place.startswith(f"{data.directory / 'data.csv'}:{line}") for place in found[kind].places for line in (5, 6, 41)
        )


def test_what_a_model_cannot_take_is_found(data):
    model = load_model("tiny")
    assert data.examine(model) == []
    data.rows[3]["text"] = "größe"
    data.change([4], lambda samples: np.tile(samples, 20))
    data.rows[5]["text"] += " and so on and on" * 5
    found = {finding.kind: finding for finding in data.examine(model)}
    assert "'ö' (1)" in found["symbols"].what and "'ß' (1)" in found["symbols"].what
    assert found["too-long"].count == found["no-room"].count == 1


def test_a_text_that_a_decoder_has_no_room_for_is_found(data, small_writer):
    model = load_model(small_writer)  # one token a letter, one for the space before, two of the prompt and the end
    for row in data.rows:
        row["text"] = "ab"
    data.rows[3]["text"] = "b" * 20
    assert "no-room" not in {finding.kind for finding in data.examine(model)}
    data.rows[4]["text"] = "b" * 21
    (found,) = [finding for finding in data.examine(model) if finding.kind == "no-room"]
    assert found.count == 1 and "24 tokens" in found.what


def test_measurements_are_what_they_say(tmp_path):
    time = np.arange(2 * RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * time) * (time > 1) + np.random.default_rng(0).normal(0, 0.0005, 2 * RATE)
    soundfile.write(tmp_path / "tone.flac", tone, RATE)
    facts = measure(parse_manifest_of(tmp_path, "tone.flac")[0])
    assert facts.seconds == 2 and facts.sampling_rate == RATE
    assert facts.peak_db == pytest.approx(-6.0, abs=0.2) and facts.level_db == pytest.approx(-9.0, abs=0.2)
    assert facts.noise_db == pytest.approx(20 * np.log10(0.0005), abs=1)
    assert facts.clipped_share == 0 and not facts.is_silent


def parse_manifest_of(directory, name):
    (directory / "one.csv").write_text(f"audio\n{name}\n")
    return parse_manifest(directory / "one.csv")
