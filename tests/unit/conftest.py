"""A small random Whisper-shaped model, generated clips, and a set of spoken-like tones."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import soundfile
import torch
from tokenizers import pre_tokenizers
from transformers import (
    GenerationConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperModel,
    WhisperTokenizer,
)

from speechxfer.cli import main

RATE = 16_000
TONES = {"a": 300.0, "b": 1200.0, " ": 0.0}


NAMED_BY_USERS = {"sets", "proof", "verdicts", "verdicts_after_remedy", "losses"}  # what is in them has the names of sets


@pytest.fixture(scope="session")
def undocumented() -> Callable[[dict[str, Any]], set[str]]:
    """Give the keys of a report that docs/report.md does not name."""
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", Path("docs/report.md").read_text(encoding="utf-8")))))

    def look(part: Any, levels: int = 0) -> set[str]:
        """Look into a part whose next so many levels have the names of sets, or of columns and values."""
        if isinstance(part, list):
            return set().union(*(look(one) for one in part))
        if not isinstance(part, dict):
            return set()
        deeper = (
            {key: 2 if key == "groups" else int(key in NAMED_BY_USERS) for key in part}
            if not levels
            else dict.fromkeys(part, levels - 1)
        )
        unknown = set() if levels else {*part} - named
        return unknown.union(*(look(value, deeper[key]) for key, value in part.items()))

    return look


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch from waking a second thread for matrices this small, which takes longer than the sum itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def speechxfer(monkeypatch, capsys):
    """Run a command line in this process; gives exit code, stdout and stderr."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["speechxfer", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


@pytest.fixture(scope="session")
def small_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pretrained-style directory: three encoder layers of width 32, random weights."""
    directory = tmp_path_factory.mktemp("small-whisper")
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        vocab_size=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        init_std=0.2,  # large enough for attention to be far from uniform, so that a wrong mask shows
    )
    WhisperModel(config).save_pretrained(directory)
    WhisperFeatureExtractor().save_pretrained(directory)
    return directory


def save_complete_whisper(
    directory: Path, languages: tuple[str, ...] = (), positions: int = 24, *, decoder_layers: int = 3, brief: bool = False
) -> None:
    """Save three random layers of width 32 on either side, and a tokenizer that knows single bytes.

    A brief one ends every answer after a token, where others go on for ever.
    """
    torch.manual_seed(0)
    letters = [*pre_tokenizers.ByteLevel.alphabet()]
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{name}|>" for name in languages), "<|transcribe|>"]
    special += ["<|notimestamps|>", *(f"<|{step / 50:.2f}|>" for step in range(1501)), "<|startofprev|>"]
    numbers = {token: number for number, token in enumerate([*sorted(letters), *special])}
    tokenizer = WhisperTokenizer(vocab=numbers, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    tokenizer.save_pretrained(directory)
    end, start = numbers["<|endoftext|>"], numbers["<|startoftranscript|>"]
    config = WhisperConfig(
        d_model=32,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=decoder_layers,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        vocab_size=len(numbers),
        max_target_positions=positions,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        init_std=0.2,
    )
    model = WhisperForConditionalGeneration(config)
    if brief:
        with torch.no_grad():
            model.model.decoder.layer_norm.bias.fill_(1.0)
            model.model.decoder.embed_tokens.weight[end] = 0.3
    settings = {"decoder_start_token_id": start, "eos_token_id": end, "pad_token_id": end, "max_length": positions}
    if languages:
        named = {f"<|{name}|>": numbers[f"<|{name}|>"] for name in languages}
        settings |= {"lang_to_id": named, "task_to_id": {"transcribe": numbers["<|transcribe|>"]}}
    model.generation_config = GenerationConfig(
        no_timestamps_token_id=numbers["<|notimestamps|>"],
        is_multilingual=bool(languages),
        suppress_tokens=list(range(start, len(numbers))),
        begin_suppress_tokens=[end],
        alignment_heads=[[max(0, decoder_layers - 2), 0], [decoder_layers - 1, 1]],
        **settings,
    )
    model.save_pretrained(directory)
    WhisperFeatureExtractor().save_pretrained(directory)


@pytest.fixture(scope="session")
def small_writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a complete small Whisper for English alone."""
    directory = tmp_path_factory.mktemp("small-writer")
    save_complete_whisper(directory)
    return directory


@pytest.fixture(scope="session")
def small_polyglot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a complete small Whisper for three languages."""
    directory = tmp_path_factory.mktemp("small-polyglot")
    save_complete_whisper(directory, ("en", "de", "ro"))
    return directory


def save_wav2vec2(directory: Path, norm: str) -> Path:
    """Save three random layers of width 32: `group` and post-norm as in "base", or `layer` and pre-norm as in "large"."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        conv_bias=norm == "layer",
        layerdrop=0.5,
        initializer_range=0.2,
    )
    Wav2Vec2Model(config).save_pretrained(directory)
    Wav2Vec2FeatureExtractor(return_attention_mask=norm == "layer").save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def small_models(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return pretrained-style directories of each family and norm style."""
    wav2vec2 = {norm: save_wav2vec2(tmp_path_factory.mktemp(f"small-wav2vec2-{norm}"), norm) for norm in ("group", "layer")}
    return {"whisper": small_whisper} | {f"wav2vec2-{norm}": directory for norm, directory in wav2vec2.items()}


@pytest.fixture(scope="session")
def clips() -> list[np.ndarray]:
    """Return noise clips of clearly different length, one shorter than a frame."""
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, size).astype(np.float32) for size in (100, 3_000, 16_000, 40_321)]


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a manifest of 60 clips by six speakers; the text spells the tones, the label is the first of them."""
    directory = tmp_path_factory.mktemp("tones")
    random = np.random.default_rng(0)
    rows = []
    for number in range(60):
        text = "".join(random.choice(["a", "b"], random.integers(1, 4)))
        parts = []
        for letter in text:
            time = np.arange(int(random.uniform(0.15, 0.25) * RATE)) / RATE
            parts += [0.3 * np.sin(2 * np.pi * TONES[letter] * time), np.zeros(RATE // 20)]
        soundfile.write(directory / f"{number}.wav", np.concatenate(parts) + random.normal(0, 0.01, sum(map(len, parts))), RATE)
        speaker = number % 6
        split = {4: "dev", 5: "test"}.get(speaker, "train")
        rows.append((f"{number}.wav", text, text[0], f"s{speaker}", split))
    with (directory / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("audio", "text", "label", "speaker", "split"), *rows])
    return directory / "manifest.csv"


@pytest.fixture
def memory() -> Iterator[Any]:
    """Return a storage of files in memory, empty before and after."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()
