"""Examples of commands in, sounds that are nearly commands and must not be taken for them out.

Played backwards, an example has the voice, the room and the spectrum of a command, but not its order; each half alone is what
is heard of a longer word that begins or ends like it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechxfer.commands.features import in_memory
from speechxfer.data import VAD_RATE, Samples, Utterance, load_audio

_SHORTEST_SECONDS = 0.1


def near_misses(examples: Sequence[Utterance]) -> list[Utterance]:
    """Make what is unknown out of what is known.

    Parameters
    ----------
    examples
        Cut to their speech.

    Returns
    -------
    list of Utterance
        Of each example backwards, its first half and its second; samples in memory at 16 kHz.

    Raises
    ------
    AudioError
        If one cannot be read.
    """
    made: list[Utterance] = []
    for example in examples:
        samples = load_audio(example, VAD_RATE)
        middle = len(samples) // 2
        parts = {"backwards": samples[::-1], "first half": samples[:middle], "second half": samples[middle:]}
        made += [in_memory(f"{example.id} {name}", _long_enough(part)) for name, part in parts.items()]
    return made


def _long_enough(samples: Samples) -> Samples:
    lacking = max(0, round(_SHORTEST_SECONDS * VAD_RATE) - len(samples))
    return np.pad(np.ascontiguousarray(samples), (0, lacking))
