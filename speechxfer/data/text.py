"""Text normalisers, each with a name that is stored with every score made through it."""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'", "`": "'"})
_LOOSE_APOSTROPHE = re.compile(r"(?<!\w)'+|'+(?!\w)")


def normalise(text: str, normaliser: str) -> str:
    """Normalise text for training and scoring.

    Parameters
    ----------
    text
        As written.
    normaliser
        `basic`: Unicode NFC, lower case, apostrophes kept inside words, all other punctuation and symbols become spaces;
        letters, combining marks and digits of every script stay. `none`: NFC and single spaces only.

    Returns
    -------
    str
        With single spaces between words and none at the ends.
    """
    text = unicodedata.normalize("NFC", text)
    if normaliser == "basic":
        text = unicodedata.normalize("NFC", text.lower()).translate(_APOSTROPHES)
        text = "".join(character if _is_word_part(character) else " " for character in text)
        text = _LOOSE_APOSTROPHE.sub(" ", text)
    return " ".join(text.split())


def _is_word_part(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"
