"""Whisper with its decoder, on the audio there is, against transformers on windows of 30 s: same weights, data and batch size.

    python scripts/benchmarks/whisper_speed.py --shared ../shared [--tuned runs/whisper/model] [--quick]

Fine-tuning `whisper-tiny-en` with a frozen encoder on clips of speechocean762 against `Seq2SeqTrainer`, set up as the example of
transformers is (log-mel made beforehand, encoder frozen), in its defaults and in its best batch size here; an epoch after the
first is what counts, for the store pays from there on. A ceiling says what no cache can beat: the Trainer's best epoch against an
epoch of what trains alone.

Reading clips of 2 to 5 s with a model that was tuned on the audio there is (`--tuned`, or the one from the first part): time of
the encoder for one clip in either context, WER in either, and the whole transcription against the pipeline of transformers; then
by CTranslate2, in fp32 and int8, ours against faster-whisper, and by PyTorch against openai-whisper, where those are installed:
greedily, the same weights and threads.
The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import csv
import importlib.util
import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peer_trainer import EpochTimes
from torch import nn
from torch.utils.data import Dataset
from transformers import (
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    pipeline,
)

from speechxfer import evaluate, finetune, load_model, read_manifest, read_recipe
from speechxfer.data import Manifest, load_audio, normalise, plan_batches
from speechxfer.evaluation import as_items, total, word_errors
from speechxfer.features import FeatureSource
from speechxfer.models import Features, SpeechModel, SplitModel, collate, export_ctranslate2, for_inference, set_trainable
from speechxfer.models.ct2_runtime import CT2_FOLDER, QUANTISATION
from speechxfer.training.loss import seq2seq_losses, teacher_forcing

RATE = 16_000
BATCH_SIZE = 8  # the Trainer's default
LATER_EPOCHS = 2
EPOCHS = 5  # of the total
ORIGINAL_NAMES = (
    (r"^model\.", ""),
    (r"embed_tokens\.", "token_embedding."),
    (r"embed_positions\.weight", "positional_embedding"),
    (r"encoder\.layer_norm", "encoder.ln_post"),
    (r"decoder\.layer_norm", "decoder.ln"),
    (r"layers\.", "blocks."),
    (r"self_attn(_layer_norm)?", lambda match: "attn_ln" if match[1] else "attn"),
    (r"encoder_attn(_layer_norm)?", lambda match: "cross_attn_ln" if match[1] else "cross_attn"),
    (r"q_proj", "query"),
    (r"k_proj", "key"),
    (r"v_proj", "value"),
    (r"out_proj", "out"),
    (r"final_layer_norm", "mlp_ln"),
    (r"fc1", "mlp.0"),
    (r"fc2", "mlp.2"),
)
"""What openai-whisper calls what Hugging Face's Whisper calls otherwise."""


@dataclass(frozen=True)
class Times:
    """Seconds of the first epoch, and of one of those after it."""

    first: float
    later: float

    def total(self) -> float:
        """Give the seconds of all epochs."""
        return self.first + (EPOCHS - 1) * self.later


