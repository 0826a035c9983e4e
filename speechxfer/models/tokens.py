"""The text side of Whisper: text in, tokens that its decoder is given and should answer out, and back.

An answer begins behind a prompt, which names language and task and says whether times are wanted.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from transformers import GenerationConfig, WhisperConfig, WhisperTokenizer

from speechxfer.data import Utterance
from speechxfer.errors import ModelError

_PREVIOUS = "<|startofprev|>"
_TIME_STEP = 0.02  # seconds between two timestamp tokens


class TokenTarget(NamedTuple):
    """What a decoder is given, and what it should answer, the end token last."""

    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True)
class Tokens:
    """A tokenizer with its special tokens.

    Attributes
    ----------
    tokenizer
        Whisper's.
    generation
        The numbers of special tokens, and which tokens are never written.
    max_length
        Tokens the decoder has positions for, prompt and end token included.
    language
        ISO code, for a multilingual model; None lets it find out.
    """

    tokenizer: Any
    generation: GenerationConfig
    max_length: int
    language: str | None = None

    @classmethod
    def load(cls, directory: Path, config: WhisperConfig) -> Tokens:
        """Read tokenizer and generation settings.

        Parameters
        ----------
        directory
            Of the model.
        config
            The model's, for the positions that its decoder has.

        Returns
        -------
        Tokens
            Without a language.

        Raises
        ------
        ModelError
            If a file is missing or not readable.
        """
        for name in ("tokenizer.json", "generation_config.json"):
            if not (directory / name).is_file():
                raise ModelError(f"{directory}: {name} is missing, without which the decoder cannot write")
        try:
            tokenizer = WhisperTokenizer.from_pretrained(directory, local_files_only=True)
            generation = GenerationConfig.from_pretrained(directory, local_files_only=True)
        except Exception as error:  # the tokenizers library raises what it likes for a broken file
            raise ModelError(f"{directory}: cannot read tokenizer.json or generation_config.json: {error}") from None
        return cls(tokenizer, generation, config.max_target_positions)

    def save(self, directory: Path) -> None:
        """Write the tokenizer's files; the model itself writes its generation settings."""
        self.tokenizer.save_pretrained(directory)

    @property
    def is_multilingual(self) -> bool:
        """Whether the prompt names a language."""
        return bool(getattr(self.generation, "is_multilingual", False))

    @property
    def languages(self) -> dict[str, int]:
        """The languages it knows, each with its token."""
        known: dict[str, int] = getattr(self.generation, "lang_to_id", None) or {}
        return {name.strip("<|>"): number for name, number in known.items()}

    def speaking(self, language: str | None) -> Tokens:
        """Give the same with another language; None changes nothing.

        Raises
        ------
        ModelError
            If the model does not know it.
        """
        if language is None or (language == "en" and not self.is_multilingual):
            return self
        if language not in self.languages:
            known = ", ".join(sorted(self.languages)) if self.is_multilingual else "en"
            raise ModelError(f"language {language!r}: this model knows {known}")
        return replace(self, language=language)

    def language_of(self, utterance: Utterance) -> str | None:
        """Give the language in which an utterance is to be written.

        Parameters
        ----------
        utterance
            From a manifest, whose column `language` may name it, such as `de` or `de-AT`.

        Returns
        -------
        str or None
            None is the model's own: nothing is named, or there is no other.

        Raises
        ------
        ModelError
            If the model knows many languages and not this one.
        """
        named = utterance.fields.get("language", "").partition("-")[0].lower()
        return self.speaking(named).language if named and self.is_multilingual else None

    @property
    def start(self) -> int:
        """The token every prompt begins with."""
        return int(self.generation.decoder_start_token_id)

    @property
    def end(self) -> int:
        """The token every answer ends with."""
        end: Any = self.generation.eos_token_id
        return int(end[0] if isinstance(end, list) else end)

    @property
    def first_time(self) -> int:
        """The token of time 0; those of later times follow."""
        return int(self.generation.no_timestamps_token_id) + 1  # type: ignore[attr-defined]

    def prompt(self, language: str | None = None, *, timed: bool = False, previous: str = "") -> list[int]:
        """Give what stands before an answer.

        Parameters
        ----------
        language
            ISO code; None is the model's own.
        timed
            Whether the answer holds times.
        previous
            What was said before, or words to be expected; of a long one the end.

        Returns
        -------
        list of int
            Tokens.

        Raises
        ------
        ModelError
            If the model is multilingual and no language is given, or it does not know it; if it knows no words said before.
        """
        prompt = [self.start]
        if previous:
            prompt = [self._before_prompt, *self.encode(previous)[1 - self.max_length // 2 :], self.start]
        if self.is_multilingual:
            language = language or self.language
            if language not in self.languages:
                known = ", ".join(sorted(self.languages))
                raise ModelError(f"this Whisper is multilingual: whisper.language is {language!r}, expected one of {known}")
            prompt += [self.languages[language], self.generation.task_to_id["transcribe"]]  # type: ignore[attr-defined]
        return prompt if timed else [*prompt, self.first_time - 1]

    @property
    def _before_prompt(self) -> int:
        number: int = self.tokenizer.convert_tokens_to_ids(_PREVIOUS)
        if self.tokenizer.convert_ids_to_tokens(number) != _PREVIOUS:
            raise ModelError(f"this model takes no prompt: its tokenizer has no {_PREVIOUS}")
        return number

    def encode(self, text: str) -> list[int]:
        """Give the tokens of a text as Whisper writes it: behind a space."""
        parts = self._split_at_terms(f" {text}") if text else []
        return [token for part in parts for token in self._tokens_of(part)]

    def _tokens_of(self, part: str) -> list[int]:
        if part in self._terms:
            return [self._terms[part]]
        tokens: list[int] = self._speller.encode(part, add_special_tokens=False)
        return tokens

    def _split_at_terms(self, text: str) -> list[str]:
        """Part a text before and behind each term that stands in it as whole words."""
        if not self._terms:
            return [text]
        longest_first = sorted(map(re.escape, self._terms), key=len, reverse=True)
        return [part for part in re.split(rf"((?:{'|'.join(longest_first)})(?!\w))", text) if part]

    @functools.cached_property
    def _speller(self) -> Any:
        """The tokenizer without the terms, which it would find inside of words too."""
        if not self._terms:
            return self.tokenizer
        plain = json.loads(self.tokenizer.backend_tokenizer.to_str())
        plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] not in self._terms]
        speller = copy.deepcopy(self.tokenizer)
        speller._tokenizer = Tokenizer.from_str(json.dumps(plain))
        return speller

    def target(self, text: str, seconds: float | None = None) -> TokenTarget:
        """Give what is to be learned from a text.

        Parameters
        ----------
        text
            As it is to be written.
        seconds
            How long its audio is, so that it is learned when the text begins and ends, too; None, or an empty text, has no times.

        Returns
        -------
        TokenTarget
            In the model's own language.

        Raises
        ------
        ModelError
            If the model is multilingual and has no language.
        """
        if seconds is None or not text:
            return TokenTarget(self.prompt(timed=seconds is not None), [*self.encode(text), self.end])
        last = self.first_time + round(seconds / _TIME_STEP)
        return TokenTarget(self.prompt(timed=True), [self.first_time, *self.encode(text), last, self.end])

    @functools.cached_property
    def _terms(self) -> dict[str, int]:
        """Terms that have tokens of their own, behind the special ones and the times; each with the space before it."""
        added = self.tokenizer.added_tokens_decoder.items()
        return {token.content: number for number, token in added if not (token.special or token.content.startswith("<|"))}

    def _is_text(self, token: int) -> bool:
        return token < self.end or token in self._terms.values()

    def text(self, answer: Sequence[int]) -> str:
        """Spell an answer, special tokens and times left out."""
        spelled: str = self.tokenizer.decode([token for token in answer if self._is_text(token)], skip_special_tokens=True)
        return " ".join(spelled.split())

    def words(self, answer: Sequence[int]) -> list[tuple[str, list[int]]]:
        """Give the words of an answer, each with the places of its tokens."""
        words: list[tuple[str, list[int]]] = []
        for place, token in enumerate(answer):
            if not self._is_text(token):
                continue
            piece = self.tokenizer.convert_ids_to_tokens(token)
            # The byte-level alphabet spells a space as this letter; a term that was added has a real one.
            if piece.startswith(("\u0120", " ")) or not words:
                words.append(("", []))
            words[-1][1].append(place)
        spelled = [(self.tokenizer.decode([answer[place] for place in places]).strip(), places) for _, places in words]
        return [(word, places) for word, places in spelled if word]
