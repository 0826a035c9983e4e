"""Vocabularies: training texts or labels in, symbols with numbers out.

A CTC vocabulary is saved as the files of a tokenizer of transformers that merges repeats and drops blanks, so that plain
transformers decodes with it: `Wav2Vec2CTCTokenizer` for characters, `ParakeetTokenizer` for pieces of words. Inside, a space is a
space.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from speechxfer.errors import ModelError

BLANK = "<pad>"
_DELIMITER = "|"  # how a word boundary is spelled in the tokenizer's files


@dataclass(frozen=True)
class Vocabulary:
    """Symbols of a CTC model; number 0 is the blank, `symbols[n - 1]` has number n.

    Attributes
    ----------
    symbols
        Characters; with `merges` also pieces of words, none of which holds a space.
    merges
        Which two symbols become one, in this order (byte-pair encoding, Sennrich et al. 2016); empty for characters alone.
    """

    symbols: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_texts(cls, texts: Iterable[str], size: int | None = None) -> Vocabulary:
        """Collect every character of normalised training texts, in code point order, and learn pieces of words.

        Parameters
        ----------
        texts
            Normalised.
        size
            Number of symbols to be reached with pieces of words, the blank included; None for characters alone. There are fewer
            where the texts hold fewer different words, and more where they hold more characters.

        Returns
        -------
        Vocabulary
            Characters first, then pieces in the order in which they were learned.
        """
        counts = Counter(texts)
        characters = sorted({character for text in counts for character in text} - {_DELIMITER})
        if size is None:
            return cls(tuple(characters))
        tokenizer = _tokenizer(models.BPE())
        words = Counter(word for text in counts.elements() for word in text.replace(_DELIMITER, " ").split())
        trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=characters, show_progress=False)
        tokenizer.train_from_iterator((word for word in sorted(words) for _ in range(words[word])), trainer)
        merges = tuple((first, second) for first, second in json.loads(tokenizer.to_str())["model"]["merges"])
        return cls((*characters, *dict.fromkeys(first + second for first, second in merges)), merges)

    def __len__(self) -> int:
        """Give the number of symbols, the blank included."""
        return len(self.symbols) + 1

    def encode(self, text: str) -> list[int]:
        """Give the numbers of a text's symbols; characters outside the vocabulary are left out."""
        if self.merges:
            spelled: list[int] = self._tokenizer.encode(text).ids
            return spelled
        numbers = {symbol: number for number, symbol in enumerate(self.symbols, start=1)}
        return [numbers[character] for character in text if character in numbers]

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        numbers = {BLANK: 0} | {symbol: number for number, symbol in enumerate(self.symbols, start=1)}
        return _tokenizer(models.BPE(vocab=numbers, merges=list(self.merges)))

    def decode(self, numbers: Sequence[int]) -> str:
        """Spell numbers, blanks left out."""
        return "".join(self.symbols[number - 1] for number in numbers if number)

    def unknown(self, texts: Iterable[str]) -> Counter[str]:
        """Count the characters that no symbol stands for."""
        known = set(self.symbols)
        return Counter(character for text in texts for character in text if character not in known)

    def save(self, directory: Path) -> None:
        """Write `vocab.json`, or for pieces of words `tokenizer.json`, and `tokenizer_config.json`."""
        (directory / ("vocab.json" if self.merges else "tokenizer.json")).unlink(missing_ok=True)
        if self.merges:
            _write_json(directory / "tokenizer.json", json.loads(self._tokenizer.to_str()))
            _write_json(directory / "tokenizer_config.json", {"tokenizer_class": "ParakeetTokenizer", "pad_token": BLANK})
            return
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
        _write_json(directory / "vocab.json", numbers)
        _write_json(directory / "tokenizer_config.json", config)

    @classmethod
    def load(cls, directory: Path, target_lang: str | None = None) -> Vocabulary:
        """Read `vocab.json`, or where there is none `tokenizer.json`.

        Parameters
        ----------
        directory
            Of the model.
        target_lang
            Whose symbols, where there is a vocabulary for each language.

        Returns
        -------
        Vocabulary
            In which every symbol has its number in the file.

        Raises
        ------
        ModelError
            If the file is missing, its numbers are not 0 (blank), 1, 2, ..., its merges do not fit its symbols, or it has no such
            language.
        """
        has_pieces = not (directory / "vocab.json").exists() and (directory / "tokenizer.json").exists()
        path = directory / ("tokenizer.json" if has_pieces else "vocab.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            numbers = content["model"]["vocab"] if has_pieces else content
            if _is_by_language(numbers):
                if target_lang not in numbers:
                    raise ValueError(f"no language {target_lang!r}; there are {', '.join(sorted(numbers))}")
                numbers = numbers[target_lang]
            merges = tuple((first, second) for first, second in content["model"]["merges"]) if has_pieces else ()
            ordered = sorted(numbers, key=numbers.__getitem__)
            if ordered[0] != BLANK or [numbers[symbol] for symbol in ordered] != list(range(len(ordered))):
                raise ValueError(f"expected {BLANK!r}: 0 and then 1, 2, ...")
            if unknown := {symbol for pair in merges for symbol in (*pair, "".join(pair))} - numbers.keys():
                raise ValueError(f"merges of symbols that it lacks: {', '.join(sorted(unknown)[:5])}")
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise ModelError(f"{path}: cannot read the model's vocabulary: {error}") from None
        return cls(tuple(" " if symbol == _DELIMITER else symbol for symbol in ordered[1:]), merges)

    @staticmethod
    def language_of(directory: Path) -> str | None:
        """Give the language that a tokenizer with a vocabulary for each (MMS) is set to; None for one with a single one."""
        try:
            if not _is_by_language(json.loads((directory / "vocab.json").read_text(encoding="utf-8"))):
                return None
            return str(json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))["target_lang"])
        except (OSError, ValueError, KeyError):
            return None


def _is_by_language(numbers: Mapping[str, Any]) -> bool:
    return bool(numbers) and all(isinstance(value, dict) for value in numbers.values())


def _tokenizer(model: models.BPE) -> Tokenizer:
    """Give a tokenizer that takes each space for a symbol of its own, so that words stay apart whatever is learned."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
