"""Pretrain the embedded model `tiny` on speech that this script makes itself.

    python scripts/pretrain_tiny.py --out runs/tiny              # makes 18 hours of speech, then trains; hours on 2 cores
    python scripts/pretrain_tiny.py --out runs/tiny              # the same command again goes on after a stop
    python scripts/pretrain_tiny.py --out runs/tiny2 --start runs/tiny/run --seed 10 --epochs 2     # more, on other speech
    python scripts/pretrain_tiny.py --out runs/tiny3 --start speechxfer/assets/tiny --seed 20 --epochs 20 store.enabled=true

A small wav2vec2 in layer-norm style learns characters by CTC, from random weights, by the same road as every fine-tuning: a
manifest, a recipe, a run that can be resumed. Needs `espeakng-loader` and Debian's `wordnet-base`.
"""

import argparse
import csv
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import torch
from tiny_corpus import ACCENTS, HELD_OUT_ACCENTS, HELD_OUT_VARIANTS, VARIANTS, WORDNET, texts
from torchaudio.functional import fftconvolve, highpass_biquad, lowpass_biquad
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from speechxfer import read_recipe
from speechxfer.cli.progress import RunProgress
from speechxfer.data import SPOKEN_RATE, SpeechRequest, resample, speak
from speechxfer.errors import SpeechxferError
from speechxfer.training import finetune

RATE = 16_000
RECIPE = Path(__file__).with_name("pretrain_tiny.yaml")
SECONDS_EACH = 1.8  # a spoken text, about
HELD_OUT_UTTERANCES = 300
CHUNK = 250  # requests that one process speaks
NOISES = 48
NOISE_SECONDS = 20


def main() -> None:
    """Make the speech, unless it is there, and train, from where it was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=18.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--start", help="weights to start from, instead of random ones")
    parser.add_argument("settings", nargs="*", help="of the recipe, such as training.batch_seconds=128")
    arguments = parser.parse_args()
    if not WORDNET.is_dir():
        sys.exit("needs wordnet-base: apt-get install wordnet-base")
    out = arguments.out
    make_noises(out / "noise", arguments.seed)
    make_train(out / "train", round(arguments.hours * 3600 / SECONDS_EACH), arguments.seed)
    make_held_out(out / "dev", ACCENTS, arguments.seed + 1)
    make_held_out(out / "test", ACCENTS, arguments.seed + 2)
    make_held_out(out / "places", ACCENTS, arguments.seed + 3, in_places=True)
    make_held_out(out / "accents", HELD_OUT_ACCENTS, arguments.seed + 4)
    if arguments.start:
        given = [f"model.path={arguments.start}", "model.vocabulary=keep"]
    else:
        make_random_model(out / "random", arguments.seed)
        given = [f"model.path={out / 'random'}"]
    given += [f"data.train={out / 'train/manifest.csv'}", f"augment.noise.manifest={out / 'noise/manifest.csv'}"]
    given += [f"training.epochs={arguments.epochs}"]
    # Dev is all that training may see; scripts/export_tiny.py scores the others.
    given += [f"data.{name}={out / 'dev/manifest.csv'}" for name in ("dev", "test")]
    given += arguments.settings
    try:
        with RunProgress(quiet=False) as progress:
            finetune(read_recipe(RECIPE, given), out / "run", progress, resume=True)
    except SpeechxferError as error:
        sys.exit(str(error))


def make_random_model(directory: Path, seed: int) -> None:
    """Write a wav2vec2 of 5.4 million random parameters.

    A frame each 30 ms instead of 20, and a stem of five narrow convolutions instead of seven wide ones, are what two cores can
    train in an afternoon.
    """
    if directory.is_dir():
        return
    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=1024,
        conv_dim=(24, 48, 128, 192, 256),
        conv_kernel=(10, 8, 8, 6, 4),
        conv_stride=(5, 4, 4, 3, 2),
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=16,
        # No dropout and no GELU: a fifth of the time, and a model so small sees each sentence too rarely to learn it by heart.
        hidden_act="relu",
        feat_extract_activation="relu",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
    )
    Wav2Vec2Model(config).save_pretrained(directory)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(directory)


def make_train(directory: Path, count: int, seed: int) -> None:
    """Speak so many texts, each in a random accent by a random voice, in a random room, over the telephone or nowhere."""
    chance = random.Random(seed)
    _make_speech(directory, texts(count, chance), ACCENTS, VARIANTS, chance, seed, in_places=True)


def make_held_out(directory: Path, accents: Sequence[str], seed: int, *, in_places: bool = False) -> None:
    """Let unknown voices speak texts that training does not know."""
    chance = random.Random(seed)
    spoken = texts(HELD_OUT_UTTERANCES, chance, held_out=True)
    _make_speech(directory, spoken, accents, HELD_OUT_VARIANTS, chance, seed, in_places=in_places)


def _make_speech(
    directory: Path,
    spoken: Sequence[str],
    accents: Sequence[str],
    variants: Sequence[str],
    chance: random.Random,
    seed: int,
    *,
    in_places: bool,
) -> None:
    """Write a folder of audio and its manifest, unless it is there."""
    manifest = directory / "manifest.csv"
    if manifest.is_file():
        return
    audio = directory / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    requests = [
        SpeechRequest(
            text,
            f"{chance.choice(accents)}+{chance.choice(variants)}",
            words_per_minute=chance.randint(120, 200),
            pitch=chance.randint(25, 75),
            pitch_range=chance.randint(25, 75),
        )
        for text in spoken
    ]
    jobs = [(audio, first, requests[first : first + CHUNK], seed, in_places) for first in range(0, len(requests), CHUNK)]
    with ProcessPoolExecutor() as pool:
        rows = [row for rows in pool.map(_speak_chunk, jobs) for row in rows]
    _write(manifest, ("audio", "text", "speaker", "accent", "duration"), rows)


def _speak_chunk(job: tuple[Path, int, list[SpeechRequest], int, bool]) -> list[tuple[str, ...]]:
    folder, first, requests, seed, in_places = job
    torch.set_num_threads(1)
    chance = np.random.default_rng((seed, first))
    rows: list[tuple[str, ...]] = []
    for number, (request, spoken) in enumerate(zip(requests, speak(requests), strict=True), start=first):
        samples = resample(spoken.astype(np.float32) / np.float32(32768), SPOKEN_RATE, RATE)
        samples = _at_a_level(_in_a_place(samples, chance) if in_places else samples, chance)
        soundfile.write(folder / f"{number}.flac", samples, RATE)
        accent, _, variant = request.voice.partition("+")
        rows.append((f"audio/{number}.flac", request.text, variant, accent, f"{len(samples) / RATE:.3f}"))
    return rows


def _in_a_place(samples: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Put silence around a clean recording, put it into a room, on the telephone, give it a noise floor, or leave it."""
    if chance.random() < 0.5:
        # Speech that always begins at once teaches that what comes first is a letter.
        samples = np.pad(samples, [round(chance.uniform(0, 0.5) * RATE) for _ in range(2)])
    waveform = torch.from_numpy(samples)
    if chance.random() < 0.35:
        waveform = fftconvolve(waveform, _room(chance))[: waveform.numel()]
    if chance.random() < 0.25:
        waveform = lowpass_biquad(highpass_biquad(waveform, RATE, 300.0), RATE, 3400.0)
        waveform = torch.from_numpy(resample(resample(waveform.numpy(), RATE, 8000), 8000, RATE))
    placed = waveform.numpy()
    if chance.random() < 0.5:
        floor = float(np.abs(placed).max()) * 10 ** (chance.uniform(-70, -30) / 20)
        placed = placed + floor * chance.standard_normal(len(placed)).astype(np.float32)
    return placed


