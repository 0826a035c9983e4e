"""Which model to take: evidence by its definition, probes that cannot recognise speakers, an order that says how sure it is."""

import json

import numpy as np
import pytest
import soundfile
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from speechxfer.adaptation import rank
from speechxfer.adaptation.layer_probe import LayerScore, probe_layer
from speechxfer.adaptation.logme import logme
from speechxfer.adaptation.ranking import _Findings, _ordered, _verdict
from speechxfer.data import parse_manifest
from speechxfer.errors import DataError
from speechxfer.models import SplitModel


@pytest.mark.parametrize("width", [5, 40])
def test_evidence_is_that_of_the_best_precisions(width):
    random = np.random.default_rng(0)
    features = random.normal(size=(30, width))
    target = features[:, :1] @ [[0.7]] + random.normal(0, 0.5, (30, 1))
    rows, wanted = features - features.mean(axis=0), (target - target.mean(axis=0))[:, 0]

    def evidence(logs):
        covariance = np.exp(logs[0]) * rows @ rows.T + np.exp(logs[1]) * np.eye(30)
        return multivariate_normal.logpdf(wanted, np.zeros(30), covariance) / 30

    best = max(-minimize(lambda logs: -evidence(logs), start, method="Nelder-Mead").fun for start in ((0, 0), (-4, -1)))
    assert logme(features, target) == pytest.approx(best, abs=2e-3)
    assert logme(features, target) > logme(random.normal(size=(30, width)), target)


