"""The verb: a run learns, writes what it promises, is a function of its seed, and says what is wrong before it begins."""

import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechxfer import evaluate, finetune, load_model, read_recipe
from speechxfer.errors import DataError, TrainingError
from speechxfer.evaluation import term_counts
from speechxfer.recipe import Recipe
from speechxfer.report import read_answers
from speechxfer.training import loop, stages, state, step
from speechxfer.training.preparation import prepare


def recipe(model, manifest, **changes) -> Recipe:
    tree = {
        "task": "classification",
        "model": {"path": str(model), "train": "all"},
        "data": {"train": str(manifest)},
        "training": {"epochs": 6, "batch_seconds": 4, "encoder_learning_rate": 3e-3, "head_learning_rate": 1e-2},
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            tree.setdefault(section, {})[key] = value
        else:
            tree[section] = value
    tree["training"].setdefault("precision", "fp32")
    return Recipe.model_validate(tree)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_model(run).model.state_dict()


def test_classification_run_learns_and_writes_what_it_promises(small_whisper, tones, tmp_path):
    events = []
    report = finetune(recipe(small_whisper, tones), tmp_path / "run", events.append)
    assert report["sets"]["test"]["accuracy"] >= 0.9
    assert report["sets"]["test"]["utterances"] == 10
    written = {path.name for path in (tmp_path / "run").iterdir()}
    for_people = {"report.html", "answers.csv"}
    assert written == {"recipe.yaml", "environment.json", "log.jsonl", "checkpoints", "model", "report.json"} | for_people
    assert json.loads((tmp_path / "run/report.json").read_text()) == json.loads(json.dumps(report))
    for name in ("report.json", *for_people):
        assert (tmp_path / "run" / name).stat().st_mode & 0o077 == 0
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log if record["event"] == "epoch"] == [1, 2, 3, 4, 5, 6]
    assert sum(event["event"] == "step" for event in events) == sum(s["steps"] for s in report["training"]["stages"])
    assert read_recipe(tmp_path / "run/recipe.yaml") == recipe(small_whisper, tones)


