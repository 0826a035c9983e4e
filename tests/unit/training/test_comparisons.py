"""Beside a run: from random weights, and on shares of the data, whose every comparison is fair and can be resumed."""

import json
from pathlib import Path

import pytest

from speechxfer import evaluate, finetune, load_model, read_manifest
from speechxfer.errors import RecipeError
from speechxfer.recipe import Recipe, read_recipe
from speechxfer.training import stages


def recipe(model, manifest, proof, **training) -> Recipe:
    tree = {
        "task": "classification",
        "model": {"path": str(model)},
        "data": {"train": str(manifest)},
        "training": {"epochs": 2, "batch_seconds": 4, "precision": "fp32"} | training,
        "proof": proof,
    }
    return Recipe.model_validate(tree)


def events_of(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]


def test_control_is_trained_beside_from_random_weights(small_whisper, tones, tmp_path, undocumented):
    # Another seed than the fixture's, or the random control would be the very same model.
    report = finetune(recipe(small_whisper, tones, {"control": "scratch"}, seed=5), tmp_path / "run")
    assert report["control"]["kind"] == "scratch" and not undocumented(report)
    assert report["control"]["sets"].keys() == {"dev", "test"}
    gain = report["control"]["gain"]
    errors = [1 - scores["sets"]["test"]["accuracy"] for scores in (report["control"], report)]
    assert [gain["overall"]["before"], gain["overall"]["after"]] == pytest.approx(errors)
    assert gain["sentence"].startswith("transfer: no evidence over speakers: 1 speaker only, and")
    pretrained, control = (
        [event["loss"] for event in events_of(directory) if event["event"] == "epoch"]
        for directory in (tmp_path / "run", tmp_path / "run/control")
    )
    assert len(pretrained) == len(control) == 2 and pretrained != control


def test_a_run_is_compared_with_its_head_only_stage(small_whisper, tones, tmp_path):
    stages = [{"train": "head", "epochs": 2}, {"train": "top:1", "epochs": 6, "encoder_learning_rate": 1e-2}]
    report = finetune(recipe(small_whisper, tones, {}, stages=stages), tmp_path / "run")
    alone = finetune(recipe(small_whisper, tones, {}, stages=stages[:1]), tmp_path / "head")
    assert report["before"] == {"kind": "after the head-only stage", "sets": {"test": alone["sets"]["test"]}}
    assert "before" not in alone and "proof" not in alone  # it has nothing to be compared with
    overall = report["proof"]["test"]["overall"]
    assert overall["difference"] == pytest.approx(alone["sets"]["test"]["accuracy"] - report["sets"]["test"]["accuracy"])
    assert evaluate(tmp_path / "run", f"{tones}[split=test]").scores == report["sets"]["test"]  # its weights are its own again


def test_a_run_is_compared_with_a_model_that_can_do_the_task(small_whisper, tones, tmp_path):
    first = finetune(recipe(small_whisper, tones, {}), tmp_path / "first")
    kept = recipe(tmp_path / "first", tones, {}).model_dump(mode="json")
    report = finetune(
        Recipe.model_validate(kept | {"model": {"path": str(tmp_path / "first"), "vocabulary": "keep"}}), tmp_path / "run"
    )
    assert report["before"] == {"kind": "pretrained model", "sets": {"test": first["sets"]["test"]}}


@pytest.fixture
def seen(monkeypatch):
    """Collect the training sets of all runs, in order."""
    sets = []
    original = stages.make_training_set

    def spy(recipe, speech_model, given, augmenter):
        sets.append(given["train"])
        return original(recipe, speech_model, given, augmenter)

    monkeypatch.setattr(stages, "make_training_set", spy)
    return sets


