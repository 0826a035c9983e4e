"""A real Whisper with its decoder: it reads as its makers' code does, learns accented speech, and transcribes with times."""

import pytest
import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from speechxfer import Transcriber, evaluate, finetune, load_model, read_recipe
from speechxfer.data import load_audio, parse_manifest
from speechxfer.evaluation import export


@pytest.fixture(scope="module")
def stock(shared):
    return shared / "models/whisper-tiny-en"


@pytest.fixture(scope="module")
def few(shared):
    return parse_manifest(f"{shared / 'data/speechocean762/manifest.csv'}[speaker=so0006]").select(list(range(4)))


@pytest.fixture(scope="module")
def run(shared, stock, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whisper") / "run"
    manifest = shared / "data/speechocean762/manifest.csv"
    overrides = [
        f"model.path={stock}",
        f"data.train={manifest}[split=train,age=6]",
        f"data.dev={manifest}[speaker=so0006]",
        f"data.test={manifest}[speaker=so0003]",
        "training.epochs=2",
        "training.batch_seconds=16",  # more steps
    ]
    return finetune(read_recipe("configs/whisper.yaml", overrides), directory)


def test_as_downloaded_it_reads_what_its_makers_code_reads(stock, few):
    native = WhisperForConditionalGeneration.from_pretrained(stock, dtype=torch.float32).eval()
    samples = [load_audio(utterance, 16_000) for utterance in few]
    mel = WhisperFeatureExtractor.from_pretrained(stock)(samples, sampling_rate=16_000, return_tensors="pt").input_features
    tokens = load_model(stock).tokens
    expected = [tokens.text(answer) for answer in native.generate(mel).tolist()]
    assert evaluate(stock, few).answers == expected


def test_ctranslate2_writes_the_same_with_about_the_same_times(stock, few, tmp_path):
    parity = export(load_model(stock), tmp_path / "exported", few, to="ctranslate2")
    assert parity.holds and parity.utterances == len(few) and parity.words > 10
    ours, theirs = (Transcriber(model).transcribe(few[0].audio) for model in (stock, tmp_path / "exported"))
    assert theirs.text == ours.text
    times = [[word.start for segment in one.segments for word in segment.words] for one in (ours, theirs)]
    assert times[1] == pytest.approx(times[0], abs=0.1)


def test_a_short_fine_tune_makes_the_audio_there_is_enough(run):
    # A minute of one speaker says nothing of better or worse; without the fine-tune, half of these answers would go on for ever.
    assert run["sets"]["test"]["wer"] < 0.3
    assert all(rate < 0.3 for rate in run["decoder"]["wer"].values())
    words = run["sets"]["test"]["counts"]["words"]
    assert words["insertions"] < 0.1 * (words["hits"] + words["substitutions"] + words["deletions"])
    assert run["decoder"]["timestamps"] == "lost"  # none of the targets was timed
    assert run["before"]["kind"] == "pretrained model"


def test_it_transcribes_with_times_that_follow_the_speech(stock, shared):
    transcript = Transcriber(stock).transcribe(str(shared / "data/clips/audio/jfk.flac"))
    words = [word for segment in transcript.segments for word in segment.words]
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(0 <= word.start <= word.end <= transcript.duration + 0.01 for word in words)
    assert "fellow Americans" in transcript.text
    asked = [word.start for word in words if word.text.strip(",.").lower() == "ask"]
    assert len(asked) == 2
    assert asked == pytest.approx([3.3, 8.1], abs=0.5)
