"""Self-training: nothing but the model's own answers is learned, and only what labelled speech says is better is kept."""

import json
from dataclasses import replace

import pytest

from speechxfer import evaluate, finetune, load_model
from speechxfer.adaptation import PseudoLabel, adapt, adapting, pseudo_label, pseudo_labels, spoken_stretches
from speechxfer.cli.demo_parts import ASSETS
from speechxfer.data import Manifest, check_sets, read_manifest
from speechxfer.decoding import answers
from speechxfer.errors import DataError, ModelError, RecipeError, RunDirectoryError, RunStoppedError
from speechxfer.evaluation.answering import Answer
from speechxfer.recipe import Recipe
from speechxfer.transcript import Segment
from tests.unit.training.test_resume import StopAt, assert_same, weights


def tree(model, tones, **data):
    return {
        "task": "ctc",
        "model": {"path": str(model), "vocabulary": "keep", "train": "head"},
        "data": {"train": "none", "dev": f"{tones}[split=dev]", "test": f"{tones}[split=test]"} | data,
        "augment": {"views": 2, "speed": [0.9, 1.1]},
        "training": {"epochs": 2, "batch_seconds": 2, "precision": "fp32", "device": "cpu"}
        | {"head_learning_rate": 2e-2, "mix_share": 0.8},
    }


