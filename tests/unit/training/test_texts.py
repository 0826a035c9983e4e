"""What a recipe says about texts, from the run to its report: rules, pieces of words, phonemes, writing without spaces."""

import csv
import json

import pytest
import torch

from speechxfer import evaluate, finetune, load_model
from speechxfer.data import Vocabulary
from speechxfer.decoding import greedy
from speechxfer.errors import DataError
from speechxfer.models import new_head
from speechxfer.recipe import Recipe
from speechxfer.report import write_page


@pytest.fixture
def written(tones, tmp_path):
    """Return a function that gives the tones other texts, made of their own."""

    def write(change):
        with tones.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row |= {"text": change(row["text"]), "audio": str(tones.parent / row["audio"])}
        with (tmp_path / "m.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
        return tmp_path / "m.csv"

    return write


def recipe(path, manifest, *, model=None, data=None, training=None, **sections) -> Recipe:
    tree = {
        "task": "ctc",
        "model": {"path": str(path), "train": "head", **(model or {})},
        "data": {"train": str(manifest), **(data or {})},
        "training": {"epochs": 2, "batch_seconds": 4, "head_learning_rate": 5e-2, "precision": "fp32", **(training or {})},
    }
    return Recipe.model_validate(tree | sections)


def test_rules_are_saved_with_the_model_and_change_references_alike(small_whisper, written, tmp_path):
    manifest = written(lambda text: f"[noise] {text.upper()}!")
    rules = [[r"\[\w+\]", ""], ["A", "c c"], ["(B)", r"\1d"]]
    report = finetune(recipe(small_whisper, manifest, data={"rules": rules}), tmp_path / "run")
    model = load_model(tmp_path / "run")
    assert model.vocabulary.symbols == (" ", "b", "c", "d")
    assert model.normaliser == report["sets"]["test"]["normaliser"] == f"{json.dumps(rules)} basic"
    scored = evaluate(model, f"{manifest}[split=test]", precision="fp32")
    assert set("".join(scored.rows.references)) == set(" bcd")
    assert scored.scores["wer"] == report["sets"]["test"]["wer"]
    kept = recipe(tmp_path / "run", manifest, model={"vocabulary": "keep"}, data={"rules": rules[1:]})
    with pytest.raises(DataError, match=r"its texts went through the normaliser .*set data.normaliser and data.rules"):
        finetune(kept, tmp_path / "never")


def test_pieces_of_words_are_learned_and_extended(small_whisper, written, tmp_path):
    manifest = written(lambda text: " ".join({"a": "tea", "b": "toe"}[letter] for letter in text))
    report = finetune(recipe(small_whisper, manifest, model={"symbols": "bpe:12"}, training={"epochs": 20}), tmp_path / "run")
    ours = load_model(tmp_path / "run")
    assert {"tea", "toe"} <= set(ours.vocabulary.symbols) and ours.model.config.vocab_size == len(ours.vocabulary) <= 12
    assert report["sets"]["dev"]["cer"] <= 0.5
    with pytest.raises(DataError, match="bpe:3, but the training texts hold 5 different characters"):
        finetune(recipe(small_whisper, manifest, model={"symbols": "bpe:3"}), tmp_path / "never")
    extended = recipe(tmp_path / "run", written(lambda text: f"{text} x"), model={"vocabulary": "extend"}, training={"epochs": 1})
    finetune(extended, tmp_path / "second")
    longer = load_model(tmp_path / "second").vocabulary
    assert longer.symbols == (*ours.vocabulary.symbols, "b", "x") and longer.merges == ours.vocabulary.merges


def test_plain_transformers_writes_what_a_model_with_pieces_writes(small_models, clips, tmp_path):
    from transformers import AutoModelForCTC, AutoTokenizer

    torch.manual_seed(0)
    vocabulary = Vocabulary.from_texts(["tea toe tea", "tea toe"], 12)
    made = new_head(small_models["wav2vec2-layer"], "ctc", vocabulary=vocabulary)
    with torch.no_grad():
        made.model.lm_head.weight.mul_(5)  # sure of itself, as a trained head is, and seldom silent
        made.model.lm_head.bias.zero_()
    made.save(tmp_path)
    tokenizer, plain = (kind.from_pretrained(tmp_path) for kind in (AutoTokenizer, AutoModelForCTC))
    ours = load_model(tmp_path)
    for clip in clips[2:]:
        with torch.no_grad():
            logits = plain.eval()(ours.frontend(clip)[None]).logits[0]
        heard = greedy(logits.log_softmax(-1), ours.vocabulary, 0.02).text
        assert " ".join(tokenizer.decode(logits.argmax(-1)).split()) == heard
        assert len(set(heard)) > 2


def test_characters_are_counted_where_words_are_not_apart(small_whisper, written, tmp_path):
    manifest = written(lambda text: text.replace("a", "開").replace("b", "灯") + "吧")
    stages = [{"train": "head", "epochs": 1}, {"train": "top:1", "epochs": 1}]
    made = recipe(small_whisper, manifest, training={"stages": stages}, proof={"learning_curve": [50]})
    report = finetune(made, tmp_path / "run")
    test, verdict = report["sets"]["test"], report["proof"]["test"]
    assert (test["measure"], verdict["measure"], report["learning_curve"]["measure"]) == ("cer", "cer", "cer")
    assert verdict["overall"]["after"] == pytest.approx(test["cer"]) and "CER" in verdict["sentence"]
    scored = evaluate(tmp_path / "run", f"{manifest}[split=test]", precision="fp32")
    assert sum(scored.rows.sizes) == sum(map(len, scored.rows.references))
    write_page(tmp_path / "page.html", report, scored.rows, scored.manifest, audio=False)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.index(">CER<") < page.index(">WER<")


def test_phonemes_are_learned_from_texts(small_whisper, written, tmp_path):
    manifest = written(lambda text: text.replace("a", "Tea ").replace("b", "toe "))
    report = finetune(recipe(small_whisper, manifest, data={"normaliser": "phonemes:en-us"}), tmp_path / "run")
    model = load_model(tmp_path / "run")
    assert model.vocabulary.symbols == (" ", "i", "o", "t", "ʊ", "ː")
    scored = evaluate(model, f"{manifest}[split=test]", precision="fp32")
    assert set(" ".join(scored.rows.references).split()) == {"tiː", "toʊ"}
    assert list(scored.rows.answers) == [" ".join(answer.split()) for answer in scored.answers]  # not pronounced once more
    assert scored.scores["cer"] == report["sets"]["test"]["cer"]
