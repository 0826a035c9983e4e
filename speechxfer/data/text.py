"""Text normalisers, each with a name that is stored with every score made through it."""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'", "`": "'"})
# Not `\w`, which leaves out combining marks.
_LOOSE_APOSTROPHE = re.compile(r"(?<![^\s'])'+|'+(?![^\s'])")
_ZERO_WIDTH_SPACE = "\u200b"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGIT = re.compile("[0-9]")


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
        `none`: NFC and single spaces only.

    Returns
    -------
    str
        With single spaces between words and none at the ends.
    """
    if normaliser != "none":
        text = "".join(character for character in text if not _is_invisible(character))
    text = unicodedata.normalize("NFC", text)
    if normaliser == "english":
        text = _DIGIT.sub(lambda digit: f" {_DIGITS[int(digit[0])]} ", text)
    if normaliser != "none":
        text = unicodedata.normalize("NFC", text.lower()).translate(_APOSTROPHES)
        text = "".join(character if _is_word_part(character) else " " for character in text)
        text = _LOOSE_APOSTROPHE.sub(" ", text)
    return " ".join(text.split())


def _is_invisible(character: str) -> bool:
    """Tell joiners, soft hyphens and the like, which stand inside words, from what ends a word."""
    return unicodedata.category(character) == "Cf" and character != _ZERO_WIDTH_SPACE


def _is_word_part(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"
