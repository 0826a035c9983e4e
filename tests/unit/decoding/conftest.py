"""Log-probabilities made by hand."""

import pytest
import torch

from speechxfer.data import Vocabulary

ALPHABET = Vocabulary.from_texts(["abcdefghijklmnopqrstuvwxyz' "])
FLOOR = 1e-4


@pytest.fixture
def alphabet() -> Vocabulary:
    return ALPHABET


@pytest.fixture
def heard():
    """Return a function: paths of one character per frame (`_` is the blank), each with its probability, to log-probabilities.

    Where paths agree on a frame, their probabilities add up; everything else has `FLOOR`.
    """

    def make(paths: dict[str, float], vocabulary: Vocabulary = ALPHABET) -> torch.Tensor:
        length = len(next(iter(paths)))
        matrix = torch.full((length, len(vocabulary)), FLOOR)
        for path, probability in paths.items():
            assert len(path) == length, path
            for frame, symbol in enumerate(path):
                matrix[frame, 0 if symbol == "_" else vocabulary.encode(symbol)[0]] += probability
        return (matrix / matrix.sum(dim=1, keepdim=True)).log()

    return make
