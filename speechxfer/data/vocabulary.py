"""Vocabularies: training texts or labels in, symbols with numbers out.

A CTC vocabulary is saved as the files of a `Wav2Vec2CTCTokenizer`, so that plain transformers decodes with it; inside, a space
is a space.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechxfer.errors import ModelError

BLANK = "<pad>"
_DELIMITER = "|"  # how a word boundary is spelled in the tokenizer's files


@dataclass(frozen=True)
class Vocabulary:
    """Characters of a CTC model; number 0 is the blank, `symbols[n - 1]` has number n."""

    symbols: tuple[str, ...]

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Vocabulary:
        """Collect every character of normalised training texts, in code point order."""
        return cls(tuple(sorted({character for text in texts for character in text} - {_DELIMITER})))

    def __len__(self) -> int:
        """Give the number of symbols, the blank included."""
        return len(self.symbols) + 1

    def encode(self, text: str) -> list[int]:
        """Give the numbers of a text's characters; characters outside the vocabulary are left out."""
        numbers = {symbol: number for number, symbol in enumerate(self.symbols, start=1)}
        return [numbers[character] for character in text if character in numbers]

    def decode(self, numbers: Sequence[int]) -> str:
        """Spell numbers, blanks left out."""
        return "".join(self.symbols[number - 1] for number in numbers if number)

    def unknown(self, texts: Iterable[str]) -> Counter[str]:
        """Count the characters that no symbol stands for."""
        known = set(self.symbols)
        return Counter(character for text in texts for character in text if character not in known)

    def save(self, directory: Path) -> None:
        """Write `vocab.json` and `tokenizer_config.json`."""
        numbers = {BLANK: 0} | {_DELIMITER if s == " " else s: n for n, s in enumerate(self.symbols, start=1)}
        config = {
            "tokenizer_class": "Wav2Vec2CTCTokenizer",
            "pad_token": BLANK,
            "word_delimiter_token": _DELIMITER,
            "unk_token": None,
            "bos_token": None,
            "eos_token": None,
            "do_lower_case": False,
            "replace_word_delimiter_char": " ",
        }
        (directory / "vocab.json").write_text(json.dumps(numbers, ensure_ascii=False, indent=1), encoding="utf-8")
        (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Vocabulary:
        """Read `vocab.json`.

        Raises
        ------
        ModelError
            If the file is missing or its numbers are not 0 (blank), 1, 2, ...
        """
        path = directory / "vocab.json"
        try:
            numbers = json.loads(path.read_text(encoding="utf-8"))
            ordered = sorted(numbers, key=numbers.__getitem__)
            if ordered[0] != BLANK or [numbers[symbol] for symbol in ordered] != list(range(len(ordered))):
                raise ValueError(f"expected {BLANK!r}: 0 and then 1, 2, ...")
        except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise ModelError(f"{path}: cannot read the model's vocabulary: {error}") from None
        return cls(tuple(" " if symbol == _DELIMITER else symbol for symbol in ordered[1:]))
