"""G.711: 16-bit samples in, one byte each out, and back; µ-law (North America, Japan) and A-law (everywhere else).

Both laws are defined by decision values: a magnitude between the n-th and the next is number n, and comes back as the value in
the middle (ITU-T G.711, 11/88, tables 1 and 2). Where a sample lies on one, the ITU's reference software (G.191) is followed.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
Codes = npt.NDArray[np.uint8]

_POSITIVE = 0x80  # the bit that says so


def encode_ulaw(samples: Pcm) -> Codes:
    """Compress to µ-law (ITU-T G.711).

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
    """Expand µ-law (ITU-T G.711).

    Parameters
    ----------
    codes
        uint8, any shape.

    Returns
    -------
    numpy.ndarray
        int16, the same shape; magnitudes up to 32,124.
    """
    return np.asarray(_ulaw_values()[codes])


def encode_alaw(samples: Pcm) -> Codes:
    """Compress to A-law, even bits inverted as on the line (ITU-T G.711).

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
    """Expand A-law (ITU-T G.711).

    Parameters
    ----------
    codes
        uint8, any shape.

    Returns
    -------
    numpy.ndarray
        int16, the same shape; magnitudes up to 32,256.
    """
    return np.asarray(_alaw_values()[codes])


def _encode(samples: Pcm, decisions: npt.NDArray[np.int32]) -> Codes:
    magnitudes = np.where(samples < 0, ~samples, samples)
    numbers = np.searchsorted(decisions[1:-1], magnitudes, side="right").astype(np.uint8)
    return numbers | np.where(samples < 0, 0, _POSITIVE).astype(np.uint8)


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


@functools.cache
def _ulaw_values() -> Pcm:
    values = _middles(_ulaw_decisions())
    values[0] = 0  # its first interval lies around zero
    return _by_code(values, inverted=0x7F)


@functools.cache
def _alaw_values() -> Pcm:
    return _by_code(_middles(_alaw_decisions()), inverted=0x55)


def _middles(decisions: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    return (decisions[:-1] + decisions[1:]) // 2


def _by_code(values: npt.NDArray[np.int32], inverted: int) -> Pcm:
    """Order the values `[128]` of the positive numbers, and their negatives, by the bytes `[256]` that stand for them."""
    return np.concatenate([-values, values]).astype(np.int16)[np.arange(256) ^ inverted]