def test_learning_curve_trains_on_nested_shares_with_as_many_steps(small_whisper, tones, tmp_path, seen, undocumented):
    report = finetune(recipe(small_whisper, tones, {"learning_curve": [50, 10, 100]}, batch_seconds=1000), tmp_path / "run")
    whole, tenth, half = ({*manifest.columns["id"]} for manifest in seen)
    assert tenth < half < whole and (len(tenth), len(half), len(whole)) == (4, 20, 40)
    assert all({*manifest.columns["label"]} == {"a", "b"} for manifest in seen)
    curve = report["learning_curve"]
    assert not undocumented(report)
    assert [(point["share"], point["utterances"]) for point in curve["points"]] == [(10, 4), (50, 20), (100, 40)]
    minutes = [point["minutes"] for point in curve["points"]]
    assert minutes == sorted(minutes)
    assert curve["points"][2]["test"] == pytest.approx(1 - report["sets"]["test"]["accuracy"])
    assert curve["measure"] == "error"
    assert (tmp_path / "run/learning_curve.svg").read_text().startswith("<?xml")
    epochs = {
        share: sum(event["event"] == "epoch" for event in events_of(tmp_path / "run" / share))
        for share in ("share-10", "share-50", "")
    }
    assert epochs == {"share-10": 2, "share-50": 2, "": 2}  # one batch holds everything
    assert load_model(tmp_path / "run").labels == ("a", "b")


def test_a_stopped_learning_curve_is_resumed_and_finished_shares_are_not_trained_again(small_whisper, tones, tmp_path, seen):
    class DeadError(Exception):
        pass

    def die(event):
        if event["event"] == "note" and "50 %" in event["text"]:
            raise DeadError

    asked = recipe(small_whisper, tones, {"control": "scratch", "learning_curve": [10, 50]})
    whole = finetune(asked, tmp_path / "whole")
    with pytest.raises(DeadError):
        finetune(asked, tmp_path / "run", die)
    epochs = []
    resumed = finetune(asked, tmp_path / "run", lambda event: epochs.append(event["event"] == "epoch"), resume=True)
    assert sum(epochs) == 4  # of the half alone
    assert resumed["learning_curve"] == whole["learning_curve"]
    assert resumed["control"] == whole["control"]
    assert not list((tmp_path / "run").rglob("latest.safetensors"))


def test_mixed_speech_is_not_thinned_out(small_whisper, tones, tmp_path, seen):
    tree = recipe(small_whisper, tones, {"learning_curve": [50]}).model_dump(mode="json", exclude_none=True)
    tree["data"] |= {"train": f"{tones}[split=train]", "dev": f"{tones}[split=dev]", "test": f"{tones}[split=test]"}
    tree["data"]["mix"] = f"{tones}[split=dev]"
    report = finetune(Recipe.model_validate(tree), tmp_path / "run")
    assert [point["utterances"] for point in report["learning_curve"]["points"]] == [20, 40]
    assert len(read_manifest(f"{tones}[split=train]")) == 40


def test_shares_of_a_set_too_small_for_them_are_trained_on_once(small_whisper, tones, tmp_path, seen):
    report = finetune(recipe(small_whisper, tones, {"learning_curve": [1, 2, 99, 100]}), tmp_path / "run")
    assert [point["utterances"] for point in report["learning_curve"]["points"]] == [1, 40]
    assert len(seen) == 2


def test_a_share_takes_about_as_many_steps_as_the_whole(small_whisper, tones, tmp_path):
    report = finetune(recipe(small_whisper, tones, {"learning_curve": [10, 50]}, patience=5), tmp_path / "run")
    (stage,) = report["training"]["stages"]
    for share in ("share-10", "share-50"):
        (end,) = [event for event in events_of(tmp_path / "run" / share) if event["event"] == "stage_end"]
        assert end["steps"] == pytest.approx(stage["steps"], rel=0.15)
    assert read_recipe(tmp_path / "run/share-10/recipe.yaml").training.patience > 5


@pytest.mark.parametrize("shares", ["[0]", "[101]", "[10,x]"])
def test_shares_are_per_cents(small_whisper, tones, tmp_path, shares):
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe(small_whisper, tones, {}).to_yaml())
    with pytest.raises(RecipeError, match=r"proof\.learning_curve.*whole per cents from 1 to 100"):
        read_recipe(file, [f"proof.learning_curve={shares}"])
