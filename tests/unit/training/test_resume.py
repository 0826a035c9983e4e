"""A run that is stopped or killed goes on to the very same weights, and never from a file that is not whole."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from speechxfer import finetune, load_model
from speechxfer.errors import RunDirectoryError, RunStoppedError, TrainingError
from speechxfer.recipe import Recipe
from speechxfer.training import comparisons, stages
from speechxfer.training.checkpoints import Checkpoint

STAGES = [
    {"train": "head", "epochs": 2, "head_learning_rate": 2e-2},
    {"train": "lora:2", "epochs": 2, "encoder_learning_rate": 1e-2},
    {"train": "all", "epochs": 3, "encoder_learning_rate": 2e-3},
]


@pytest.fixture
def recipe(small_models, tones) -> Recipe:
    """Return a run of three stages with everything random that training knows: dropout, views, masks."""
    tree = {
        "task": "ctc",
        "model": {"path": str(small_models["wav2vec2-group"]), "head": "blstm", "head_hidden_size": 8, "head_dropout": 0.2},
        "data": {"train": str(tones)},
        "augment": {"views": 2, "speed": [0.9, 1.1], "time_masks_per_second": 2.0},
        "training": {"batch_seconds": 2, "precision": "fp32", "average_decay": 0.9, "accumulation": 2, "stages": STAGES},
    }
    return Recipe.model_validate(tree)


def weights(run):
    return load_model(run).model.state_dict()


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


class StopAt:
    """A listener that presses Ctrl-C once so many steps were taken."""

    def __init__(self, steps):
        self.left = steps

    def __call__(self, event):
        self.left -= event["event"] == "step"
        if self.left == 0:
            self.left = -1
            signal.raise_signal(signal.SIGINT)


def test_stopped_at_any_step_it_ends_with_the_same_weights(recipe, tmp_path):
    whole = []
    report = finetune(recipe, tmp_path / "whole", whole.append)
    steps = sum(event["event"] == "step" for event in whole)
    for stop in random.Random(0).sample(range(1, steps - 1), 3):
        directory = tmp_path / str(stop)
        with pytest.raises(RunStoppedError, match="--resume"):
            finetune(recipe, directory, StopAt(stop))
        with pytest.raises(RunStoppedError):
            finetune(recipe, directory, StopAt(1), resume=True)
        again = []
        resumed = finetune(recipe, directory, again.append, resume=True)
        assert_same(weights(directory), weights(tmp_path / "whole"))
        assert resumed["sets"] == report["sets"]
        assert sum(event["event"] == "step" for event in again) == steps - stop - 1
        losses = [[r["loss"] for r in log if r["event"] == "epoch"] for log in (whole, again)]
        assert losses[1] == losses[0][len(losses[0]) - len(losses[1]) :]
        kept = {file.name for file in (directory / "checkpoints").iterdir()}
        assert kept == {f"stage{number}-best.safetensors" for number in range(len(STAGES))}


def test_killed_it_ends_with_the_same_weights(recipe, tmp_path):
    finetune(recipe, tmp_path / "whole")
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    code = (
        "import sys; from speechxfer import finetune, read_recipe;"
        "finetune(read_recipe(sys.argv[1]), sys.argv[2], lambda e: print(e['event'], flush=True), resume=True)"
    )
    # As here: on another number of threads sums differ in the last bit.
    one_thread = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    directory, kills, finished = tmp_path / "killed", 0, False
    chance = random.Random(1)
    while not finished and kills < 3:
        command = [sys.executable, "-c", code, str(tmp_path / "recipe.yaml"), str(directory)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one_thread)
        left = chance.randint(8, 20)
        for line in process.stdout:
            left -= line.startswith("step")
            if left <= 0:
                process.kill()
                kills += 1
                break
        finished = process.wait() == 0
    assert kills
    if not finished:
        finetune(recipe, directory, resume=True)
    assert_same(weights(directory), weights(tmp_path / "whole"))


@pytest.mark.parametrize("stage", range(len(STAGES)))
def test_dead_as_a_stage_begins_it_ends_with_the_same_weights(recipe, tmp_path, stage):
    """LoRA's first matrices are random: they may depend on the stage, but not on what this process did before."""

    class DeadError(Exception):
        pass

    def die(event):
        if event["event"] == "stage" and event["stage"] == stage:
            raise DeadError

    finetune(recipe, tmp_path / "whole")
    with pytest.raises(DeadError):
        finetune(recipe, tmp_path / "run", die)
    finetune(recipe, tmp_path / "run", resume=True)
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_file_that_disappears_is_named_with_its_row_and_the_run_goes_on_once_it_is_back(recipe, tmp_path, tones):
    import shutil

    place = tmp_path / "place"
    shutil.copytree(tones.parent, place)
    begun = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train": str(place / "manifest.csv")})})
    gone = place / "7.wav"  # the eighth row, so line 9

    def remove(event):
        if event["event"] == "stage" and event["stage"] == 2:
            gone.rename(tmp_path / "7.wav")

    with pytest.raises(TrainingError, match=r"manifest.csv:9: .*7.wav.*--resume"):
        finetune(begun, tmp_path / "run", remove)
    (tmp_path / "7.wav").rename(gone)
    finetune(begun, tmp_path / "run", resume=True)
    finetune(begun, tmp_path / "whole")
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_another_number_of_threads_is_said(recipe, tmp_path):
    run = stopped(recipe, tmp_path / "run")
    torch.set_num_threads(2)
    events = []
    try:
        finetune(recipe, run, events.append, resume=True)
    finally:
        torch.set_num_threads(1)
    assert "on 2 threads instead of 1" in next(event["text"] for event in events if "thread" in event.get("text", ""))


