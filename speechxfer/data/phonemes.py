"""Words in, how they are spoken out, in the signs of the International Phonetic Alphabet; needs the extra `phonemes`.

eSpeak NG pronounces, through the package `phonemizer`; its library comes with `espeakng-loader`.
"""

from __future__ import annotations

import functools
from typing import Any

from speechxfer.errors import DataError, Problem


@functools.lru_cache(maxsize=1 << 18)
def pronounce(word: str, language: str) -> str:
    """Give the phonemes of a word, without stress.

    Each word is pronounced by itself, so that a text has as many words of phonemes as it has words, and the same word always
    sounds the same.

    Parameters
    ----------
    word
        Letters, and apostrophes.
    language
        As eSpeak names it, such as `en-us`.

    Returns
    -------
    str
        Without spaces; empty for what is not spoken.

    Raises
    ------
    DataError
        If the extra is not installed, or eSpeak does not speak the language.
    """
    spoken: list[str] = _espeak(language).phonemize([word], strip=True)
    return "".join(spoken[0].split())


@functools.cache
def _espeak(language: str) -> Any:
    try:
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError:
        raise _problem(f"phonemes:{language} needs eSpeak: pip install 'speechxfer[phonemes]'") from None
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    if language not in EspeakBackend.supported_languages():
        alike = [name for name in EspeakBackend.supported_languages() if name.partition("-")[0] == language.partition("-")[0]]
        raise _problem(
            f"eSpeak does not speak {language!r}; expected a language such as {', '.join(alike or ['en-us', 'fr-fr'])}"
        )
    return EspeakBackend(language, language_switch="remove-flags")


def _problem(what: str) -> DataError:
    return DataError([Problem("data.normaliser", None, what, skippable=False)])