def test_the_time_of_an_epoch_is_that_of_training_alone(small_whisper, tones, tmp_path, monkeypatch):
    def slowly(*given, **more):
        time.sleep(2)
        return real(*given, **more)

    real = stages.score_set
    monkeypatch.setattr(stages, "score_set", slowly)
    finetune(recipe(small_whisper, tones, training__epochs=2), tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [record["train_seconds"] < 2 for record in log if record["event"] == "epoch"] == [True, True]


def test_saved_model_scores_as_the_run_did(small_whisper, tones, tmp_path):
    report = finetune(recipe(small_whisper, tones, model__train="top:1"), tmp_path / "run")
    again = evaluate(tmp_path / "run", f"{tones}[split=test]", precision="fp32")
    assert again.scores == json.loads(json.dumps(report["sets"]["test"])) | {
        "accuracy_interval": report["sets"]["test"]["accuracy_interval"]
    }


def test_ctc_run_spells_tones(small_whisper, tones, tmp_path):
    changes = {"task": "ctc", "model__train": "head", "training__head_learning_rate": 5e-2, "training__epochs": 20}
    report = finetune(recipe(small_whisper, tones, **changes), tmp_path / "run")
    assert report["sets"]["dev"]["cer"] <= 0.35
    assert report["sets"]["dev"]["normaliser"] == "basic"
    assert load_model(tmp_path / "run").vocabulary.symbols == ("a", "b")


def test_words_of_interest_are_counted_before_and_after(small_whisper, tones, tmp_path, speechxfer, undocumented):
    terms = tmp_path / "terms.txt"
    terms.write_text("aa\nb => B!\n")
    changes = {"task": "ctc", "model__train": "head", "training__head_learning_rate": 5e-2, "training__epochs": 20}
    finetune(recipe(small_whisper, tones, **changes), tmp_path / "first")
    changes |= {"model__vocabulary": "keep", "training__epochs": 1, "data__terms": str(terms)}
    report = finetune(recipe(tmp_path / "first", tones, **changes), tmp_path / "run")
    assert not undocumented(report) and undocumented({"sets": {"dev": {"bler": 1}}, "proof": []}) == {"bler"}
    _, rows = read_answers(tmp_path / "run/answers.csv")
    after, before = (part["sets"]["test"]["terms"] for part in (report, report["before"]))
    assert after == term_counts(rows.references, rows.answers, ["aa", "b"]).to_dict()
    assert before["hits"] + before["missed"] == after["hits"] + after["missed"] > 0
    assert "terms: " in (tmp_path / "run/report.html").read_text()
    spec = f"{tones}[split=test]"
    code, out, _ = speechxfer("evaluate", tmp_path / "run", spec, "--terms", terms, "--precision", "fp32")
    assert code == 0 and f"terms: {after['hits']} of {after['hits'] + after['missed']} heard" in " ".join(out.split())


@pytest.mark.parametrize("train", ["head", "top:1", "all"])
def test_the_store_changes_nothing(small_whisper, tones, tmp_path, train):
    changes = {"model__train": train, "training__epochs": 2, "store__dtype": "float32", "augment__time_masks_per_second": 2.0}
    kept = finetune(recipe(small_whisper, tones, **changes), tmp_path / "kept")
    computed = finetune(recipe(small_whisper, tones, store__enabled=False, **changes), tmp_path / "computed")
    assert kept["training"]["stages"][0]["steps"] == computed["training"]["stages"][0]["steps"]
    for name, tensor in weights(tmp_path / "kept").items():
        # Batches of the frozen part differ between the two, so they agree to rounding and not to the bit.
        torch.testing.assert_close(tensor, weights(tmp_path / "computed")[name], atol=2e-4, rtol=2e-3)


@pytest.mark.parametrize("name", ["wav2vec2-group", "wav2vec2-layer"])
@pytest.mark.parametrize("train", ["head", "encoder", "all"])
def test_a_waveform_model_is_tuned_and_plain_transformers_loads_it(small_models, tones, tmp_path, name, train):
    from transformers import Wav2Vec2ForCTC

    masks = {"augment__time_masks_per_second": 2.0, "augment__feature_masks": 1, "augment__feature_mask_width": 4}
    changes = {"task": "ctc", "model__train": train, "training__epochs": 3, "store__dtype": "float32", **masks}
    for kept in (True, False):
        report = finetune(recipe(small_models[name], tones, store__enabled=kept, **changes), tmp_path / str(kept))
    for name, tensor in weights(tmp_path / "True").items():
        torch.testing.assert_close(tensor, weights(tmp_path / "False")[name], atol=2e-3, rtol=2e-2)
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / kept / "log.jsonl").read_text().splitlines() if '"epoch"' in line[:20]]
        for kept in ("True", "False")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3) and losses[0][-1] < losses[0][0]
    assert report["sets"]["test"]["utterances"] == 10
    assert Wav2Vec2ForCTC.from_pretrained(tmp_path / "True/model").config.vocab_size == 3


def test_a_run_is_a_function_of_its_seed(small_whisper, tones, tmp_path):
    changes = {"model__train": "top:2", "training__epochs": 2, "model__head_dropout": 0.2, "augment__speed": [0.9, 1.1]}
    changes |= {"augment__views": 2, "augment__feature_masks": 1}
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        finetune(recipe(small_whisper, tones, training__seed=seed, **changes), tmp_path / name)
    one, two, other = (weights(tmp_path / name) for name in ("one", "two", "other"))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert not torch.equal(one["head.output.weight"], other["head.output.weight"])


def test_stages_follow_each_other_on_one_model(small_whisper, tones, tmp_path):
    stages = [{"train": "head", "epochs": 2}, {"train": "top:1", "epochs": 1, "head_learning_rate": 1e-3}]
    report = finetune(recipe(small_whisper, tones, training__stages=stages), tmp_path / "run")
    assert [(s["train"], s["cut"]) for s in report["training"]["stages"]] == [
        ("head", "after the encoder"),
        ("top:1", "before layer 2"),
    ]
    pretrained = load_file_weights(small_whisper)
    tuned = weights(tmp_path / "run")
    assert torch.equal(tuned["encoder.layers.1.fc1.weight"], pretrained["encoder.layers.1.fc1.weight"])
    assert not torch.equal(tuned["encoder.layers.2.fc1.weight"], pretrained["encoder.layers.2.fc1.weight"])


def load_file_weights(directory):
    from safetensors.torch import load_file

    return {name.removeprefix("model."): tensor for name, tensor in load_file(directory / "model.safetensors").items()}


