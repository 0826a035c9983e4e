"""G.711: 16-bit samples in, one byte each out, and back; µ-law (North America, Japan) and A-law (everywhere else).

Both laws are defined by decision values: a magnitude between the n-th and the next is number n, and comes back as the value in the
middle. ITU-T G.711 (11/88), tables 1 and 2; where a sample lies on a decision value, the ITU's reference software (G.191) decides.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
Codes = npt.NDArray[np.uint8]

_POSITIVE = 0x80  # the bit that says so


def encode_ulaw(samples: Pcm) -> Codes:
    """Compress to µ-law.

    Parameters
    ----------
    samples
        int16, any shape.

    Returns
    -------
    numpy.ndarray
        uint8, the same shape.
    """
    return _encode(samples, _ulaw_decisions()) ^ np.uint8(0x7F)


def decode_ulaw(codes: Codes) -> Pcm:
    """Expand µ-law.

    Parameters
    ----------
    codes
        uint8, any shape.

    Returns
    -------
    numpy.ndarray
        int16, the same shape; magnitudes up to 32,124.
    """
    return _decode(codes ^ np.uint8(0x7F), _ulaw_decisions())


def encode_alaw(samples: Pcm) -> Codes:
    """Compress to A-law, even bits inverted as on the line.

    Parameters
    ----------
    samples
        int16, any shape.

    Returns
    -------
    numpy.ndarray
        uint8, the same shape.
    """
    return _encode(samples, _alaw_decisions()) ^ np.uint8(0x55)


def decode_alaw(codes: Codes) -> Pcm:
    """Expand A-law.

    Parameters
    ----------
    codes
        uint8, any shape.

    Returns
    -------
    numpy.ndarray
        int16, the same shape; magnitudes up to 32,256.
    """
    return _decode(codes ^ np.uint8(0x55), _alaw_decisions())


def _encode(samples: Pcm, decisions: npt.NDArray[np.int32]) -> Codes:
    magnitudes = np.where(samples < 0, ~samples, samples)
    numbers = np.searchsorted(decisions[1:-1], magnitudes, side="right").astype(np.uint8)
    return numbers | np.where(samples < 0, 0, _POSITIVE).astype(np.uint8)


def _decode(codes: Codes, decisions: npt.NDArray[np.int32]) -> Pcm:
    values = (decisions[:-1] + decisions[1:]) // 2
    if decisions[1] == _ULAW_UNIT:
        values[0] = 0  # the first interval of µ-law lies around zero
    both = np.concatenate([-values, values]).astype(np.int16)
    return np.asarray(both[codes])


_ULAW_UNIT, _ALAW_UNIT = 4, 8  # what 1 of the tables, 14 and 13 bits wide, is in 16 bits


@functools.cache
def _ulaw_decisions() -> npt.NDArray[np.int32]:
    """0, 1, 3, ... 31, 35, ... 95, 103, ... 8159: eight segments of 16 steps, each twice as wide as the one before."""
    steps = np.repeat(2 << np.arange(8), 16)
    steps[0] = 1
    return _ULAW_UNIT * np.concatenate([[0], np.cumsum(steps)]).astype(np.int32)


@functools.cache
def _alaw_decisions() -> npt.NDArray[np.int32]:
    """0, 2, 4, ... 64, 68, ... 128, 136, ... 4096: the same, but the first two segments are equally fine."""
    steps = np.repeat([2, *(2 << np.arange(7))], 16)
    return _ALAW_UNIT * np.concatenate([[0], np.cumsum(steps)]).astype(np.int32)
