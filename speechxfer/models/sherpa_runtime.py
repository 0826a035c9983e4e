"""CTC models of the waveform by sherpa-onnx: what it reads in, texts out.

For most models sherpa-onnx makes filterbanks. One of its kinds, named after Omnilingual ASR, hands the graph the waveform, with
mean 0 and variance 1, one clip at a time, as the models of wav2vec2's kin have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from speechxfer.data import Samples, Vocabulary
from speechxfer.errors import ModelError
from speechxfer.models.runtimes import ONNX_FILE

SHERPA_EPSILON = 1e-5
"""What it adds to a waveform's variance before it divides by the root of it (`offline-omnilingual-asr-ctc-model.cc`)."""

_RATE = 16_000
_TOKENS = "tokens.txt"
_BLANK, _SPACE = "<blk>", "▁"  # sherpa-onnx's names


def write_sherpa_tokens(vocabulary: Vocabulary, directory: Path) -> None:
    """Write the symbols and their numbers as sherpa-onnx reads them."""
    symbols = [_BLANK, *(_SPACE if symbol == " " else symbol for symbol in vocabulary.symbols)]
    lines = [f"{symbol} {number}\n" for number, symbol in enumerate(symbols)]
    (directory / _TOKENS).write_text("".join(lines), encoding="utf-8")


def sherpa_texts(directory: Path, clips: Iterable[Samples]) -> list[str]:
    """Let sherpa-onnx transcribe.

    Parameters
    ----------
    directory
        What `export_sherpa_onnx` wrote.
    clips
        float32 `[num_samples]` at 16 kHz each.

    Returns
    -------
    list of str
        Greedy texts.

    Raises
    ------
    ModelError
        If sherpa-onnx is not installed.
    """
    kind = _import_sherpa_onnx().OfflineRecognizer
    recognizer = kind.from_omnilingual_asr_ctc(str(directory / ONNX_FILE), str(directory / _TOKENS))
    texts = []
    for samples in clips:
        stream = recognizer.create_stream()
        stream.accept_waveform(_RATE, samples)
        recognizer.decode_stream(stream)
        texts.append(stream.result.text)
    return texts


def _import_sherpa_onnx() -> Any:
    try:
        import sherpa_onnx
    except ImportError:
        raise ModelError("sherpa-onnx is not installed: pip install 'speechxfer[sherpa]'") from None
    return sherpa_onnx