def test_lora_is_merged_and_its_adapter_kept_beside_if_it_fits_the_pretrained_encoder(small_models, tones, tmp_path):
    head, lora = {"train": "head", "epochs": 1}, {"train": "lora:2", "epochs": 2, "encoder_learning_rate": 1e-2}
    pretrained = small_models["wav2vec2-layer"]
    finetune(recipe(pretrained, tones, task="ctc", training__stages=[head, lora]), tmp_path / "run")
    assert {file.name for file in (tmp_path / "run/adapter").iterdir()} >= {"adapter_model.safetensors", "head.safetensors"}
    tuned, plain = weights(tmp_path / "run"), load_file_weights(pretrained)
    name = "encoder.layers.0.attention.q_proj.weight"
    assert not torch.equal(tuned[f"wav2vec2.{name}"], plain[name])
    assert not any("lora" in key or "base_layer" in key for key in tuned)
    top = {"train": "top:1", "epochs": 1}
    finetune(recipe(pretrained, tones, task="ctc", training__stages=[top, lora]), tmp_path / "both")
    assert not (tmp_path / "both/adapter").exists()


def test_a_weighted_layer_sum_is_learned(small_whisper, tones, tmp_path):
    changes = {"model__train": "head", "model__weighted_layer_sum": True, "training__head_learning_rate": 5e-2}
    report = finetune(recipe(small_whisper, tones, **changes), tmp_path / "run")
    assert report["sets"]["test"]["accuracy"] >= 0.8
    assert weights(tmp_path / "run")["head.layer_weights"].abs().max() > 0.01
    masked = recipe(small_whisper, tones, augment__feature_masks=1, **changes)
    with pytest.raises(DataError, match="turn the masks off"):
        finetune(masked, tmp_path / "masked")


def test_a_fine_tuned_model_is_extended_and_its_task_and_normaliser_checked(small_whisper, tones, tmp_path):
    finetune(recipe(small_whisper, tones, task="ctc", model__train="head", model__head="blstm"), tmp_path / "first")
    rows = [(tones.parent / f"{n}.wav", "b1", "c", ("train", "train", "dev", "test")[n % 4]) for n in range(12)]
    manifest = write(tmp_path / "m.csv", [("audio", "text", "label", "split"), *rows])
    changes = {"task": "ctc", "model__vocabulary": "extend", "training__epochs": 1, "model__train": "head"}
    finetune(recipe(tmp_path / "first/model", manifest, proof__control="scratch", **changes), tmp_path / "second")
    extended, first = load_model(tmp_path / "second"), load_model(tmp_path / "first")
    assert extended.vocabulary.symbols == (*first.vocabulary.symbols, "1")
    assert extended.model.config.head == "blstm" and extended.model.head.output.out_features == 4
    kept = recipe(tmp_path / "first/model", manifest, **changes | {"model__vocabulary": "keep"})
    report = finetune(kept, tmp_path / "third")
    assert load_model(tmp_path / "third").vocabulary == first.vocabulary
    assert [note for note in report["notes"] if note.startswith("train: unknown to the model") and "'1' (6)" in note]
    for change, message in (
        ({"task": "classification"}, "a model of task ctc, but the recipe's task is classification"),
        ({"data__normaliser": "none"}, "went through the normaliser 'basic'"),
        ({"model__path": str(small_whisper)}, "without a head of ours"),
    ):
        with pytest.raises(DataError, match=message):
            finetune(recipe(tmp_path / "first/model", manifest, **changes | change), tmp_path / "never")


