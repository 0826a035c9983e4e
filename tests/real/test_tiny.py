"""The model in the package, pretrained: what depends on a model that has learned something is tested with it."""

from pathlib import Path

import numpy as np
import pytest

import speechxfer
from speechxfer import Transcriber, evaluate, finetune, load_model, read_manifest, read_recipe
from speechxfer.data import Waveform, load_audio
from speechxfer.evaluation import RowErrors

DEMO = Path(speechxfer.__file__).parent / "assets" / "demo"


@pytest.fixture(scope="module")
def turns():
    return read_manifest(DEMO / "call.csv")


@pytest.fixture(scope="module")
def scored(turns):
    return evaluate("tiny", turns, precision="fp32")


def wer(rows: RowErrors) -> float:
    return sum(rows.errors) / sum(rows.sizes)


def test_it_is_small_and_says_what_it_is():
    directory = Path(speechxfer.__file__).parent / "assets" / "tiny"
    assert sum(path.stat().st_size for path in directory.iterdir()) <= 12e6
    card = (directory / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card and "speechocean762 test" in card and "It is no recogniser for real speech" in card
    model = load_model("tiny")
    assert model.is_native and model.task == "ctc" and set(model.vocabulary.symbols) == set("abcdefghijklmnopqrstuvwxyz' ")


def test_it_reads_a_call_of_unknown_sentences(scored):
    assert wer(scored.rows) < 0.6
    exact = [answer for answer, reference in zip(scored.answers, scored.rows.references, strict=True) if answer == reference]
    assert exact  # some turns have every word right


def test_company_changes_no_word(turns, scored):
    assert evaluate("tiny", turns, precision="fp32", batch_seconds=0.01).answers == scored.answers


def test_a_transcriber_hears_what_evaluate_hears_and_its_words_lie_in_order(turns, scored):
    transcriber = Transcriber("tiny", precision="fp32")
    for row in (0, 5, 9):
        samples = load_audio(turns[row], 16_000)
        transcript = transcriber.transcribe(Waveform(samples, 16_000))
        words = transcript.segments[0].words
        assert transcript.text == scored.answers[row] == " ".join(word.text for word in words)
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times) and times[-1] <= len(samples) / 16_000
        assert all(0 < word.confidence <= 1 for word in words)


def test_it_reads_nothing_in_noise():
    transcriber = Transcriber("tiny", precision="fp32")
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * 16_000).astype(np.float32)
    assert transcriber.transcribe(Waveform(noise, 16_000)).segments == ()


def test_five_examples_of_each_command_are_enough_and_from_random_weights_they_are_not(tmp_path):
    sets = [f"data.{name}={DEMO / 'commands.csv'}[split={name}]" for name in ("train", "dev", "test")]
    report = finetune(read_recipe(DEMO / "commands.yaml", [*sets, "proof.control=scratch"]), tmp_path / "run")
    assert report["sets"]["test"]["accuracy"] >= 0.95
    assert report["control"]["sets"]["test"]["accuracy"] < report["sets"]["test"]["accuracy"] - 0.1
    gain = report["control"]["gain"]
    assert gain["overall"]["outcome"] == "better" and gain["sentence"].startswith("transfer: better by")
