"""The store under a Trainer: scripts as transformers' examples are, with the two lines and without, end the same."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import jiwer
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    DataCollatorWithPadding,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Processor,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from speechxfer import ProofCallback, read_manifest, split_for_trainer
from speechxfer.data import Vocabulary, load_audio, normalise
from speechxfer.errors import DataError, ModelError
from speechxfer.features import DiskStore
from speechxfer.models import SplitModel

RATE = 16_000
CALM = {"apply_spec_augment": False, "layerdrop": 0.0, "final_dropout": 0.0, "hidden_dropout": 0.0, "activation_dropout": 0.0}
CALM |= {"attention_dropout": 0.0, "feat_proj_dropout": 0.0}


@dataclass
class PaddingOfCtc:
    """Pads audio and labels apart, as the CTC example does."""

    processor: Wav2Vec2Processor

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        audio = [{"input_values": row["input_values"]} for row in rows]
        batch = self.processor.feature_extractor.pad(audio, padding=True, return_tensors="pt")
        labels = self.processor.tokenizer.pad({"input_ids": [row["labels"] for row in rows]}, padding=True, return_tensors="pt")
        batch["labels"] = labels["input_ids"].masked_fill(labels["attention_mask"].ne(1), -100)
        return batch


@dataclass
class PaddingOfWhisper:
    """Pads audio and labels apart and cuts off the token that the model puts in front itself, as the seq2seq example does."""

    extractor: WhisperFeatureExtractor
    start: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        audio = [{"input_features": row["input_features"]} for row in rows]
        batch = self.extractor.pad(audio, return_tensors="pt")
        longest = max(len(row["labels"]) for row in rows)
        labels = torch.tensor([row["labels"] + [-100] * (longest - len(row["labels"])) for row in rows])
        batch["labels"] = labels[:, 1:] if (labels[:, 0] == self.start).all() else labels
        return batch


def freeze(model, train):
    if train == "stem":
        model.freeze_feature_encoder()
        return
    model.base_model.requires_grad_(False)
    if train == "top":
        model.base_model.encoder.layers[-1].requires_grad_(True)


class CtcScript:
    """A model, sets, a collator and a metric, put together as in `run_speech_recognition_ctc.py`."""

    def __init__(self, directory, manifest, folder, train="head", **config):
        texts = [normalise(text, "basic") for text in manifest.columns["text"]]
        vocabulary = Vocabulary.from_texts(texts)
        vocabulary.save(folder)
        self.extractor = Wav2Vec2FeatureExtractor.from_pretrained(directory)
        self.processor = Wav2Vec2Processor(self.extractor, Wav2Vec2CTCTokenizer.from_pretrained(folder))
        torch.manual_seed(0)
        heads = {"vocab_size": len(vocabulary), "pad_token_id": 0, "ctc_loss_reduction": "mean", "ctc_zero_infinity": True}
        self.model = Wav2Vec2ForCTC.from_pretrained(directory, **(CALM | heads | config))
        freeze(self.model, train)
        rows = {
            "input_values": [self.extractor(load_audio(one, RATE), sampling_rate=RATE)["input_values"][0] for one in manifest],
            "labels": [self.processor.tokenizer(text).input_ids for text in texts],
            "spoken": texts,
        }
        self.sets = datasets.Dataset.from_dict(rows).train_test_split(4, shuffle=False)
        self.collator = PaddingOfCtc(self.processor)

    def metrics(self, prediction):
        labels = np.where(prediction.label_ids == -100, self.processor.tokenizer.pad_token_id, prediction.label_ids)
        answers = self.processor.batch_decode(prediction.predictions.argmax(axis=-1))
        references = self.processor.tokenizer.batch_decode(labels, group_tokens=False)
        return {"wer": jiwer.wer(references, answers), "cer": jiwer.cer(references, answers)}

    def run(self, out, *, two_lines, batch_size=4, epochs=2, callbacks=(), **options):
        model, sets, collator = self.model, self.sets, self.collator
        if two_lines:
            model, sets, collator = split_for_trainer(model, sets, collator, **options)
        arguments = TrainingArguments(
            output_dir=str(out),
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=batch_size,
            num_train_epochs=epochs,
            learning_rate=1e-2,
            eval_strategy="epoch",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=sets["train"],
            eval_dataset=sets["test"],
            data_collator=collator,
            compute_metrics=self.metrics,
            processing_class=self.extractor,
            callbacks=[*callbacks],
        )
        trainer.train()
        trainer.save_model(out)
        return trainer.state.log_history


class ClassificationScript(CtcScript):
    """The same for labels, as in `run_audio_classification.py`."""

    def __init__(self, directory, manifest, folder, train="head", **config):
        labels = sorted({*manifest.columns["label"]})
        self.extractor = Wav2Vec2FeatureExtractor.from_pretrained(directory)
        torch.manual_seed(0)
        names = {"label2id": {label: n for n, label in enumerate(labels)}, "id2label": dict(enumerate(labels))}
        self.model = Wav2Vec2ForSequenceClassification.from_pretrained(directory, **(CALM | names | config))
        if self.model.config.use_weighted_layer_sum:
            self.model.layer_weights.data.fill_(0.25)  # which from_pretrained leaves as the memory happens to be
        freeze(self.model, train)
        audio = [self.extractor(load_audio(one, RATE), sampling_rate=RATE)["input_values"][0] for one in manifest]
        rows = {"input_values": audio, "label": [labels.index(one.label) for one in manifest]}
        self.sets = datasets.Dataset.from_dict(rows).train_test_split(4, shuffle=False)
        self.collator = DataCollatorWithPadding(self.extractor)

    def metrics(self, prediction):
        return {"accuracy": float((prediction.predictions.argmax(axis=1) == prediction.label_ids).mean())}


def losses(history):
    return np.array([entry[name] for entry in history for name in ("loss", "eval_loss") if name in entry])


def scores(history):
    return [{name: entry[name] for name in ("eval_wer", "eval_cer", "eval_accuracy") if name in entry} for entry in history]


def compare(make, tmp_path, tolerance=1e-4, **options):
    """Run a script without and with the two lines; losses, scores and what is saved must agree."""
    plain = make().run(tmp_path / "plain", two_lines=False, **{"batch_size": options.get("batch_size", 4)})
    kept = make().run(tmp_path / "kept", two_lines=True, **options)
    assert len(losses(plain)) > 4 and losses(plain)[0] != pytest.approx(losses(plain)[-1], rel=0.01), "nothing was learned"
    np.testing.assert_allclose(losses(kept), losses(plain), atol=tolerance, rtol=tolerance)
    assert scores(kept) == scores(plain)
    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("plain", "kept")]
    assert configs[0] == configs[1]
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("plain", "kept")]
    assert weights[0].keys() == weights[1].keys()
    for name, values in weights[0].items():
        if name.endswith("k_proj.bias"):
            continue  # a softmax takes no notice of it, so its gradient is rounding alone, which AdamW makes steps of
        torch.testing.assert_close(weights[1][name], values, atol=2e-3, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


@pytest.fixture
def few(tones):
    return read_manifest(tones).select(range(16))


@pytest.mark.parametrize("train", ["head", "top", "stem"])
def test_ctc_ends_the_same(small_models, few, tmp_path, train):
    compare(lambda: CtcScript(small_models["wav2vec2-layer"], few, tmp_path, train), tmp_path)


def test_clips_computed_alone_are_the_same_to_the_fifth_decimal(small_models, few, tmp_path):
    make = lambda: CtcScript(small_models["wav2vec2-layer"], few, tmp_path)  # noqa: E731
    compare(make, tmp_path, tolerance=1e-5, batch_size=1, batch_seconds=0.0)


def test_a_stem_that_sees_padding_ends_the_same_in_batches_of_one(small_models, few, tmp_path):
    compare(lambda: CtcScript(small_models["wav2vec2-group"], few, tmp_path), tmp_path, batch_size=1)


@pytest.mark.parametrize("config", [{}, {"use_weighted_layer_sum": True}], ids=["last layer", "all layers"])
def test_classification_ends_the_same(small_models, few, tmp_path, config):
    compare(lambda: ClassificationScript(small_models["wav2vec2-layer"], few, tmp_path, **config), tmp_path)


def test_real_speech_ends_the_same(small_models, shared, tmp_path):
    manifest = read_manifest(f"{shared / 'data/an4/manifest.csv'}[split=train]").select(range(0, 400, 40))
    compare(lambda: CtcScript(small_models["wav2vec2-layer"], manifest, tmp_path, "top"), tmp_path)


def test_whisper_ends_the_same(small_writer, few, tmp_path):
    extractor = WhisperFeatureExtractor.from_pretrained(small_writer)
    tokenizer = WhisperTokenizer.from_pretrained(small_writer)
    few = few.select(range(6))
    audio = [extractor(load_audio(one, RATE), sampling_rate=RATE)["input_features"][0] for one in few]
    rows = {"input_features": audio, "labels": [tokenizer(one.text).input_ids for one in few]}
    histories = []
    for two_lines in (False, True):
        model: Any = WhisperForConditionalGeneration.from_pretrained(small_writer)
        model.freeze_encoder()
        dataset: Any = datasets.Dataset.from_dict(rows)
        collator: Any = PaddingOfWhisper(extractor, model.config.decoder_start_token_id)
        if two_lines:
            model, dataset, collator = split_for_trainer(model, dataset, collator)
        arguments = Seq2SeqTrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=3,
            num_train_epochs=2,
            learning_rate=1e-2,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Seq2SeqTrainer(model, arguments, train_dataset=dataset, data_collator=collator)
        trainer.train()
        histories.append(trainer.state.log_history)
        trainer.save_model(tmp_path / "saved")
        WhisperForConditionalGeneration.from_pretrained(tmp_path / "saved")
    assert losses(histories[0])[-1] < losses(histories[0])[0] - 0.1
    np.testing.assert_allclose(losses(histories[1]), losses(histories[0]), atol=1e-4)


def test_the_frozen_part_runs_once_and_never_with_a_store_on_disk(small_models, few, tmp_path, monkeypatch):
    computed = []
    original = SplitModel.prefix
    monkeypatch.setattr(
        SplitModel, "prefix", lambda split, inputs: computed.append(len(inputs.frames)) or original(split, inputs)
    )
    histories = []
    for count in (len(few), 0):
        script = CtcScript(small_models["wav2vec2-layer"], few, tmp_path)
        encoder_ran = []
        script.model.wav2vec2.encoder.register_forward_hook(lambda *_, ran=encoder_ran: ran.append(1))
        store = DiskStore(tmp_path / "store", "float32")
        histories.append(script.run(tmp_path / "out", two_lines=True, store=store))
        store.close()
        assert sum(computed) == count and len(encoder_ran) == len(computed)
        computed.clear()
    assert losses(histories[0]).tolist() == losses(histories[1]).tolist()


def test_a_model_still_takes_audio(small_models, few, tmp_path):
    script = CtcScript(small_models["wav2vec2-layer"], few, tmp_path)
    batch = script.collator([script.sets["train"][row] for row in range(3)])
    with torch.no_grad():
        before = script.model(**batch)
        model, _, collator = split_for_trainer(script.model, script.sets, script.collator)
        after = model(**collator([script.sets["train"][row] for row in range(3)]))
    assert model is script.model and torch.equal(before.logits, after.logits) and torch.equal(before.loss, after.loss)


class MadeWhenAsked(torch.utils.data.Dataset):
    """Rows as a plain torch set gives them; noise makes each reading another."""

    def __init__(self, rows, noise=0.0):
        self.rows, self.noise = rows, noise

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        row = self.rows[number]
        audio = np.asarray(row["input_values"], dtype=np.float32)
        return {**row, "input_values": audio + np.float32(self.noise) * np.random.default_rng().normal(size=len(audio))}


def test_a_plain_torch_set_gives_the_same_features(small_models, few, tmp_path):
    script = CtcScript(small_models["wav2vec2-layer"], few, tmp_path)
    rows = script.sets["train"]
    _, as_datasets, first = split_for_trainer(script.model, rows, script.collator)
    _, as_torch, second = split_for_trainer(script.model, MadeWhenAsked(rows), script.collator)
    assert as_datasets.column_names == ["labels", "spoken", "stored_features"] and [*as_torch[0]] == as_datasets.column_names
    assert len(as_torch) == len(rows)
    # Numbers stay with their rows, whatever is done to the set.
    picked = as_datasets.shuffle(seed=1).select([3, 0])
    places = [as_datasets["stored_features"].index(number) for number in picked["stored_features"]]
    one, other = first([*picked]), second([as_torch[place] for place in places])
    assert one.keys() == other.keys() == {"labels", "stored_features", "stored_feature_lengths", "stored_input_lengths"}
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-5, rtol=1e-5)


def test_what_cannot_be_kept_is_refused(small_models, few, tmp_path):
    def script(train="head", **config):
        return CtcScript(small_models["wav2vec2-layer"], few, tmp_path, train, **config)

    made = script()
    rows = made.sets["train"]
    for dataset, named in [
        (MadeWhenAsked(rows, noise=0.1), r"^1 problem found:\ndataset\[0\]: its audio is another each time"),
        (rows.remove_columns("input_values"), "no `input_values`, found labels, spoken"),
        ({"train": datasets.Dataset.from_dict({"input_values": [[0.1] * 300], "labels": [[1]]})}, r"train\[0\]: 300 samples"),
        (iter([]), "no rows to come back to"),
    ]:
        with pytest.raises(DataError, match=named):
            split_for_trainer(made.model, dataset, made.collator)
    made.model.requires_grad_(True)
    with pytest.raises(ModelError, match="nothing is frozen below what trains"):
        split_for_trainer(made.model, rows, made.collator)
    with pytest.raises(ModelError, match="found a Linear"):
        split_for_trainer(torch.nn.Linear(1, 1), rows, made.collator)
    with pytest.raises(ModelError, match=r"layerdrop is 0.1.*set model.config.layerdrop = 0.0"):
        script("top", layerdrop=0.1).run(tmp_path / "out", two_lines=True)
    checkpointing = script("top")
    checkpointing.model.activation_checkpointing_enable()
    with pytest.raises(ModelError, match="turn gradient_checkpointing off"):
        checkpointing.run(tmp_path / "out", two_lines=True)
    thawed = script()
    model, sets, collator = split_for_trainer(thawed.model, thawed.sets, thawed.collator)
    model.wav2vec2.encoder.layers[1].requires_grad_(True)
    with pytest.raises(ModelError, match="trains that was frozen before"):
        model(**collator([sets["train"][0]]))


@pytest.mark.parametrize("script", [CtcScript, ClassificationScript])
def test_the_proof_says_what_training_was_worth(small_models, tones, tmp_path, script):
    training, test = (read_manifest(f"{tones}[split={split}]") for split in ("train", "test"))
    made = script(small_models["wav2vec2-layer"], training, tmp_path)
    before = answers_of(made, made.model, test)
    callback = ProofCallback(Path(f"{tones}[split=test]"), getattr(made, "processor", made.extractor))
    made.run(tmp_path / "out", two_lines=True, epochs=6, callbacks=[callback])
    after = answers_of(made, type(made.model).from_pretrained(tmp_path / "out"), test)
    assert before != after
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["task"] == ("ctc" if script is CtcScript else "classification")
    verdict = report["proof"]["test"]
    assert verdict["sentence"].startswith("no evidence over speakers: 1 speaker only")
    references = test.columns["text" if script is CtcScript else "label"]
    for answers, part, said in [(before, report["before"], "before"), (after, report, "after")]:
        scored = part["sets"]["test"]
        assert scored["utterances"] == len(test) == 10
        rate = jiwer.wer(references, answers)  # of labels, which are single words, it is the share of wrong ones
        assert (scored["wer"] if script is CtcScript else 1 - scored["accuracy"]) == pytest.approx(rate)
        assert verdict["overall"][said] == pytest.approx(rate)
    assert "No evidence over speakers" in (tmp_path / "out/report.html").read_text()


@torch.no_grad()
def answers_of(made, model, manifest):
    """What plain transformers makes of each clip."""
    model.eval()
    inputs = [made.extractor(load_audio(one, RATE), sampling_rate=RATE, return_tensors="pt") for one in manifest]
    best = [model(**one).logits.argmax(dim=-1) for one in inputs]
    if isinstance(model, Wav2Vec2ForCTC):
        return [made.processor.batch_decode(one)[0] for one in best]
    return [model.config.id2label[int(one)] for one in best]
