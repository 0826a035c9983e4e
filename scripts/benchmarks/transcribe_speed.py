"""Transcription against the pipeline of transformers, the same CTC model in both: speed, memory, errors.

    python scripts/benchmarks/transcribe_speed.py --shared ../shared [--quick]

Many short files (speechocean762 and fsdd, test sets) and one long one (clips of speechocean762 with pauses between them), with
the embedded `tiny`; and the shape of wav2vec2-base, with random weights, for speed alone. Both sides decode the same files, in
turns, the pipeline in its defaults and in the best of what it offers here (precision, batch size; chosen on other clips). It is
handed samples, because it reads paths only through an `ffmpeg` program. Memory is the peak of a process of its own for a short
and a long recording. The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, pipeline

import speechxfer
from speechxfer import Transcriber, read_manifest
from speechxfer.data import normalise
from speechxfer.evaluation import total, word_errors
from speechxfer.models import choose_precision

TINY = Path(speechxfer.__file__).parent / "assets" / "tiny"
RATE = 16_000
TURNS = 3  # each side takes so many, one after the other

Transcribe = Callable[[Sequence[Path]], list[str]]


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    short_clips: int
    long_minutes: float
    shape_clips: int
    memory_minutes: tuple[float, float]


FULL = Size(short_clips=900, long_minutes=60, shape_clips=120, memory_minutes=(10, 180))
QUICK = Size(short_clips=45, long_minutes=1.5, shape_clips=6, memory_minutes=(1, 4))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        print(peak_mb(arguments.peak_of))
        return
    size = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.shared / "data", size, Path(folder))
    bars = {
        "throughput_ratio_default": (figures["throughput_ratio_default"], 3.0),
        "long_file_ratio": (figures["long_file_ratio"], 2.0),
        "throughput_ratio_best": (figures["throughput_ratio_best"], 1.5),
    }
    judged = {name: [measured, bar, measured >= bar] for name, (measured, bar) in bars.items()}
    judged["wer_difference"] = [figures["wer_difference"], 0.001, figures["wer_difference"] <= 0.001]
    judged["rss_growth_mb"] = [figures["rss_growth_mb"], 300, figures["rss_growth_mb"] <= 300]
    print(json.dumps({"benchmark": "transcribe_speed", "figures": figures, "bars": judged}))
    sys.exit(not all(met for _, _, met in judged.values()))


def measure(data: Path, size: Size, folder: Path) -> dict[str, Any]:
    """Give all figures."""
    test, train = (read_manifest(f"{data / 'speechocean762/manifest.csv'}[split={name}]") for name in ("test", "train"))
    digits = read_manifest(f"{data / 'fsdd/manifest.csv'}[split=test]")
    spoken = size.short_clips * 2 // 3
    utterances = [*list(test)[:spoken], *list(digits)[: size.short_clips - spoken]]
    clips = [Path(str(utterance.audio)) for utterance in utterances]
    train_clips = [Path(str(utterance.audio)) for utterance in train]
    best = best_options(TINY, train_clips[:24])
    print(f"the pipeline's best here: {best}")

    ours, default = ours_with(TINY), pipeline_with(TINY)
    seconds, texts = in_turns({"ours": ours, "default": default, "best": pipeline_with(TINY, **best)}, clips)
    audio = sum(map(duration, clips))
    report("short files, tiny", audio, seconds)
    references = [normalise(utterance.text or "", "basic") for utterance in utterances[:spoken]]
    wer = {name: rate(references, answers[:spoken]) for name, answers in texts.items()}
    print("WER of speechocean762:", wer)

    long = folder / "long.flac"
    write_long(long, train_clips, size.long_minutes)
    chunked = {name: pipeline_with(TINY, chunk_length_s=30, **options) for name, options in (("default", {}), ("best", best))}
    long_seconds, _ = in_turns({"ours": ours, **chunked}, [long], turns=1)
    report("one long file, tiny", duration(long), long_seconds)

    shape = folder / "base"
    make_base_shape(shape)
    base_best = best_options(shape, train_clips[:6])
    base = {"ours": ours_with(shape), "default": pipeline_with(shape), "best": pipeline_with(shape, **base_best)}
    some = clips[: size.shape_clips]
    base_seconds, _ = in_turns(base, some)
    report(f"short files, shape of wav2vec2-base, best {base_best}", sum(map(duration, some)), base_seconds)

    peaks = []
    for minutes in size.memory_minutes:
        write_long(folder / "memory.flac", train_clips, minutes)
        command = [sys.executable, __file__, "--peak-of", str(folder / "memory.flac")]
        peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]))
    print(f"peak of memory, MB, {size.memory_minutes} minutes: {peaks}")
    return {
        "throughput_ratio_default": round(seconds["default"] / seconds["ours"], 2),
        "throughput_ratio_best": round(seconds["best"] / seconds["ours"], 2),
        "long_file_ratio": round(long_seconds["default"] / long_seconds["ours"], 2),
        "long_file_ratio_best": round(long_seconds["best"] / long_seconds["ours"], 2),
        "base_shape_ratio_default": round(base_seconds["default"] / base_seconds["ours"], 2),
        "base_shape_ratio_best": round(base_seconds["best"] / base_seconds["ours"], 2),
        "wer_difference": round(wer["ours"] - wer["default"], 4),
        "rss_growth_mb": round(peaks[1] - peaks[0]),
        "real_time_factor": round(duration(long) / long_seconds["ours"], 1),
    }


def ours_with(model: Path) -> Transcribe:
    """Give our side, in its defaults."""
    transcriber = Transcriber(model)

    def transcribe(files: Sequence[Path]) -> list[str]:
        results: Iterator[Any] = transcriber.transcribe_all(files)
        return [result.text for result in results]

    return transcribe


def pipeline_with(model: Path, *, dtype: torch.dtype = torch.float32, batch_size: int = 1, **options: Any) -> Transcribe:
    """Give the peer's."""
    recogniser: Any = pipeline("automatic-speech-recognition", model=str(model), dtype=dtype, device="cpu")

    def read(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
        for file in files:
            samples, sampling_rate = soundfile.read(file, dtype="float32")
            yield {"raw": samples, "sampling_rate": sampling_rate}

    def transcribe(files: Sequence[Path]) -> list[str]:
        with torch.inference_mode():
            return [answer["text"] for answer in recogniser(read(files), batch_size=batch_size, **options)]

    return transcribe


def best_options(model: Path, clips: Sequence[Path]) -> dict[str, Any]:
    """Find the precision and batch size with which the pipeline is fastest."""
    spent: dict[tuple[torch.dtype, int], float] = {}
    # Where bf16 is not multiplied natively it takes minutes.
    native = choose_precision("auto", torch.device("cpu")) == "bf16"
    for dtype in (torch.float32, torch.bfloat16)[: 1 + native]:
        for batch_size in (1, 4, 8):
            transcribe = pipeline_with(model, dtype=dtype, batch_size=batch_size)
            transcribe(clips[:2])
            begin = time.perf_counter()
            transcribe(clips)
            spent[dtype, batch_size] = time.perf_counter() - begin
    dtype, batch_size = min(spent, key=spent.__getitem__)
    return {"dtype": dtype, "batch_size": batch_size}


def in_turns(
    sides: dict[str, Transcribe], files: Sequence[Path], turns: int = TURNS
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Let each side transcribe each part of the files, one after the other; gives seconds and texts."""
    for transcribe in sides.values():
        transcribe(files[:1] if turns > 1 else [])
    seconds = dict.fromkeys(sides, 0.0)
    texts: dict[str, list[str]] = {name: [] for name in sides}
    size = -(-len(files) // turns)
    for first in range(0, len(files), size):
        for name, transcribe in sides.items():
            begin = time.perf_counter()
            texts[name] += transcribe(files[first : first + size])
            seconds[name] += time.perf_counter() - begin
    return seconds, texts


def rate(references: Sequence[str], answers: Sequence[str]) -> float:
    """Give the word error rate."""
    return round(total(word_errors(references, [normalise(answer, "basic") for answer in answers])).rate or 0.0, 4)


def duration(file: Path) -> float:
    """Give a file's length in seconds."""
    return float(soundfile.info(file).duration)


def report(title: str, audio: float, seconds: dict[str, float]) -> None:
    """Print times real time."""
    print(f"{title}: {audio / 60:.1f} min;", ", ".join(f"{name} {audio / spent:.1f} x" for name, spent in seconds.items()))


def write_long(path: Path, clips: Sequence[Path], minutes: float) -> None:
    """Write clips one after the other, with pauses of half a second to two, until it is long enough."""
    chance = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        written = 0
        while written < minutes * 60 * RATE:
            samples, _ = soundfile.read(clips[int(chance.integers(len(clips)))], dtype="float32")
            pause = 1e-4 * chance.standard_normal(round(chance.uniform(0.5, 2) * RATE))
            file.write(samples)
            file.write(pause)
            written += len(samples) + len(pause)


def make_base_shape(directory: Path) -> None:
    """Write a wav2vec2-base with random weights and the letters of `tiny`."""
    torch.manual_seed(0)
    vocabulary = json.loads((TINY / "vocab.json").read_text(encoding="utf-8"))
    Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=len(vocabulary), pad_token_id=0)).save_pretrained(directory)
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(directory)
    for name in ("vocab.json", "tokenizer_config.json"):
        (directory / name).write_bytes((TINY / name).read_bytes())


def peak_mb(file: Path) -> float:
    """Transcribe one file in this process and give its peak of memory."""
    Transcriber(TINY).transcribe(file)
    status = Path("/proc/self/status").read_text(encoding="ascii")  # ru_maxrss would begin with the parent's peak
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
