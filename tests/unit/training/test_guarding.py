"""The guard's arm: a run made to forget is refused or remedied; one that forgets nothing is let through."""

import csv
import json

import pytest
import torch

from speechxfer import evaluate, finetune, load_model
from speechxfer.errors import DataError
from speechxfer.models import SplitModel
from speechxfer.recipe import Recipe


@pytest.fixture(scope="module")
def sets(tones, tmp_path_factory):
    """Give what everybody knows, of twelve speakers, and what only a newcomer says: all is called `b`."""
    directory = tmp_path_factory.mktemp("guard")
    with tones.open() as file:
        rows = [row | {"audio": str(tones.parent / row["audio"])} for row in csv.DictReader(file)]
    old = [row | {"speaker": f"s{number % 12}"} for number, row in enumerate(rows)]
    new = [row | {"label": "b"} for row in rows]
    for name, table in (("old", old), ("new", new)):
        with (directory / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(table)
    return directory


@pytest.fixture(scope="module")
def base(small_whisper, sets, tmp_path_factory):
    """Give a model that knows the tones."""
    out = tmp_path_factory.mktemp("base") / "run"
    tree = {
        "task": "classification",
        "model": {"path": str(small_whisper), "train": "top:2"},
        "data": {"train": str(sets / "old.csv")},
        "training": {"epochs": 12, "batch_seconds": 4, "encoder_learning_rate": 3e-3, "head_learning_rate": 1e-2},
    }
    report = finetune(Recipe.model_validate(tree), out)
    assert report["sets"]["dev"]["accuracy"] > 0.9
    return out


@pytest.fixture
def recipe(base, sets):
    def make(train="new", epochs=6, guard=None):
        return Recipe.model_validate(
            {
                "task": "classification",
                "model": {"path": str(base), "train": "head", "vocabulary": "keep"},
                "data": {"train": str(sets / f"{train}.csv"), "guard": f"{sets / 'old.csv'}"},
                "training": {"epochs": epochs, "batch_seconds": 4, "head_learning_rate": 1e-2},
                "guard": guard or {},
            }
        )

    return make


def test_a_run_that_forgets_is_refused_and_saved_as_a_candidate(recipe, tmp_path, sets):
    report = finetune(recipe(epochs=30), tmp_path / "run")
    guard = report["guard"]
    assert guard["outcome"] == "refused" and guard["verdicts"]["guard"]["outcome"] == "broken"
    assert report["model"] == str(tmp_path / "run/candidate") and not (tmp_path / "run/model").exists()
    lost = guard["before"]["guard"]["accuracy"] - guard["after"]["guard"]["accuracy"]
    assert guard["verdicts"]["guard"]["difference"]["difference"] == pytest.approx(lost) and lost > 0.1
    assert evaluate(tmp_path / "run/candidate", sets / "old.csv").scores["accuracy"] == guard["after"]["guard"]["accuracy"]
    notes = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert any(event.get("text", "").startswith("guard: broken: ") for event in notes)


def test_who_scripts_a_run_is_told_by_its_exit_code(recipe, tmp_path, speechxfer):
    (tmp_path / "recipe.yaml").write_text(recipe(epochs=30).to_yaml())
    code, _, said = speechxfer("finetune", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
    assert code == 1 and "the guard refuses this model" in said
    assert (tmp_path / "run/candidate").is_dir() and not (tmp_path / "run/model").exists()


def test_a_run_that_forgets_nothing_passes(recipe, tmp_path):
    report = finetune(recipe(train="old", epochs=1, guard={"max_regression": 0.2}), tmp_path / "run")
    assert report["guard"]["outcome"] == "accepted" and (tmp_path / "run/model/config.json").is_file()
    assert report["guard"]["verdicts"]["guard"]["outcome"] == "intact"


def test_undecided_is_let_through_or_stopped_as_the_recipe_says(recipe, tmp_path):
    # One speaker proves nothing.
    for undecided, outcome in (("warn", "accepted"), ("stop", "refused")):
        few = recipe(train="old", epochs=1, guard={"undecided": undecided})
        data = few.data.model_copy(update={"guard": [f"{few.data.guard[0]}[speaker=s1]"]})
        report = finetune(few.model_copy(update={"data": data}), tmp_path / undecided)
        assert report["guard"]["verdicts"]["guard"]["outcome"] == "undecided"
        assert report["guard"]["outcome"] == outcome


@pytest.fixture
def listened(monkeypatch):
    """Count the utterances that go through the encoder."""
    counts, original = [], SplitModel.prefix

    def counting(split, inputs):
        counts.append(len(inputs.lengths))
        return original(split, inputs)

    monkeypatch.setattr(SplitModel, "prefix", counting)
    return counts


def test_the_remedy_mixes_the_weights_before_and_after(recipe, base, tmp_path, listened, undocumented):
    generous = {"remedy": "auto", "max_regression": 0.3}
    report = finetune(recipe(epochs=30, guard=generous), tmp_path / "run")
    assert not undocumented(report)
    guard = report["guard"]
    # Train and dev; the guard before and after; dev and half of the guard once for all mixtures, the other half for the one that
    # is chosen; dev and test of the result, and test before.
    assert sum(listened) == 50 + 2 * 60 + (10 + 30) + 30 + 20 + 10
    assert guard["verdicts"]["guard"]["outcome"] != "intact" and guard["remedy"] == "interpolate"
    share = guard["share"]
    assert 0 < share < 1 and [point["share"] for point in guard["trade_off"]] == pytest.approx([n / 10 for n in range(11)])
    finetune(recipe(epochs=30), tmp_path / "tuned")
    start, tuned = load_model(base).model.state_dict(), load_model(tmp_path / "tuned/candidate").model.state_dict()
    for name, weight in load_model(report["model"]).model.state_dict().items():
        torch.testing.assert_close(weight, start[name] + share * (tuned[name] - start[name]), atol=1e-5, rtol=1e-5)
    ends = guard["trade_off"][0], guard["trade_off"][-1]
    assert ends[0]["losses"]["guard"] == 0 < ends[1]["losses"]["guard"]


def test_a_guard_needs_something_to_compare_with(recipe, small_whisper):
    tree = recipe().model_dump(mode="json") | {"model": {"path": str(small_whisper)}}
    with pytest.raises(DataError, match=r"data\.guard: nothing to compare the result with"):
        finetune(Recipe.model_validate(tree), "unused")