def test_a_probe_does_not_profit_from_knowing_speakers():
    random = np.random.default_rng(0)
    blocks = np.repeat([f"s{number}" for number in range(10)], 20)
    labels = np.where(np.arange(200) // 20 % 2 == 0, random.random(200) < 0.9, random.random(200) < 0.1).astype(int)
    targets = np.eye(2)[labels]
    speaker = np.eye(10)[np.repeat(np.arange(10), 20)] + random.normal(0, 0.01, (200, 10))
    content = targets + random.normal(0, 0.1, (200, 2))
    assert probe_layer(content, targets, blocks, "classification")[0].probe > 0.95
    assert probe_layer(speaker, targets, blocks, "classification")[0].probe < 0.65
    assert probe_layer(content, targets, blocks, "ctc")[0].probe > 0.8
    assert probe_layer(random.normal(size=(200, 2)), targets, blocks, "ctc")[0].probe < 0.05


def found_by(scores, parameters):
    blocks = np.repeat([f"s{number}" for number in range(10)], 20)
    found = {
        name: _Findings((LayerScore(float(right.mean()), 0.0),), right, blocks, "speaker", parameters[name], 0.1, None)
        for name, right in scores.items()
    }
    candidates, within = _ordered(found)
    return candidates, within, _verdict(candidates, within)


def test_order_noise_and_verdict():
    random = np.random.default_rng(0)
    draw = {name: (random.random(200) < share).astype(float) for name, share in (("poor", 0.5), ("random", 0.2))}
    draw["good"] = (random.random(200) < 0.9).astype(float)
    twin = draw["good"].copy()
    twin[[3, 50, 120]] = 0.0
    twin[np.flatnonzero(draw["good"] == 0)[:2]] = 1.0  # other mistakes, one more of them
    sizes = {"poor": 10, "random": 10, "good": 40, "small": 10}
    candidates, within, verdict = found_by({**draw, "small": twin}, sizes)
    assert [one.model for one in candidates] == ["good", "small", "poor", "random"]
    assert within == ("small",)
    assert "small is within noise and 4.0 times smaller: take that. A head alone is right in about 9" in verdict
    assert sum(one.first_share for one in candidates) == pytest.approx(1)
    best = candidates[0]
    assert best.interval[0] < best.score < best.interval[1]
    _, within, verdict = found_by({name: draw[name] for name in ("good", "poor")}, sizes)
    assert within == () and "no other is within noise" in verdict
    _, _, verdict = found_by({"random": draw["good"], "poor": draw["poor"]}, sizes)
    assert "No model does clearly better than random weights" in verdict


@pytest.mark.parametrize("task", ["ctc", "classification"])
def test_from_audio_to_a_verdict(tones, small_models, speechxfer, task):
    models = f"{small_models['whisper']},{small_models['wav2vec2-layer']},random"
    code, said, error = speechxfer("rank", tones, "--models", models, "--task", task, "--json")
    assert code == 0, error
    found = json.loads(said)
    assert (found["utterances"], found["folds_over"], found["draws_over"]) == (60, "speaker", "utterance")
    assert sorted(one["model"] for one in found["candidates"]) == sorted(models.split(","))
    scores = [one["score"] for one in found["candidates"]]
    assert scores == sorted(scores, reverse=True)
    for one in found["candidates"]:
        assert len(one["layers"]) == 4
        probes = [layer["probe"] for layer in one["layers"]]
        assert probes[one["best_layer"]] == max(probes)
        assert one["score"] == pytest.approx(probes[-1]) and bool(one["head"]) == (task == "ctc")
        assert one["weights_mb"] == pytest.approx(one["parameters"] * 4 / 2**20, abs=0.1)
    assert scores[0] > 0.9  # tones are easy to tell apart
    assert ("Expect WER of about" in found["verdict"]) == (task == "ctc") or "random weights" in found["verdict"]


def test_the_same_twice_and_a_table(tones, small_whisper, speechxfer):
    first, second = (rank(parse_manifest(tones), [str(small_whisper), "random"], "classification") for _ in range(2))
    assert [(one.model, one.score, one.layers) for one in first.candidates] == [
        (one.model, one.score, one.layers) for one in second.candidates
    ]
    code, said, _ = speechxfer("rank", tones, "--models", small_whisper, "--task", "classification")
    assert code == 0
    assert "there is no other to compare it with" in said


def test_what_cannot_be_ranked(tones, small_whisper, speechxfer):
    code, _, error = speechxfer("rank", tones, "--models", "random", "--task", "ctc")
    assert (code, "beside random" in error) == (2, True)
    with pytest.raises(DataError, match="10 utterances that all models take, expected 20"):
        rank(parse_manifest(f"{tones}[speaker=s1]"), [str(small_whisper)], "classification")
    one_label = parse_manifest(tones)
    one_label.columns["label"] = ["a"] * len(one_label)
    with pytest.raises(DataError, match="one label only, 'a'"):
        rank(one_label, [str(small_whisper)], "classification")


@pytest.mark.parametrize("name", ["whisper", "wav2vec2-group"])
def test_each_recording_is_encoded_once(tones, small_models, tmp_path, monkeypatch, name):
    counts = [0]
    original = SplitModel.prefix

    def counting(split, inputs):
        counts[0] += len(inputs.lengths)
        return original(split, inputs)

    monkeypatch.setattr(SplitModel, "prefix", counting)
    first, again = (
        (rank(parse_manifest(tones), [str(small_models[name])], "ctc", store=tmp_path / "store"), counts[0]) for _ in range(2)
    )
    assert (first[1], again[1] - first[1]) == (60, 0)  # probes of layers and head share a forward
    assert first[0].candidates[0].head == again[0].candidates[0].head


def test_how_far_the_data_is_from_where_the_model_is_to_work(tones, small_whisper, tmp_path, speechxfer):
    manifest = parse_manifest(tones)
    noisy = tmp_path / "noisy.csv"
    rows = []
    for number, utterance in enumerate(manifest):
        samples, rate = soundfile.read(utterance.audio)
        soundfile.write(tmp_path / f"{number}.wav", samples + np.random.default_rng(number).normal(0, 0.1, len(samples)), rate)
        rows.append(f"{number}.wav,{utterance.fields['speaker']}")
    noisy.write_text("audio,speaker\n" + "\n".join(rows) + "\n")
    near, far = (
        rank(manifest, [str(small_whisper)], "classification", target=parse_manifest(path)).candidates[0].gap
        for path in (tones, noisy)
    )
    assert far.a_distance.exceeds_halves and not near.a_distance.exceeds_halves
    assert far.a_distance.between > near.a_distance.between
    words = ("--models", small_whisper, "--task", "classification", "--target", noisy)
    _, said, _ = speechxfer("rank", tones, *words, "--json")
    assert json.loads(said)["candidates"][0]["gap"]["a_distance"]["between"] == pytest.approx(far.a_distance.between)
    code, said, _ = speechxfer("rank", tones, *words)
    assert code == 0 and f"{far.a_distance.between:.2f}" in said
