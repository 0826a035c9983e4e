"""Runs on a store on disk: a second run computes nothing that is frozen, and nothing comes out differently."""

import json

import pytest
import torch

from speechxfer import finetune, load_model
from speechxfer.errors import RecipeError
from speechxfer.models import SplitModel
from speechxfer.recipe import Recipe
from speechxfer.training import fill_store


@pytest.fixture
def recipe(small_models, tones, tmp_path):
    def make(stages=None, **store):
        default = [{"train": "head", "epochs": 2}, {"train": "top:1", "epochs": 2}, {"train": "top:1", "epochs": 1}]
        tree = {
            "task": "ctc",
            "model": {"path": str(small_models["wav2vec2-layer"])},
            "data": {"train": str(tones)},
            "augment": {"views": 2, "speed": [0.9, 1.1], "time_masks_per_second": 2.0},
            "store": {"dtype": "float32", "directory": str(tmp_path / "store")} | store,
            "training": {"batch_seconds": 2, "precision": "fp32", "stages": stages or default},
        }
        return Recipe.model_validate(tree)

    return make


@pytest.fixture
def computed(monkeypatch):
    """Count the utterances that go through the frozen part."""
    counts = [0]
    original = SplitModel.prefix

    def counting(split, inputs):
        if split.cut.kind != "input":
            counts[0] += len(inputs.lengths)
        return original(split, inputs)

    monkeypatch.setattr(SplitModel, "prefix", counting)
    return counts


def weights(run):
    return load_model(run).model.state_dict()


def log(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def assert_same(first, second, **tolerance):
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], **(tolerance or {"atol": 0, "rtol": 0}))


def test_a_second_run_computes_nothing_that_the_first_one_did(recipe, tmp_path, computed):
    finetune(recipe(), tmp_path / "first")
    first, computed[0] = computed[0], 0
    finetune(recipe(), tmp_path / "second")
    scoring = 30  # dev and test, and test as the head-only stage left it, once, without a store
    assert computed[0] == scoring
    # At two cuts (`top:1` twice is one): dev, and the views of 40 clips that the epochs happened to choose.
    assert scoring + 2 * (40 + 10) < first <= scoring + 2 * (2 * 40 + 10)
    assert_same(weights(tmp_path / "first"), weights(tmp_path / "second"))


def test_it_changes_nothing_but_rounding(recipe, tmp_path):
    finetune(recipe(), tmp_path / "disk")
    finetune(recipe(directory=None), tmp_path / "memory")
    # Groups of the frozen part differ, since keys do.
    assert_same(weights(tmp_path / "disk"), weights(tmp_path / "memory"), atol=2e-4, rtol=2e-3)


@pytest.mark.parametrize("step", [1, 7, 45])
def test_dead_at_any_step_and_resumed_it_ends_the_same(recipe, tmp_path, step):
    class DeadError(Exception):
        pass

    left = [step]

    def die(event):
        left[0] -= event["event"] == "step"
        if left[0] == 0:
            raise DeadError

    finetune(recipe(), tmp_path / "whole")
    killed = recipe(directory=str(tmp_path / "other"))
    with pytest.raises(DeadError):
        finetune(killed, tmp_path / "killed", die)
    finetune(killed, tmp_path / "killed", resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_a_run_that_freezes_nothing_takes_a_store_too(recipe, tmp_path):
    stages = [{"train": "all", "epochs": 1}]
    finetune(recipe(stages), tmp_path / "disk")
    finetune(recipe(stages, directory=None), tmp_path / "memory")
    assert_same(weights(tmp_path / "disk"), weights(tmp_path / "memory"), atol=2e-4, rtol=2e-3)


def test_damaged_features_are_computed_again(recipe, tmp_path, computed):
    finetune(recipe(), tmp_path / "first")
    file = tmp_path / "store/features-0.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    computed[0] = 0
    finetune(recipe(), tmp_path / "second")
    assert computed[0] > 20
    assert_same(weights(tmp_path / "first"), weights(tmp_path / "second"))


def test_a_run_beside_another_reads_and_computes_what_is_missing(recipe, tmp_path):
    inner = []

    def run_another(event):
        if event["event"] == "step" and not inner:
            inner.append(None)
            finetune(recipe(), tmp_path / "inner")

    finetune(recipe(), tmp_path / "outer", run_another)
    finetune(recipe(), tmp_path / "alone")
    assert_same(weights(tmp_path / "alone"), weights(tmp_path / "inner"))


def test_a_filled_store_leaves_nothing_to_compute(recipe, tmp_path, computed):
    told = []
    count, size = fill_store(recipe(), lambda done, total: told.append((done, total)))
    assert count == 2 * (2 * 40 + 10) == computed[0]  # two cuts; two views of each clip, and dev
    assert told[-1] == (90, 90) and size == sum(path.stat().st_size for path in (tmp_path / "store").glob("features-*.bin"))
    finetune(recipe(), tmp_path / "run")
    assert computed[0] == count + 30  # dev and test, and test as the head-only stage left it, once, without a store
    finetune(recipe(directory=str(tmp_path / "other")), tmp_path / "unfilled")
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "unfilled"))


def test_what_an_earlier_stage_trains_cannot_be_computed_beforehand(recipe, computed):
    upwards = recipe(stages=[{"train": "top:1", "epochs": 1}, {"train": "head", "epochs": 1}])
    assert fill_store(upwards)[0] == 90 == computed[0]


def test_without_a_store_there_is_nothing_to_fill(recipe):
    with pytest.raises(RecipeError, match=r"store\.directory is missing"):
        fill_store(recipe(directory=None))


def test_over_the_cap_the_rest_is_computed_each_time_and_the_run_says_so(recipe, tmp_path):
    report = finetune(recipe(max_gb=1e-4), tmp_path / "capped")
    notes = [event["text"] for event in log(tmp_path / "capped") if event["event"] == "note"]
    assert report["sets"]["dev"] and any("store.max_gb is 0.0001: those of" in note for note in notes)
    assert sum(path.stat().st_size for path in (tmp_path / "store").glob("features-*.bin")) <= 1e5
    finetune(recipe(directory=str(tmp_path / "other")), tmp_path / "whole")
    assert_same(weights(tmp_path / "capped"), weights(tmp_path / "whole"), atol=2e-4, rtol=2e-3)