def stopped(recipe, directory):
    with pytest.raises(RunStoppedError):
        finetune(recipe, directory, StopAt(3))
    return directory


def test_an_unfinished_run_is_neither_overwritten_nor_mixed_up(recipe, tmp_path, tones):
    run = stopped(recipe, tmp_path / "run")
    with pytest.raises(TrainingError, match="unfinished run; go on with --resume"):
        finetune(recipe, run)
    other = recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": 1})})
    with pytest.raises(TrainingError, match=r"another recipe:\n  training.seed: 0 then, 1 now$"):
        finetune(other, run, resume=True)
    first = tones.read_text().splitlines()
    changed = tmp_path / "changed.csv"
    changed.write_text("\n".join(f"{tones.parent}/{line}" if number else line for number, line in enumerate(first[:-6])))
    begun = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train": str(changed)})})
    stopped(begun, tmp_path / "data")
    changed.write_text(changed.read_text().replace(",s0,", ",s9,").replace(",ab,", ",ba,"))
    with pytest.raises(TrainingError, match="other training data"):
        finetune(begun, tmp_path / "data", resume=True)


def test_another_pretrained_model_is_refused(recipe, tmp_path, small_models):
    import shutil

    model = shutil.copytree(small_models["wav2vec2-group"], tmp_path / "model")
    begun = recipe.model_copy(update={"model": recipe.model.model_copy(update={"path": str(model)})})
    run = stopped(begun, tmp_path / "run")
    from safetensors.torch import save_file

    tensors = load_file(model / "model.safetensors")
    tensors["encoder.layers.1.feed_forward.output_dense.bias"] += 1
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(TrainingError, match="not the one this run began with"):
        finetune(begun, run, resume=True)


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: b"", lambda data: b"{}" * 50])
def test_a_damaged_checkpoint_is_named_and_not_used(recipe, tmp_path, damage):
    file = stopped(recipe, tmp_path / "run") / "checkpoints/latest.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(TrainingError, match=r"latest.safetensors: a damaged checkpoint"):
        finetune(recipe, tmp_path / "run", resume=True)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:1000]), lambda path: path.unlink()])
def test_weights_that_a_stage_began_with_are_named_when_damaged(recipe, tmp_path, damage):
    class DeadError(Exception):
        pass

    def die(event):
        if event["event"] == "stage" and event["stage"] == 1:
            raise DeadError

    with pytest.raises(DeadError):
        finetune(recipe, tmp_path / "run", die)
    damage(tmp_path / "run/checkpoints/stage1-start.safetensors")
    with pytest.raises(TrainingError, match=r"stage1-start.safetensors: a damaged checkpoint"):
        finetune(recipe, tmp_path / "run", resume=True)