@pytest.fixture(scope="module")
def model(small_whisper, tones, tmp_path_factory):
    """Give a run that has learned the tones of one speaker, a little."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    recipe = tree(small_whisper, tones, train=f"{tones}[speaker=s0]")
    recipe["model"]["vocabulary"] = "new"
    recipe["training"] |= {"epochs": 20, "head_learning_rate": 5e-2}
    finetune(Recipe.model_validate(recipe), run)
    return run


def writer_tree(model, tones, **data):
    recipe = tree(model, tones, **data) | {"task": "seq2seq", "model": {"path": str(model), "train": "all"}}
    recipe["training"] |= {"epochs": 6, "head_learning_rate": 3e-3, "encoder_learning_rate": 1e-3}
    return recipe


@pytest.fixture
def unlabelled(tones):
    return read_manifest(f"{tones}[split=train]")


def labelled(monkeypatch, write):
    """Let the teacher write what a function of the utterance gives; gives the list of teachers that were asked."""
    teachers = []

    def written(teacher, manifest, **_):
        teachers.append(teacher)
        return [PseudoLabel(write(utterance), 0.9, 0.0) for utterance in manifest]

    monkeypatch.setattr(adapting, "pseudo_label", written)
    return teachers


def test_the_texts_of_recordings_are_not_looked_at(model, unlabelled):
    checked = check_sets({"train": unlabelled}, "ctc")[0]["train"]
    columns = {**checked.columns, "text": ["b"] * len(checked)}
    other = Manifest(columns, checked.source, checked.lines)
    first, second = (pseudo_label(load_model(model), one, precision="fp32", device="cpu") for one in (checked, other))
    assert first == second
    assert [one.text for one in first] == evaluate(load_model(model), checked, precision="fp32", device="cpu").answers
    assert all(0 < one.confidence <= 1 for one in first if one.text)
    assert {one.disagreement > 0 for one in first} == {True, False}


def test_disagreement_is_that_of_the_worst_disturbed_answer(model, unlabelled, monkeypatch):
    checked = check_sets({"train": unlabelled.select([0, 1])}, "ctc")[0]["train"]
    texts = {
        one.id: label.text for one, label in zip(checked, pseudo_label(load_model(model), checked, device="cpu"), strict=True)
    }
    first, second = texts.values()
    changes = iter([{}, {first: f"{first}aa"}, {second: f"{second}b"}])

    def disturbed(split, source, items, *_):
        change = next(changes)
        return [change.get(texts[item.utterance.id], texts[item.utterance.id]) for item in items]

    monkeypatch.setattr(pseudo_labels, "_with_dropout", disturbed)
    found = pseudo_label(load_model(model), checked, device="cpu")
    assert first != second and [one.disagreement for one in found] == [2 / len(first), 1 / len(second)]


def test_dropout_disturbs(model, unlabelled):
    speech_model = load_model(model)
    checked = check_sets({"train": unlabelled}, "ctc")[0]["train"]
    calm = pseudo_label(speech_model, checked, device="cpu")
    for module in speech_model.model.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.5
    wild = pseudo_label(speech_model, checked, device="cpu")
    assert [one.text for one in wild] == [one.text for one in calm]
    assert sum(one.disagreement for one in wild) > 2 * sum(one.disagreement for one in calm)


def test_a_decoder_is_asked_about_disturbed_recordings(small_writer, unlabelled, monkeypatch):
    texts = {None: "Ab, a!", 0: "ab a", 1: "AB A", 2: "ab b"}
    asked = []

    def written(split, source, speech_model, items, precision, **options):
        asked.append((items[0].view, options.get("writing")))
        return [Answer(texts[item.view], Segment(texts[item.view], 0.0, 1.0, 0.5)) for item in items]

    monkeypatch.setattr(pseudo_labels, "answer", written)
    checked = check_sets({"train": unlabelled.select([0, 1])}, "seq2seq")[0]["train"]
    found = pseudo_label(load_model(small_writer), checked, device="cpu")
    assert found == [PseudoLabel("Ab, a!", 0.5, 1 / len("ab a"))] * 2
    assert asked == [(None, None), *((view, {"redraws": False}) for view in range(3))]


def test_a_decoder_learns_what_it_wrote_down(small_writer, tones, unlabelled, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "_TEMPERATURES", ())  # it does not think twice
    writer = tmp_path / "writer"
    finetune(Recipe.model_validate(writer_tree(small_writer, tones, train=f"{tones}[speaker=s0]")), writer)
    teachers = labelled(monkeypatch, lambda utterance: utterance.text)
    recipe = writer_tree(writer, tones, train=f"{tones}[speaker=s0]")
    result = adapt(Recipe.model_validate(recipe), unlabelled, tmp_path / "out", rounds=1)
    assert len(teachers) == 1 and teachers[0].tokens
    assert result.rounds[0].accepted and result.test["after"]["cer"] < result.test["before"]["cer"]
    assert load_model(result.model).tokens
    with pytest.raises(ModelError, match="a decoder is its own"):
        adapt(Recipe.model_validate(recipe), unlabelled, tmp_path / "lm", language_model=tmp_path / "x.arpa")
    with pytest.raises(ModelError, match="cannot write yet as task ctc does"):
        adapt(Recipe.model_validate(tree(writer, tones)), unlabelled, tmp_path / "ctc")


def test_true_texts_help_and_every_round_starts_from_the_old_weights(model, tones, unlabelled, tmp_path, monkeypatch):
    teachers = labelled(monkeypatch, lambda utterance: utterance.text)
    recipe = tree(model, tones)
    recipe["training"]["epochs"] = 5
    out = tmp_path / "out"
    result = adapt(Recipe.model_validate(recipe), unlabelled, out, reference=model)
    assert result.rounds[0].accepted and result.rounds[0].dev_error < result.dev_error
    assert (result.rounds[0].kept, result.rounds[0].of, result.rounds[0].pseudo_wer) == (40, 40, 0.0)
    assert all(
        f"path: {model}" in (out / f"round-{number}/recipe.yaml").read_text() for number in range(1, len(result.rounds) + 1)
    )
    assert_same(teachers[1].model.state_dict(), weights(out / "round-1"))
    last = max(number for number, one in enumerate(result.rounds, start=1) if one.accepted)
    assert_same(load_model(result.model).model.state_dict(), weights(out / f"round-{last}"))
    assert result.test["after"]["wer"] < result.test["before"]["wer"]
    assert result.recovered_share is None  # the reference is no better than where it began
    assert json.loads((out / "adapt.json").read_text()) == json.loads(json.dumps(result.to_dict()))


def test_few_labels_are_learned_beside_what_is_written_down(model, tones, unlabelled, tmp_path, monkeypatch):
    labelled(monkeypatch, lambda utterance: utterance.text)
    recipe = Recipe.model_validate(tree(model, tones, train=f"{tones}[speaker=s0]"))
    events = []
    adapt(recipe, unlabelled.where(speaker="s1"), tmp_path / "out", rounds=1, listener=events.append)
    sets = next(event["sets"] for event in events if event["event"] == "start")
    assert (sets["train"]["utterances"], sets["mix"]["utterances"]) == (10, 10)


def test_wrong_texts_are_found_out(model, tones, unlabelled, tmp_path, monkeypatch, speechxfer):
    labelled(monkeypatch, lambda utterance: "ab" if utterance.text[0] == "b" else "ba")
    recipe = tree(model, tones)
    (tmp_path / "adapt.yaml").write_text(Recipe.model_validate(recipe).to_yaml())
    spec = f"{tones}[split=train]"
    code, out, _ = speechxfer("adapt", tmp_path / "adapt.yaml", "--unlabelled", spec, "--out", tmp_path / "out", "--quiet")
    assert code == 1
    assert "no better" in " ".join(out.split()) and "the model you have is the one to keep" in " ".join(out.split())
    assert not (tmp_path / "out/model").exists()
    report = json.loads((tmp_path / "out/adapt.json").read_text())
    assert report["model"] is None and len(report["rounds"]) == 1 and report["rounds"][0]["pseudo_wer"] > 0.9


def test_what_the_guard_refuses_is_not_taken_however_good_dev_is(model, unlabelled):
    report = {"sets": {"dev": {"cer": 0.01}}, "guard": {"outcome": "refused"}}
    kept = check_sets({"train": unlabelled}, "ctc")[0]["train"]
    judged = adapting._judged(report, 0.5, kept, kept, load_model(model))
    assert not judged.accepted and "guard" in judged.why


def test_stopped_it_goes_on_to_the_same_weights(model, tones, unlabelled, tmp_path, monkeypatch):
    labelled(monkeypatch, lambda utterance: utterance.text)
    recipe = Recipe.model_validate(tree(model, tones))
    adapt(recipe, unlabelled, tmp_path / "whole")
    with pytest.raises(RunStoppedError):
        adapt(recipe, unlabelled, tmp_path / "stopped", listener=StopAt(3))
    with pytest.raises(RunDirectoryError, match="--resume"):
        adapt(recipe, unlabelled, tmp_path / "stopped")
    with pytest.raises(RunDirectoryError, match="its rounds were made with another max_disagreement"):
        adapt(recipe, unlabelled, tmp_path / "stopped", resume=True, max_disagreement=0.5)
    adapt(recipe, unlabelled, tmp_path / "stopped", resume=True)
    again = adapt(recipe, unlabelled, tmp_path / "stopped", resume=True)
    assert_same(load_model(again.model).model.state_dict(), load_model(tmp_path / "whole/model").model.state_dict())


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"data": {"dev": None}}, RecipeError, "data.dev: missing"),
        ({"data": {"dev": None, "test": None}}, RecipeError, "data.dev and data.test"),
        ({"model": {"vocabulary": "new"}}, RecipeError, "task seq2seq, or ctc with model.vocabulary keep"),
        ({"data": {"normaliser": "phonemes:en-us"}}, RecipeError, "pronounced again"),
    ],
)
def test_what_cannot_be_adapted_is_refused(model, tones, unlabelled, tmp_path, change, error, said):
    recipe = tree(model, tones)
    for section, values in change.items():
        recipe[section] |= values
    with pytest.raises(error, match=said):
        adapt(Recipe.model_validate(recipe), unlabelled, tmp_path / "out")


def test_a_model_that_cannot_write_is_refused(model, tones, unlabelled, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "load_model", lambda path: replace(load_model(path), vocabulary=None, labels=("a",)))
    with pytest.raises(ModelError, match="cannot write yet"):
        adapt(Recipe.model_validate(tree(model, tones)), unlabelled, tmp_path / "out")


def test_only_what_the_model_is_firm_about_is_learned(model, tones, unlabelled, tmp_path, monkeypatch):
    firmness = [(0.7, 0.2), (0.69, 0.0), (1.0, 0.21), (0.9, 0.1)] * 10

    def written(_, manifest, *, progress, **__):
        progress(len(manifest), len(manifest))
        return [PseudoLabel(one.text, *firm) for one, firm in zip(manifest, firmness, strict=True)]

    monkeypatch.setattr(adapting, "pseudo_label", written)
    events = []
    adapt(Recipe.model_validate(tree(model, tones)), unlabelled, tmp_path / "out", rounds=1, listener=events.append)
    kept = read_manifest(tmp_path / "out/round-1.csv").columns
    assert kept["id"] == [one for one, firm in zip(unlabelled.columns["id"], firmness, strict=True) if firm[0] in (0.7, 0.9)]
    assert events[0] == {"event": "heard", "round": 1, "utterances": 40, "of": 40}
    assert events[1]["text"] == "round 1: the model is firm about 20 of 40 utterances"


def test_too_little_that_is_firm_is_said(model, tones, unlabelled, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "pseudo_label", lambda _, rows, **__: [PseudoLabel("a", 0.5, 0.5)] * len(rows))
    with pytest.raises(DataError, match="firm about 0 of 40 utterances"):
        adapt(Recipe.model_validate(tree(model, tones)), unlabelled, tmp_path / "out")


def test_stretches_of_a_call_are_found_on_each_side(tmp_path):
    (tmp_path / "call.flac").symlink_to(ASSETS / "call.flac")
    found = spoken_stretches("tiny", str(tmp_path))
    turns = read_manifest(ASSETS / "call.csv")
    assert {utterance.channel for utterance in found} == {turn.channel for turn in turns}
    for turn in turns:
        overlap = sum(
            max(0.0, min(turn.end, one.end) - max(turn.start, one.start)) for one in found if one.channel == turn.channel
        )
        assert overlap > 0.8 * (turn.end - turn.start)
    checked = check_sets({"found": replace_texts(found)}, "ctc")[0]["found"]
    assert len(checked) == len(found)


def replace_texts(manifest):
    return Manifest({**manifest.columns, "text": ["x"] * len(manifest)}, manifest.source, manifest.lines)
