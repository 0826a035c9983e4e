"""`speechxfer speak SENTENCES --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def speak(
    sentences: Annotated[Path, typer.Argument(help="Text file, a sentence a line; {} stands for each of the terms.")],
    out: Annotated[Path, typer.Option(help="Directory for manifest.csv and its audio.")],
    terms: Annotated[
        Path | None, typer.Option(help="Text file, a term a line; they are said alone too.", show_default=False)
    ] = None,
    times: Annotated[int, typer.Option(min=1, help="How often each text is said, each time by another voice.")] = 2,
    voice: Annotated[
        list[str] | None,
        typer.Option(help="Of eSpeak NG, such as ro or en-us+f3; again for more. Default: 48 of English.", show_default=False),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="Another synthesis: a command line with {text}, {file} and, if it has voices, {voice}.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of voices, rates and pitches.")] = 0,
) -> None:
    """Make synthetic speech of words that nobody recorded, to fine-tune on.

    With eSpeak NG: pip install espeakng-loader.
    """
    from speechxfer.adaptation import ENGLISH_VOICES, read_sentences, speak_texts

    texts = read_sentences(sentences, terms)
    manifest = speak_texts(texts, out, times=times, voices=voice or ENGLISH_VOICES, command=command, seed=seed)
    print(f"{len(texts)} texts, each said {times} times: {manifest}")
