"""Text normalisers, each with a name that is stored with every score made through it; and a recipe's own rules before them."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files

from speechxfer.data.phonemes import pronounce
from speechxfer.errors import DataError, Problem
from speechxfer.recipe import DataSection

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'", "`": "'"})
# Not `\w`, which leaves out combining marks.
_LOOSE_APOSTROPHE = re.compile(r"(?<![^\s'])'+|'+(?![^\s'])")
_ZERO_WIDTH_SPACE = "\u200b"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGIT = re.compile("[0-9]")
_NUMBER = re.compile(r"\d+")
# Thai, Lao, Burmese, Khmer; Japanese kana; Han.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_LONGEST_NUMBER = 12  # digits; a longer one is a code that is read digit by digit
# Letters that one language writes in several ways, or lowers in a way of its own.
_SPELLED: Mapping[str, Mapping[int, int | str | None]] = {
    "ro": str.maketrans("şţŞŢ", "șțȘȚ"),  # cedillas stand for the commas below that old fonts lacked
    "tr": str.maketrans("Iİ", "ıi"),
    # Short vowels and the stretching stroke are rarely written, and then not by everyone.
    "ar": {code: None for code in (0x0640, *range(0x064B, 0x0653), 0x0670)},
}


def normaliser_of(section: DataSection) -> str:
    """Give the normaliser of a recipe: its name, behind its rules where it has any, such as `[["colour", "color"]] basic`."""
    return f"{json.dumps(section.rules, ensure_ascii=False)} {section.normaliser}" if section.rules else section.normaliser


@functools.lru_cache
def _parts(normaliser: str) -> tuple[list[tuple[re.Pattern[str], str]], str, str]:
    """Give rules, name and language of a normaliser."""
    rules: list[tuple[str, str]] = []
    end = 0
    try:
        if normaliser.startswith("["):
            rules, end = json.JSONDecoder().raw_decode(normaliser)
        compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    except (ValueError, TypeError, re.error) as error:
        raise DataError([Problem("normaliser", None, f"cannot read {normaliser!r}: {error}", skippable=False)]) from None
    name, _, language = normaliser[end:].strip().partition(":")
    return compiled, name, language


def normalise(text: str, normaliser: str) -> str:
    """Normalise text for training and scoring.

    Parameters
    ----------
    text
        As written.
    normaliser
        `basic`: Unicode NFC, lower case, apostrophes kept inside words, all other punctuation and symbols become spaces;
        letters, combining marks and digits of every script stay; joiners, soft hyphens and marks of direction vanish.
        `english`: as `basic`, and digits become English words, one by one.
        `basic:LANG`: as `basic`, with numbers in words of that language (num2words), and one spelling where it has several:
        Romanian commas for cedillas, Turkish dotless i, Arabic without vowel signs.
        `whisper-basic`, `whisper-english`: those of Whisper's authors, as transformers has them; the second one writes numbers in
        digits, contractions in full and American spellings.
        `phonemes:LANG`: how the words that `basic` leaves are spoken, in phonemes (eSpeak).
        `none`: NFC and single spaces only.
        Rules may stand before it (see `normaliser_of`): regular expressions of Python's `re`, each with what is written for its
        matches in the NFC of the text, one after the other.

    Returns
    -------
    str
        With single spaces between words and none at the ends.

    Raises
    ------
    DataError
        If a package is needed and missing, eSpeak does not speak the language, or the rules cannot be read.
    """
    rules, name, language = _parts(normaliser)
    if rules:
        text = unicodedata.normalize("NFC", text)
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    if name == "none":
        text = unicodedata.normalize("NFC", text)
    elif name == "phonemes":
        text = " ".join(pronounce(word, language) for word in _basic(text).split())
    elif name.startswith("whisper-"):
        text = unicodedata.normalize("NFC", _of_whisper(name)(text))
    else:
        text = _basic(text, language, digits_in_english=name == "english")
    return " ".join(text.split())


def normalise_answer(text: str, normaliser: str) -> str:
    """Normalise what a model answered: as `normalise`, but for phonemes, which are phonemes already.

    Parameters
    ----------
    text
        As answered.
    normaliser
        Of the texts that it is compared with, see `normalise`.

    Returns
    -------
    str
        With single spaces between words and none at the ends.

    Raises
    ------
    DataError
        If a package is needed and missing, or the rules cannot be read.
    """
    _, name, _ = _parts(normaliser)
    return normalise(text, "none" if name == "phonemes" else normaliser)


def _basic(text: str, language: str = "", *, digits_in_english: bool = False) -> str:
    """Do what `basic` and its kin do, but for single spaces."""
    text = "".join(character for character in text if not _is_invisible(character))
    text = unicodedata.normalize("NFC", text)
    if language:
        text = _NUMBER.sub(lambda number: f" {_in_words(number[0], language)} ", text)
        text = text.translate(_SPELLED.get(language, {}))
    if digits_in_english:
        text = _DIGIT.sub(lambda digit: f" {_DIGITS[int(digit[0])]} ", text)
    text = unicodedata.normalize("NFC", text.lower()).translate(_APOSTROPHES)
    text = "".join(character if _is_word_part(character) else " " for character in text)
    return _LOOSE_APOSTROPHE.sub(" ", text)


@functools.cache
def _of_whisper(name: str) -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    if name == "whisper-basic":
        basic: Callable[[str], str] = BasicTextNormalizer()
        return basic
    try:
        # The package brings the table of spellings that transformers wants; the normaliser is the same.
        table = files("whisper_normalizer").joinpath("normalizers/english.json").read_text(encoding="utf-8")
    except ImportError:
        what = "whisper-english knows spellings from a package: pip install 'speechxfer[text]'"
        raise DataError([Problem("data.normaliser", None, what, skippable=False)]) from None
    spellings = json.loads(table)
    english: Callable[[str], str] = EnglishTextNormalizer(spellings)
    return english


def _in_words(number: str, language: str) -> str:
    try:
        from num2words import num2words
    except ImportError:
        what = f"basic:{language} writes numbers in words, which needs: pip install 'speechxfer[text]'"
        raise DataError([Problem("data.normaliser", None, what, skippable=False)]) from None
    # With a zero in front it is a code, too.
    parts = [number] if len(number) <= _LONGEST_NUMBER and (number == "0" or int(number[0])) else list(number)
    return " ".join(num2words(int(part), lang=language) for part in parts)


def has_words_apart(texts: Iterable[str]) -> bool:
    """Tell whether spaces part the words of texts: not where most letters are of a script such as Chinese, Japanese or Thai."""
    letters = "".join(character for text in texts for character in text if not character.isspace())
    return 2 * len(_WITHOUT_SPACES.findall(letters)) <= len(letters)


def _is_invisible(character: str) -> bool:
    """Tell joiners, soft hyphens and the like, which stand inside words, from what ends a word."""
    return unicodedata.category(character) == "Cf" and character != _ZERO_WIDTH_SPACE


def _is_word_part(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"
