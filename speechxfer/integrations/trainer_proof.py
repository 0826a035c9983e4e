"""The proof in a `Trainer` run: a labelled manifest, and the model as it begins and ends in; `report.json` and `.html` out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, TrainerCallback

from speechxfer.data import Manifest, check_sets, load_audio, parse_manifest
from speechxfer.evaluation import GroupSpec, SetScores, compare, score_answers
from speechxfer.report import make_report, write_json, write_page


class ProofCallback(TrainerCallback):
    """Scores a set before the first and after the last step, and writes what the difference is worth into the output directory.

    Parameters
    ----------
    manifest
        A set that is not trained on: read, or `file` or `file[column=value]`, with `text`, or `label` for a classifier. With a
        `speaker` column the intervals are over speakers.
    processor
        What the model is used with: a feature extractor with a tokenizer, or for a classifier the feature extractor alone.
    normaliser
        Of texts, before they are compared.
    groups
        See `speechxfer.evaluation.group_rows`.
    audio
        Whether the worst utterances can be heard in the page; their sound is then in the file.

    Raises
    ------
    DataError
        When training begins, with all problems of the manifest and its audio.
    AudioError
        When a recording whose header could be read cannot be decoded.
    """

    def __init__(
        self,
        manifest: Manifest | str | Path,
        processor: Any,
        *,
        normaliser: str = "basic",
        groups: GroupSpec | None = None,
        audio: bool = True,
    ) -> None:
        self._manifest = manifest
        self._processor = processor
        self._normaliser = normaliser
        self._groups = groups
        self._audio = audio
        self._before: SetScores | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Score the model as it begins; the arguments are those of every callback of transformers."""
        if state.is_world_process_zero:
            self._before = self._score(kwargs["model"])

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Score the model as it ends, and write the report; the arguments are those of every callback of transformers."""
        if not state.is_world_process_zero or self._before is None:
            return
        after = self._score(kwargs["model"])
        report = make_report(_task(kwargs["model"]), args.output_dir, {"test": after.scores})
        report["before"] = {"kind": "the model as training began", "sets": {"test": self._before.scores}}
        report["proof"] = {"test": compare(self._before.rows, after.rows).to_dict()}
        directory = Path(args.output_dir)
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / "report.json", report)
        write_page(directory / "report.html", report, after.rows, after.manifest, audio=self._audio)

    def _score(self, model: PreTrainedModel) -> SetScores:
        checked = self._checked(_task(model))
        labels = [*_labels(model)] if _task(model) == "classification" else []
        was_training = model.training
        model.eval()
        answers = self._answers(model, checked)
        model.train(was_training)
        return score_answers(checked, answers, labels=labels, normaliser=self._normaliser, groups=self._groups)

    def _checked(self, task: str) -> Manifest:
        read = self._manifest if isinstance(self._manifest, Manifest) else parse_manifest(self._manifest)
        checked, _ = check_sets({"set": read}, task, "error", self._normaliser)
        return checked["set"]

    @torch.no_grad()
    def _answers(self, model: PreTrainedModel, manifest: Manifest) -> list[str]:
        """Give what the model answers to each utterance alone, as plain transformers takes it."""
        extractor = getattr(self._processor, "feature_extractor", self._processor)
        answers = []
        for utterance in manifest:
            samples = load_audio(utterance, extractor.sampling_rate)
            inputs = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt").to(model.device)
            answers.append(self._answer(model, inputs))
        return answers

    def _answer(self, model: Any, inputs: Any) -> str:
        task = _task(model)
        if task == "seq2seq":
            written: str = self._processor.batch_decode(model.generate(**inputs), skip_special_tokens=True)[0]
            return written
        logits = model(**inputs).logits
        if task == "classification":
            return _labels(model)[int(logits.argmax())]
        spelled: str = self._processor.batch_decode(logits.argmax(dim=-1))[0]
        return spelled


def _task(model: Any) -> str:
    if model.config.is_encoder_decoder:
        return "seq2seq"
    return "ctc" if hasattr(model, "lm_head") else "classification"


def _labels(model: Any) -> tuple[str, ...]:
    """Give a classifier's labels by number."""
    return tuple(label for _, label in sorted(model.config.id2label.items()))