class Examples(Dataset[dict[str, Any]]):
    """Log-mel of 30 s and labels, made beforehand."""

    def __init__(self, manifest: Manifest, processor: Any) -> None:
        self.items = []
        for utterance in manifest:
            mel = processor(load_audio(utterance, RATE), sampling_rate=RATE, return_tensors="np").input_features[0]
            labels = processor.tokenizer(normalise(utterance.text or "", "english")).input_ids
            self.items.append({"input_features": mel, "labels": labels})

    def __len__(self) -> int:
        """Give the number of clips."""
        return len(self.items)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Give one clip."""
        return self.items[row]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--tuned", type=Path, help="a model of task seq2seq with the adaptive context")
    parser.add_argument("--utterances", type=int, default=128)
    parser.add_argument("--quick", action="store_true", help="16 utterances")
    arguments = parser.parse_args()
    count = 16 if arguments.quick else arguments.utterances
    stock = arguments.shared / "models/whisper-tiny-en"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = subset(arguments.shared / "data/speechocean762/manifest.csv", count, folder)
        figures = compare_fine_tuning(stock, manifest, folder)
        tuned = load_model(arguments.tuned or folder / "ours")
        test = read_manifest(f"{manifest}[split=test]")
        figures |= compare_reading(stock, tuned, test) | compare_engines(tuned, test, folder) | compare_original(tuned, test)
    figures["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    bars = judge(figures)
    print(json.dumps({"benchmark": "whisper_speed", "figures": figures, "bars": bars}))
    sys.exit(not all(met for _, _, met in bars.values()))


def judge(figures: dict[str, Any]) -> dict[str, list[Any]]:
    """Set the figures beside their bars."""
    at_least = {
        "finetune_epoch_ratio": 10.0,
        "finetune_total_ratio": 5.0,
        "finetune_ceiling_share": 0.9,
        "adaptive_encoder_ratio": 5.0,
        "pipeline_ratio": 1.0,
    }
    at_least |= dict.fromkeys((name for name in figures if name.startswith(("faster_whisper", "openai_whisper"))), 1.0)
    at_most = {"finetune_wer_difference": 0.0, "adaptive_wer_difference": 0.005}
    bars = {name: [figures[name], bar, figures[name] >= bar] for name, bar in at_least.items()}
    return bars | {name: [figures[name], bar, figures[name] <= bar] for name, bar in at_most.items()}


def subset(source: Path, count: int, folder: Path) -> Path:
    """Write a manifest of every n-th clip of 2 to 5 s: so many to train on, half as many to test on."""
    path = folder / "clips.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "split", "duration"))
        for split, wanted in (("train", count), ("dev", 4), ("test", max(4, count // 2))):
            read = read_manifest(f"{source}[split={split}]")
            rows = [row for row, seconds in enumerate(read.columns["duration"]) if 2 <= float(seconds) <= 5]
            for row in rows[:: len(rows) // wanted][:wanted]:
                table.writerow((read[row].audio, read[row].text, split, read.columns["duration"][row]))
    return path


def compare_fine_tuning(stock: Path, manifest: Path, folder: Path) -> dict[str, Any]:
    """Time an epoch of ours in either context, of the Trainer in its defaults and at its best, and of what trains alone."""
    train, test = (read_manifest(f"{manifest}[split={name}]") for name in ("train", "test"))
    batch_seconds = BATCH_SIZE * float(np.mean([float(seconds) for seconds in train.columns["duration"]]))
    examples = Examples(train, WhisperProcessor.from_pretrained(stock))
    best_size = min((4, 8, 16), key=lambda size: time_trainer(stock, examples, size, 1, None).first)
    ours = time_ours(stock, manifest, folder / "ours", batch_seconds, "adaptive")
    default = time_trainer(stock, examples, BATCH_SIZE, 1 + LATER_EPOCHS, folder / "theirs")
    best = time_trainer(stock, examples, best_size, 2, None)
    in_windows = time_ours(stock, manifest, folder / "windows", 30.0 * BATCH_SIZE, "stock")
    suffix = time_alone(stock, train, batch_seconds)
    their_model = replace(load_model(stock), model=load_model(folder / "theirs").model)
    their_wer, our_wer = (evaluate(model, test).rows.rate for model in (their_model, load_model(folder / "ours")))
    print(
        f"an epoch: ours {ours.first:.2f} s, then {ours.later:.2f}, in windows of 30 s {in_windows.later:.2f}; Trainer "
        f"{default.later:.2f}, at best {best.later:.2f} (batches of {best_size}); what trains alone {suffix:.2f}; "
        f"WER {our_wer:.3f} against {their_wer:.3f}",
        flush=True,
    )
    return {
        "finetune_epoch_ratio": round(default.later / ours.later, 2),
        "finetune_total_ratio": round(default.total() / ours.total(), 2),
        "finetune_ceiling_share": round(suffix / ours.later, 3),
        "finetune_epoch_ratio_stock_context": round(default.later / in_windows.later, 2),
        "finetune_wer_difference": round(our_wer - their_wer, 4),
    }


def time_ours(stock: Path, manifest: Path, out: Path, batch_seconds: float, context: str) -> Times:
    """Fine-tune as a user does."""
    given = ["task=seq2seq", f"model.path={stock}", "model.train=decoder", f"whisper.context={context}"]
    given += ["training.precision=fp32", "data.normaliser=english", "training.head_learning_rate=5e-5"]
    given += [f"data.{name}={manifest}[split={name}]" for name in ("train", "dev", "test")]
    given += [f"training.epochs={1 + LATER_EPOCHS}", f"training.batch_seconds={batch_seconds}", "report.audio=false"]
    recipe = out.with_suffix(".yaml")
    recipe.write_text("{}", encoding="utf-8")
    finetune(read_recipe(recipe, given), out)
    events = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    spent = [event["train_seconds"] for event in events if event["event"] == "epoch"]
    return Times(spent[0], float(np.mean(spent[1:])))


def time_trainer(stock: Path, examples: Examples, size: int, epochs: int, out: Path | None) -> Times:
    """Let the Trainer do the same; the model is saved if there is a place for it."""
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration.from_pretrained(stock, dtype=torch.float32)
    model.freeze_encoder()
    model.config.use_cache = False
    processor = WhisperProcessor.from_pretrained(stock)
    epochs_seen = EpochTimes()

    def collator(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        labels = processor.tokenizer.pad({"input_ids": [item["labels"] for item in items]}, return_tensors="pt")
        ids = labels["input_ids"].masked_fill(labels["attention_mask"].ne(1), -100)
        if bool((ids[:, 0] == model.config.decoder_start_token_id).all()):
            ids = ids[:, 1:]
        return {"input_features": torch.from_numpy(np.stack([item["input_features"] for item in items])), "labels": ids}

    with tempfile.TemporaryDirectory() as scratch:
        Seq2SeqTrainer(
            model,
            Seq2SeqTrainingArguments(
                output_dir=scratch,
                per_device_train_batch_size=size,
                num_train_epochs=epochs,
                learning_rate=5e-5,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
                use_cpu=True,
            ),
            data_collator=collator,
            train_dataset=examples,
            callbacks=[epochs_seen],
        ).train()
    if out:
        model.config.use_cache = True
        model.save_pretrained(out)
        processor.save_pretrained(out)
    return Times(epochs_seen.seconds[0], float(np.mean(epochs_seen.seconds[1:] or epochs_seen.seconds)))


def time_alone(stock: Path, train: Manifest, batch_seconds: float) -> float:
    """Time an epoch of what trains on features that are there, with nothing around it."""
    speech_model = load_model(stock)
    frontend = speech_model.frontend.in_context("adaptive")
    set_trainable(speech_model.model, speech_model.family, "decoder")
    split, tokens = SplitModel(speech_model.model, speech_model.family), speech_model.tokens
    assert tokens
    items = as_items(train)
    features = FeatureSource(split, frontend, None, "fp32").features(items)
    targets = [tokens.target(normalise(text, "english")) for text in train.columns["text"]]
    trained = [parameter for parameter in split.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-9)
    split.train_suffix()
    plan = plan_batches([item.seconds for item in items], batch_seconds)
    batches = [(collate([features[row] for row in rows]), *teacher_forcing([targets[row] for row in rows])) for rows in plan]
    spent = []
    for _ in range(2):
        begin = time.perf_counter()
        for batch, given, labels in batches:
            seq2seq_losses(split(batch, given), labels, 0.0).mean().backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
        spent.append(time.perf_counter() - begin)
    return min(spent)


def compare_reading(stock: Path, tuned: SpeechModel, test: Manifest) -> dict[str, Any]:
    """Time the encoder in either context and whole transcriptions, and count errors."""
    contexts = {name: replace(tuned, frontend=tuned.frontend.in_context(name)) for name in ("adaptive", "stock")}
    samples = [load_audio(utterance, RATE) for utterance in test]
    encoder = {name: time_encoder(model, samples) for name, model in contexts.items()}
    wers = {name: evaluate(model, test).rows.rate for name, model in contexts.items()}
    recogniser: Any = pipeline("automatic-speech-recognition", model=str(stock), dtype=torch.float32, device="cpu")
    theirs = seconds_of(lambda: recogniser([{"raw": clip, "sampling_rate": RATE} for clip in samples]))
    ours = {name: seconds_of(lambda model=model: evaluate(model, test)) for name, model in contexts.items()}  # type: ignore[misc]
    print(
        f"encoder {1000 * encoder['adaptive']:.0f} ms a clip on the audio there is, {1000 * encoder['stock']:.0f} in windows; "
        f"WER {wers['adaptive']:.3f}, {wers['stock']:.3f}; transcription {ours['adaptive']:.1f} s, {ours['stock']:.1f}, "
        f"pipeline {theirs:.1f}",
        flush=True,
    )
    return {
        "adaptive_encoder_ratio": round(encoder["stock"] / encoder["adaptive"], 2),
        "adaptive_wer_difference": round(wers["adaptive"] - wers["stock"], 4),
        "pipeline_ratio": round(theirs / ours["adaptive"], 2),
    }


def compare_engines(tuned: SpeechModel, test: Manifest, folder: Path) -> dict[str, Any]:
    """Time whole transcriptions by CTranslate2, through ours and through faster-whisper, and count errors."""
    if importlib.util.find_spec("faster_whisper") is None:
        print("faster-whisper is not installed", flush=True)
        return {}
    from faster_whisper import WhisperModel

    samples = [load_audio(utterance, RATE) for utterance in test]
    references = [normalise(text, "english") for text in test.columns["text"]]
    figures: dict[str, Any] = {}
    for precision, compute_type in QUANTISATION.items():
        directory = folder / f"ct2-{precision}"
        directory.mkdir()
        export_ctranslate2(tuned, directory, precision)
        ours = load_model(directory)
        theirs = WhisperModel(
            str(directory / CT2_FOLDER), device="cpu", compute_type=compute_type, cpu_threads=torch.get_num_threads()
        )
        begin = time.perf_counter()
        our_wer = evaluate(ours, test).rows.rate
        our_seconds, begin = time.perf_counter() - begin, time.perf_counter()
        texts = [hear(theirs, clip) for clip in samples]
        their_seconds = time.perf_counter() - begin
        their_wer = total(word_errors(references, [normalise(text, "english") for text in texts])).rate
        print(
            f"CTranslate2 in {precision}: ours {our_seconds:.1f} s, WER {our_wer:.3f}; faster-whisper {their_seconds:.1f} s, "
            f"WER {their_wer:.3f}",
            flush=True,
        )
        figures[f"faster_whisper_ratio_{precision}"] = round(their_seconds / our_seconds, 2)
    return figures


def compare_original(tuned: SpeechModel, test: Manifest) -> dict[str, Any]:
    """Time whole transcriptions by PyTorch, through ours and through openai-whisper, and count errors."""
    if importlib.util.find_spec("whisper") is None:
        print("openai-whisper is not installed", flush=True)
        return {}
    original = in_original_form(tuned)
    samples = [load_audio(utterance, RATE) for utterance in test]
    begin = time.perf_counter()
    our_wer = evaluate(tuned, test, precision="fp32").rows.rate
    our_seconds, begin = time.perf_counter() - begin, time.perf_counter()
    texts = [original.transcribe(clip, language="en", fp16=False, without_timestamps=True)["text"] for clip in samples]
    their_seconds = time.perf_counter() - begin
    references = [normalise(text, "english") for text in test.columns["text"]]
    their_wer = total(word_errors(references, [normalise(text, "english") for text in texts])).rate
    print(f"PyTorch: ours {our_seconds:.1f} s, WER {our_wer:.3f}; openai-whisper {their_seconds:.1f} s, WER {their_wer:.3f}")
    return {"openai_whisper_ratio": round(their_seconds / our_seconds, 2)}


def in_original_form(speech_model: SpeechModel) -> Any:
    """Give the weights to openai-whisper, under the names that it has for them."""
    from whisper.model import ModelDimensions, Whisper

    config: Any = speech_model.model.config
    sizes = (config.d_model, config.encoder_attention_heads, config.encoder_layers)
    dimensions = ModelDimensions(
        config.num_mel_bins, config.max_source_positions, *sizes, config.vocab_size, config.max_target_positions, *sizes
    )
    original = Whisper(dimensions)
    renamed = {}
    for name, tensor in speech_model.model.state_dict().items():
        for pattern, theirs in ORIGINAL_NAMES:
            name = re.sub(pattern, theirs, name)
        renamed[name] = tensor
    original.load_state_dict({name: renamed[name] for name in original.state_dict()})
    return original.eval()


def hear(model: Any, clip: Any) -> str:
    """Transcribe a clip with faster-whisper."""
    segments, _ = model.transcribe(clip, language="en", beam_size=1, without_timestamps=True)
    return " ".join(segment.text for segment in segments)


def time_encoder(speech_model: SpeechModel, samples: Sequence[Any]) -> float:
    """Give the encoder's seconds for one clip, alone."""
    split, _ = for_inference(speech_model, "cpu", "fp32")
    inputs = [speech_model.frontend(clip) for clip in samples[:24]]
    batches = [collate([Features(one, len(one))]) for one in inputs]
    split.prefix(batches[0])
    return seconds_of(lambda: [split.prefix(batch) for batch in batches]) / len(batches)


def seconds_of(work: Callable[[], Any]) -> float:
    """Time a piece of work."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