def test_labels_that_a_kept_head_lacks_are_problems(small_whisper, tones, tmp_path):
    changes = {"training__epochs": 1, "model__train": "head"}
    finetune(recipe(small_whisper, tones, **changes), tmp_path / "first")
    mean = load_model(tmp_path / "first").model.head.feature_mean
    rows = [(tones.parent / f"{n}.wav", "abc"[n // 4], ("train", "train", "dev", "test")[n % 4]) for n in range(12)]
    manifest = write(tmp_path / "m.csv", [("audio", "label", "split"), *rows])
    with pytest.raises(DataError, match=r"m.csv:10: the model has no label 'c'; model.vocabulary=extend adds it"):
        finetune(recipe(tmp_path / "first", manifest, model__vocabulary="keep", **changes), tmp_path / "never")
    finetune(recipe(tmp_path / "first", manifest, model__vocabulary="extend", **changes), tmp_path / "second")
    second = load_model(tmp_path / "second")
    assert second.labels == ("a", "b", "c") and torch.equal(second.model.head.feature_mean, mean)


def test_mixed_material_has_its_share_of_each_epoch(small_whisper, tones, tmp_path, monkeypatch):
    train = [(tones.parent / f"{n}.wav", "ab"[n % 2], "train" if n < 6 else "dev") for n in range(12)]
    mix = [(tones.parent / f"{n}.wav", "abc"[n % 3]) for n in range(20, 50)]
    manifest = write(tmp_path / "m.csv", [("audio", "label", "split"), *train])
    seen = []
    real = loop._plan_epoch

    def noted(*given):
        plan = real(*given)
        items = [given[0].views[row][view] for batch in plan for row, view in batch]
        seen.append([(item.utterance.audio, item.view) for item in items])
        return plan

    monkeypatch.setattr(loop, "_plan_epoch", noted)
    stages = [{"mix_share": 0.6, "epochs": 2}, {"epochs": 1}, {"mix_share": 0.99, "epochs": 1}]
    changes = {"data__mix": str(write(tmp_path / "mix.csv", [("audio", "label"), *mix])), "data__test": f"{manifest}[split=dev]"}
    changes |= {"training__stages": stages, "training__mix_share": 0, "augment__views": 2, "model__train": "head"}
    report = finetune(recipe(small_whisper, manifest, **changes), tmp_path / "run")
    assert [len(epoch) for epoch in seen] == [6 + 9, 6 + 9, 6, 6 + 30]
    own = {str(row[0]) for row in train[:6]}
    assert all({audio for audio, _ in epoch} >= own and len({audio for audio, _ in epoch}) == len(epoch) for epoch in seen)
    assert set(seen[0]) != set(seen[1])
    # A mixed clip has one view, always the same; all the labels that are trained on are known.
    assert len(set(seen[3]) | {pair for epoch in seen for pair in epoch if pair[0] not in own}) == 36
    assert load_model(tmp_path / "run").labels == ("a", "b", "c")
    assert report["sets"].keys() == {"dev", "test"}


def write(path: Path, rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_all_problems_of_all_sets_are_named_before_training(small_whisper, tones, tmp_path):
    clip = tones.parent / "0.wav"
    train = write(tmp_path / "train.csv", [("audio", "text"), (clip, "ab"), ("gone.wav", "a"), (clip, "?!")])
    dev = write(tmp_path / "dev.csv", [("audio", "text"), (clip, "a b" * 200), (tmp_path / "train.csv", "a")])
    changes = {"task": "ctc", "data__train": str(train), "data__dev": str(dev), "data__test": str(train)}
    with pytest.raises(DataError) as caught:
        finetune(recipe(small_whisper, tones, **changes), tmp_path / "run")
    message = str(caught.value)
    for expected in (
        "train.csv:3: ",
        "gone.wav: no such file",
        "train.csv:4: text is '?!'",
        "dev.csv:3: ",
        "dev.csv:2: 400 symbols",
    ):
        assert expected in message
    assert not (tmp_path / "run").exists()


def test_faults_of_data_model_noise_and_values_are_named_together(small_whisper, tones, tmp_path):
    noise = write(tmp_path / "noise.csv", [("audio",), ("hum.wav",)])
    text = write(tmp_path / "text.csv", [("audio", "txt"), (tones.parent / "0.wav", "ab")])
    changes = {"task": "ctc", "data__train": str(text), "data__dev": "gone.csv", "data__test": str(tones)}
    changes |= {"augment__noise": {"manifest": str(noise)}, "training__trackers": ["tensorbord"], "training__device": "abacus"}
    changes |= {"training__stages": [{"train": "head", "mix_share": 0.5}, {"train": "top:9"}], "data__on_bad_row": "skip"}
    with pytest.raises(DataError) as caught:
        finetune(recipe(small_whisper, tones, **changes), tmp_path / "run")
    for expected in (
        "text.csv:1: no column `text`; is it `txt`?",
        "gone.csv: cannot read the manifest",
        "noise.csv:2: ",
        "unknown tracker 'tensorbord'",
        "'abacus' cannot be used",
        "top:9, but the encoder has 3 layers",
        "mix_share is given, but data.mix is not",
    ):
        assert expected in str(caught.value)
    with pytest.raises(DataError, match=r"gone.csv[^$]*no such model directory"):
        finetune(recipe(tmp_path / "nowhere", tones, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bad_rows_are_skipped_and_named_when_asked(small_whisper, tones, tmp_path):
    rows = [("audio", "label", "split")]
    rows += [(tones.parent / f"{n}.wav", "ab"[n // 6], ("train", "dev", "test")[n % 3]) for n in range(12)]
    manifest = write(tmp_path / "m.csv", [*rows, ("gone.wav", "a", "train")])
    changes = {"data__on_bad_row": "skip", "training__epochs": 1, "model__train": "head"}
    report = finetune(recipe(small_whisper, manifest, **changes), tmp_path / "run")
    assert [note for note in report["notes"] if "left out" in note and "m.csv:14" in note]


def test_a_loss_that_is_not_finite_names_the_utterances(small_whisper, tones, tmp_path, monkeypatch):
    real = step.classification_losses

    def poisoned(logits, targets, smoothing):
        losses = real(logits, targets, smoothing)
        return torch.cat([losses[:1] * float("nan"), losses[1:]])

    monkeypatch.setattr(step, "classification_losses", poisoned)
    with pytest.raises(TrainingError, match=r"not finite.*\n  .*\.wav"):
        finetune(recipe(small_whisper, tones, model__train="head"), tmp_path / "run")


@pytest.mark.parametrize(("steps", "epoch"), [(1, 4), (300, 12)])
def test_a_collapsed_model_stops_with_advice_once_it_had_time(small_whisper, tones, tmp_path, monkeypatch, steps, epoch):
    monkeypatch.setattr("speechxfer.training.loop.COLLAPSED_STEPS", steps)
    changes = {"task": "ctc", "training__epochs": 12, "training__head_learning_rate": 1e-9, "model__train": "head"}
    events = []
    # A blank bias that the tiny rate can never undo.
    config = recipe(small_whisper, tones, **changes)
    original = state.make_optimizer

    def blank_only(split, *rates):
        split.model.head.output.bias.data[0] = 50.0
        return original(split, *rates)

    state.make_optimizer = blank_only
    try:
        report = finetune(config, tmp_path / "run", events.append)
    finally:
        state.make_optimizer = original
    (collapse,) = [event for event in events if event["event"] == "collapse"]
    assert "learning rate" in collapse["advice"] and collapse["epoch"] == epoch
    assert report["training"]["stages"][0]["collapsed"]


def test_unknown_symbols_and_labels_of_dev_and_test_are_reported(small_whisper, tones, tmp_path):
    rows = [(tones.parent / f"{n}.wav", "a" if n < 4 else "q", ("train", "train", "dev", "test")[n % 4]) for n in range(8)]
    manifest = write(tmp_path / "m.csv", [("audio", "label", "split"), *rows[:4], *rows[6:]])
    changes = {"training__epochs": 1, "model__train": "head"}
    report = finetune(recipe(small_whisper, manifest, **changes), tmp_path / "run")
    assert "test: unknown to the model, so never recognised: 'q'" in report["notes"]
    assert report["sets"]["test"]["counts"] == {"correct": 1, "wrong": 1}


def test_a_finished_run_is_not_overwritten(small_whisper, tones, tmp_path):
    changes = {"training__epochs": 1, "model__train": "head"}
    finetune(recipe(small_whisper, tones, **changes), tmp_path / "run")
    with pytest.raises(TrainingError, match="finished run"):
        finetune(recipe(small_whisper, tones, **changes), tmp_path / "run")


@pytest.fixture
def noise(tmp_path):
    """Return a manifest of ten seconds of hiss."""
    soundfile.write(tmp_path / "hiss.wav", np.random.default_rng(0).normal(0, 0.1, 160_000), 16_000)
    (tmp_path / "noise.csv").write_text("audio\nhiss.wav\n")
    return tmp_path / "noise.csv"


def test_where_nobody_speaks_nothing_is_to_be_written(small_whisper, tones, noise, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    near = noise.relative_to(tmp_path.parent)  # as a user names it
    given = recipe(small_whisper, tones, task="ctc", data__silence=str(near), training__epochs=1, augment__views=2)
    first, second = prepare(given), prepare(given)
    silent, train = first.sets["silence"], first.sets["train"]
    assert silent.columns == second.sets["silence"].columns
    assert len(silent) == round(0.1 * len(train)) == 4 and {*silent.columns["text"]} == {""}
    assert {*map(float, silent.columns["duration"])} <= {round(float(text), 3) for text in train.columns["duration"]}
    assert all(0 <= utterance.start < utterance.end <= 10 for utterance in silent) and len({*silent.columns["start"]}) == 4
    augmenter = stages.make_augmenter(given, first)
    made = stages.make_training_set(given, first.speech_model, first.sets, augmenter)
    assert made.num_own == len(made.views) == len(train) + 4  # each epoch has all of them
    assert [*map(len, made.views)] == [2] * len(train) + [1] * 4
    assert [target for targets in made.targets[-4:] for target in targets] == [[]] * 4
    report = finetune(given, tmp_path / "run")
    assert report["sets"].keys() == {"dev", "test"}
    with pytest.raises(ValueError, match="commands negatives"):
        recipe(small_whisper, tones, data__silence=str(noise))
