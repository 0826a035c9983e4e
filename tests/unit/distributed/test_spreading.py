"""What a cluster computes is what one machine computes: scores, features, and an error where there is one."""

import functools
import time
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


def waiter(longest):
    """Give what takes the less time the later it is asked."""

    def wait(number):
        if number == longest:
            raise ValueError(f"{number} is not to be waited for")
        time.sleep((longest - number) / 10)
        return number

    return wait


def test_results_come_in_the_order_of_their_parts_and_errors_without_a_traceback(cluster):
    spread = on_cluster(cluster.address)
    assert [*spread(functools.partial(waiter, 9), [])] == []
    assert [*spread(functools.partial(waiter, 9), range(6))] == [*range(6)]
    with pytest.raises(ClusterError, match=r"^the work stopped: 5 is not to be waited for$"):
        [*spread(functools.partial(waiter, 5), [5])]
    with pytest.raises(ClusterError, match="nowhere: no such model directory"):
        [*on_cluster(cluster.address, model="nowhere")(functools.partial(waiter, 3), [1])]


def test_scores_are_those_of_one_machine(cluster, tones, monkeypatch):
    expected = evaluate("tiny", tones, precision="fp32")
    monkeypatch.setattr("speechxfer.evaluation.scoring._PART_SECONDS", 4.0)
    found = evaluate("tiny", tones, precision="fp32", spread=on_cluster(cluster.address, model="tiny"))
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


def test_a_store_is_filled_as_on_one_machine(cluster, small_models, tones, tmp_path):
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
