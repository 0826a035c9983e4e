"""Text normalisers, each with a name that is stored with every score made through it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from speechxfer.errors import DataError, Problem

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'", "`": "'"})
# Not `\w`, which leaves out combining marks.
_LOOSE_APOSTROPHE = re.compile(r"(?<![^\s'])'+|'+(?![^\s'])")
_ZERO_WIDTH_SPACE = "\u200b"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGIT = re.compile("[0-9]")
_NUMBER = re.compile(r"\d+")
_LONGEST_NUMBER = 12  # digits; a longer one is a code that is read digit by digit
# Letters that one language writes in several ways, or lowers in a way of its own.
_SPELLED: Mapping[str, Mapping[int, int | str | None]] = {
    "ro": str.maketrans("şţŞŢ", "șțȘȚ"),  # cedillas stand for the commas below that old fonts lacked
    "tr": str.maketrans("Iİ", "ıi"),
    # Short vowels and the stretching stroke are rarely written, and then not by everyone.
    "ar": {code: None for code in (0x0640, *range(0x064B, 0x0653), 0x0670)},
}


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
        `none`: NFC and single spaces only.

    Returns
    -------
    str
        With single spaces between words and none at the ends.

    Raises
    ------
    DataError
        If num2words is needed and missing.
    """
    _, _, language = normaliser.partition(":")
    if normaliser != "none":
        text = "".join(character for character in text if not _is_invisible(character))
    text = unicodedata.normalize("NFC", text)
    if language:
        text = _NUMBER.sub(lambda number: f" {_in_words(number[0], language)} ", text)
        text = text.translate(_SPELLED.get(language, {}))
    if normaliser == "english":
        text = _DIGIT.sub(lambda digit: f" {_DIGITS[int(digit[0])]} ", text)
    if normaliser != "none":
        text = unicodedata.normalize("NFC", text.lower()).translate(_APOSTROPHES)
        text = "".join(character if _is_word_part(character) else " " for character in text)
        text = _LOOSE_APOSTROPHE.sub(" ", text)
    return " ".join(text.split())


def _in_words(number: str, language: str) -> str:
    try:
        from num2words import num2words
    except ImportError:
        what = f"basic:{language} writes numbers in words, which needs: pip install 'speechxfer[text]'"
        raise DataError([Problem("data.normaliser", None, what, skippable=False)]) from None
    # With a zero in front it is a code, too.
    parts = [number] if len(number) <= _LONGEST_NUMBER and (number == "0" or int(number[0])) else list(number)
    return " ".join(num2words(int(part), lang=language) for part in parts)


def _is_invisible(character: str) -> bool:
    """Tell joiners, soft hyphens and the like, which stand inside words, from what ends a word."""
    return unicodedata.category(character) == "Cf" and character != _ZERO_WIDTH_SPACE


def _is_word_part(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"