def _at_a_level(samples: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Bring the peak to between -20 and -1 dB of full scale."""
    return samples / max(np.abs(samples).max(), 1e-4) * np.float32(10 ** (chance.uniform(-20, -1) / 20))


def _room(chance: np.random.Generator) -> torch.Tensor:
    """Give a room's response: the direct sound, then noise that dies away by 60 dB within 0.1 to 0.6 s."""
    seconds = chance.uniform(0.1, 0.6)
    times = np.arange(round(seconds * RATE)) / RATE
    tail = chance.standard_normal(len(times)) * 10 ** (-3 * times / seconds)
    tail[: round(chance.uniform(0.001, 0.01) * RATE)] = 0
    tail *= 10 ** (-chance.uniform(0, 15) / 20) / np.linalg.norm(tail)
    tail[0] = 1
    return torch.from_numpy(tail.astype(np.float32))


def make_noises(directory: Path, seed: int) -> None:
    """Write coloured noise, hum and babble."""
    manifest = directory / "manifest.csv"
    if manifest.is_file():
        return
    directory.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    rows = []
    for number in range(NOISES):
        kind = ("coloured", "hum", "babble")[number % 3]
        noise = {"coloured": _coloured, "hum": _hum, "babble": _babble}[kind](chance)
        soundfile.write(directory / f"{number}.flac", 0.3 * noise / np.abs(noise).max(), RATE)
        rows.append((f"{number}.flac", kind))
    _write(manifest, ("audio", "kind"), rows)


def _coloured(chance: np.random.Generator) -> np.ndarray:
    """Give noise whose power falls with the frequency by 0 to 8 dB an octave, swelling slowly."""
    spectrum = np.fft.rfft(chance.standard_normal(NOISE_SECONDS * RATE))
    frequencies = np.maximum(np.fft.rfftfreq(NOISE_SECONDS * RATE, 1 / RATE), 20)
    noise = np.fft.irfft(spectrum * frequencies ** -chance.uniform(0, 1.3))
    times = np.arange(len(noise)) / RATE
    return noise * (1 + chance.uniform(0, 0.9) * np.sin(2 * np.pi * chance.uniform(0.1, 2) * times))


def _hum(chance: np.random.Generator) -> np.ndarray:
    """Give a machine's hum: a tone, its overtones, and some noise."""
    times, base = np.arange(NOISE_SECONDS * RATE) / RATE, chance.uniform(45, 250)
    tones = (chance.uniform(0, 1) / order * np.sin(2 * np.pi * base * order * times) for order in range(1, 12))
    return np.sum([*tones], axis=0) + 0.1 * _coloured(chance)


def _babble(chance: np.random.Generator) -> np.ndarray:
    """Give three to eight voices at once."""
    voices = int(chance.integers(3, 9))
    python_chance = random.Random(int(chance.integers(2**32)))
    requests = [
        SpeechRequest(text, f"{python_chance.choice(ACCENTS)}+{python_chance.choice(VARIANTS)}")
        for text in texts(voices * 12, python_chance)
    ]
    spoken = [samples.astype(np.float64) for samples in speak(requests)]
    lines = [resample(np.concatenate(spoken[voice::voices]).astype(np.float32), SPOKEN_RATE, RATE) for voice in range(voices)]
    return np.sum([np.resize(line, NOISE_SECONDS * RATE) / (np.abs(line).max() + 1) for line in lines], axis=0)


def _write(manifest: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write the manifest last and whole, so that one that exists is complete."""
    beside = manifest.with_suffix(".part")
    with beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(rows)
    beside.replace(manifest)


if __name__ == "__main__":
    main()
