"""Dialect on real accented speech, at a size for every test run: the road works, not how well."""

import math

import pytest

from speechxfer import Transcriber, evaluate, finetune, load_model, read_recipe


@pytest.fixture(scope="module")
def run(shared, tmp_path_factory):
    directory = tmp_path_factory.mktemp("dialect") / "run"
    manifest = shared / "data/speechocean762/manifest.csv"
    overrides = [
        f"model.path={shared / 'models/whisper-base-encoder'}",
        f"data.train={manifest}[split=train,age=6]",
        f"data.dev={manifest}[speaker=so0006]",
        f"data.test={manifest}[speaker=so0003]",
        "data.groups={gender: true, age: [16]}",
        "model.head=linear",  # learns within a minute, unlike a BLSTM
        "augment.views=2",
        f"augment.noise.manifest={shared / 'data/noise_rir/manifest.csv'}[split=train,kind=noise]",
        "training.stages=[{train: head, epochs: 12, head_learning_rate: 5e-3}, {train: 'top:1', epochs: 1}]",
        "training.trackers=tensorboard",
    ]
    events = []
    report = finetune(read_recipe("configs/dialect.yaml", overrides), directory, events.append)
    return report, directory, events


def test_loss_falls_and_scores_add_up(run):
    report, _, events = run
    losses = [event["loss"] for event in events if event["event"] == "epoch"]
    assert losses[-1] < 0.7 * losses[0]
    for scores in report["sets"].values():
        words = scores["counts"]["words"]
        errors = words["substitutions"] + words["deletions"] + words["insertions"]
        assert math.isclose(scores["wer"], errors / (words["hits"] + words["substitutions"] + words["deletions"]))
        assert scores["normaliser"] == "basic"


def test_run_reports_its_loader_and_its_store(run):
    for stage in (event for event in run[2] if event["event"] == "stage_end"):
        assert 0 <= stage["data_wait_share"] < 1
        assert stage["store_mb"] > 0


def test_tensorboard_is_written(run):
    assert list(run[1].rglob("events.out.tfevents.*"))


def test_reloaded_model_scores_alike(run, shared):
    report, directory, _ = run
    again = evaluate(directory, f"{shared / 'data/speechocean762/manifest.csv'}[speaker=so0003]", groups={"gender": True})
    assert (again.scores["cer"], again.scores["wer"]) == (report["sets"]["test"]["cer"], report["sets"]["test"]["wer"])


def test_vocabulary_is_that_of_the_training_text(run, shared):
    assert set(load_model(run[1]).vocabulary.symbols) <= set("abcdefghijklmnopqrstuvwxyz' ")


def test_word_times_lie_in_the_file_and_in_order(run, shared):
    transcript = Transcriber(run[1]).transcribe(shared / "data/clips/audio/jfk.flac")
    words = [word for segment in transcript.segments for word in segment.words]
    assert words and transcript.duration == pytest.approx(11.0)
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times) and 0 <= times[0] and times[-1] <= 11.0
    assert all(0 <= word.confidence <= 1 for word in words)
    assert transcript.text == " ".join(word.text for word in words)
