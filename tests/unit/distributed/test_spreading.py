"""What a cluster computes is what one machine computes: scores, features, and an error where there is one."""

import pickle
from contextlib import closing

import pytest
import torch

pytest.importorskip("ray")

from speechxfer import evaluate
from speechxfer.distributed import on_cluster
from speechxfer.errors import ClusterError
from speechxfer.features import RecordFile
from speechxfer.recipe import Recipe
from speechxfer.training import fill_store


def broken():
    """Give a function that always fails."""

    def fail(part):
        raise ValueError(f"{part} is not to be asked")

    return fail


def test_what_goes_wrong_on_a_worker_is_said_without_a_traceback(cluster):
    assert [*on_cluster(cluster.address)(broken, [])] == []
    with pytest.raises(ClusterError, match=r"^the work stopped: 5 is not to be asked$"):
        [*on_cluster(cluster.address, workers=1)(broken, [5])]


def test_scores_are_those_of_one_process(tones, monkeypatch):
    def elsewhere(make, parts):
        function = pickle.loads(pickle.dumps(make))()
        return (pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(part))))) for part in parts)

    expected = evaluate("tiny", tones, precision="fp32")
    monkeypatch.setattr("speechxfer.evaluation.scoring._PART_SECONDS", 4.0)
    found = evaluate("tiny", tones, precision="fp32", spread=elsewhere)
    assert found.answers == expected.answers and any(expected.answers)
    assert found.rows == expected.rows
    assert found.blank_share == pytest.approx(expected.blank_share)
    assert {**found.scores, "confidence": None} == {**expected.scores, "confidence": None}


def test_the_command_line_says_where(monkeypatch, tones, speechxfer):
    told = []

    def here(cluster, workers, model):
        told.append((cluster, workers, model))
        return lambda make, parts: map(make(), parts)

    monkeypatch.setattr("speechxfer.distributed.on_cluster", here, raising=False)
    words = ("evaluate", "tiny", tones, "--json")
    (_, alone, _), (_, there, _) = speechxfer(*words), speechxfer(*words, "--ray", "10.0.0.1:6379", "--workers", "3")
    assert alone == there and told == [("10.0.0.1:6379", 3, "tiny")]


def test_a_cluster_fills_a_store_as_one_machine_does(cluster, small_models, tones, tmp_path):
    def recipe(name):
        tree = {
            "task": "ctc",
            "model": {"path": str(small_models["wav2vec2-layer"])},
            "data": {"train": str(tones)},
            "augment": {"views": 2, "speed": [0.9, 1.1]},
            "store": {"dtype": "float32", "directory": str(tmp_path / name)},
            "training": {"batch_seconds": 2, "precision": "fp32", "stages": [{"train": "top:1"}]},
        }
        return Recipe.model_validate(tree)

    told = []
    count, _ = fill_store(recipe("here"))
    assert fill_store(recipe("there"), lambda *one: told.append(one), on_cluster(cluster.address))[0] == count == 90
    assert told[-1] == (90, 90)
    with closing(RecordFile(tmp_path / "here", "float32")) as here, closing(RecordFile(tmp_path / "there", "float32")) as there:
        keys = [*here]
        assert sorted(keys) == sorted(there) and len(keys) == count
        for key in keys:
            torch.testing.assert_close(here.get(key).frames, there.get(key).frames, atol=1e-5, rtol=1e-5)
    again = []
    fill_store(recipe("there"), lambda *one: again.append(one), on_cluster(cluster.address))
    assert again == [], "what is there is not computed again"