def test_a_recipe_that_is_gone_is_named(recipe, tmp_path):
    run = stopped(recipe, tmp_path / "run")
    (run / "recipe.yaml").write_text("")
    with pytest.raises(RunDirectoryError, match=r"recipe.yaml.*\n.*give another --out"):
        finetune(recipe, run, resume=True)


def test_a_directory_that_cannot_be_made_is_named(recipe, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file/run"):
        with pytest.raises(RunDirectoryError, match=r"cannot be written to: .*; give another --out"):
            finetune(recipe, out)


def test_ctrl_c_is_heard_while_dev_is_scored_and_while_the_result_is(recipe, tmp_path, monkeypatch):
    finetune(recipe, tmp_path / "whole")
    original, calls = stages.score_set, []

    def press(*given, **options):
        calls.append(None)
        if len(calls) == 7:  # the last epoch's of all
            signal.raise_signal(signal.SIGINT)
        return original(*given, **options)

    monkeypatch.setattr(stages, "score_set", press)
    with pytest.raises(RunStoppedError, match=r"--resume.*run\)"):
        finetune(recipe, tmp_path / "run")

    def press_at_once(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(comparisons, "evaluate", press_at_once)
        with pytest.raises(RunStoppedError, match=r"--resume.*run\)"):
            finetune(recipe, tmp_path / "run", resume=True)
    finetune(recipe, tmp_path / "run", resume=True)
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "latest.safetensors"
    Checkpoint({"a": torch.ones(2)}, {"n": 1}).write(path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"cannot be written: .*No space left.*--resume"):
        Checkpoint({"a": torch.zeros(2)}, {"n": 2}).write(path)
    kept = Checkpoint.read(path)
    assert kept.facts == {"n": 1} and torch.equal(kept.tensors["a"], torch.ones(2))
    assert [file.name for file in tmp_path.iterdir()] == ["latest.safetensors"]


def test_out_of_memory_halves_the_batches_and_keeps_the_result(small_whisper, tones, tmp_path, monkeypatch):
    from speechxfer.training import step

    tree = {"task": "classification", "model": {"path": str(small_whisper)}, "data": {"train": str(tones)}}
    tree["training"] = {"epochs": 2, "batch_seconds": 8, "precision": "fp32"}
    recipe = Recipe.model_validate(tree)
    finetune(recipe, tmp_path / "plenty")
    real = step.classification_losses

    def scarce(logits, *given):
        if len(logits) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return real(logits, *given)

    monkeypatch.setattr(step, "classification_losses", scarce)
    events = []
    finetune(recipe, tmp_path / "scarce", events.append)
    notes = [event["text"] for event in events if event["event"] == "note" and "out of memory" in event["text"]]
    assert "cut into 2" in notes[0] and "training.batch_seconds" in notes[0]
    scarce_weights, plenty = weights(tmp_path / "scarce"), weights(tmp_path / "plenty")
    for name, tensor in plenty.items():
        torch.testing.assert_close(scarce_weights[name], tensor, atol=1e-5, rtol=1e-4)
    monkeypatch.setattr(step, "classification_losses", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory")))
    with pytest.raises(TrainingError, match="one utterance at a time"):
        finetune(recipe, tmp_path / "none")


def test_accumulation_changes_nothing_but_the_batch(small_whisper, tones, tmp_path):
    tree = {"task": "classification", "model": {"path": str(small_whisper)}, "data": {"train": str(tones)}}
    losses = []
    for seconds, accumulation in ((1000, 1), (3, 1000)):
        tree["training"] = {"epochs": 3, "batch_seconds": seconds, "accumulation": accumulation, "precision": "fp32"}
        finetune(Recipe.model_validate(tree), tmp_path / str(accumulation))
        log = map(json.loads, (tmp_path / str(accumulation) / "log.jsonl").read_text().splitlines())
        losses.append([record["loss"] for record in log if record["event"] == "epoch"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
