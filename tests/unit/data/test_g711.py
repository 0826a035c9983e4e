"""G.711 against the ITU's tables, written out here as they are printed, and against FFmpeg's decoder."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechxfer.data import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_CODE = np.arange(256).astype(np.uint8)
# Segment end points and step sizes of tables 2a (µ-law, 14 bits) and 1a (A-law, 13 bits) of G.711.
ULAW = ([31, 95, 223, 479, 991, 2015, 4063, 8159], [2, 4, 8, 16, 32, 64, 128, 256], 4)
ALAW = ([32, 64, 128, 256, 512, 1024, 2048, 4096], [2, 2, 4, 8, 16, 32, 64, 128], 8)
LAWS = {"ulaw": (encode_ulaw, decode_ulaw, ULAW, 0xFF), "alaw": (encode_alaw, decode_alaw, ALAW, 0xD5)}


def decision_values(ends, steps, unit):
    values, first = [0], 0
    for end, step in zip(ends, steps, strict=True):
        for number in range(1, 17):
            values.append(end - (16 - number) * step)
        first = end
    assert first == ends[-1]
    return np.array(values) * unit


@pytest.mark.parametrize("law", LAWS)
def test_every_sample_gets_the_code_of_its_interval(law):
    encode, _, table, zero = LAWS[law]
    decisions = decision_values(*table)
    codes = encode(EVERY_SAMPLE)
    for sample, code in zip(EVERY_SAMPLE.tolist(), codes.tolist(), strict=True):
        # The character signals of the tables: bit 8 is the sign, the rest the number; inverted, all or every second bit.
        number = (code ^ zero) & 0x7F
        assert bool((code ^ zero) & 0x80) == (sample < 0)
        assert decisions[number] <= abs(sample) and (abs(sample) <= decisions[number + 1] or number == 127)


@pytest.mark.parametrize(
    ("law", "samples", "codes"),
    [
        # Table 2a, 2b: the character signals of the largest, some middle and the smallest values.
        ("ulaw", [32124, 16764, 8316, 4092, 0, -8316, -32124], [0x80, 0x8F, 0x9F, 0xAF, 0xFF, 0x1F, 0x00]),
        ("alaw", [32256, 16128, 8, -8, -32256], [0xAA, 0xBA, 0xD5, 0x55, 0x2A]),
    ],
)
def test_known_codes(law, samples, codes):
    encode, *_ = LAWS[law]
    assert encode(np.array(samples, dtype=np.int16)).tolist() == codes


@pytest.mark.parametrize(("law", "codec"), [("ulaw", "pcm_mulaw"), ("alaw", "pcm_alaw")])
def test_codes_mean_what_ffmpeg_says(law, codec):
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    (frame,) = context.decode(av.Packet(EVERY_CODE.tobytes()))
    assert LAWS[law][1](EVERY_CODE).tolist() == frame.to_ndarray().reshape(-1).tolist()


@pytest.mark.parametrize("law", LAWS)
def test_what_was_decoded_gets_its_code_again(law):
    encode, decode, *_ = LAWS[law]
    again = encode(decode(EVERY_CODE))
    different = EVERY_CODE[again != EVERY_CODE].tolist()
    assert different == ([0x7F] if law == "ulaw" else [])  # µ-law has a negative zero
    assert decode(again).tolist() == decode(EVERY_CODE).tolist()


@given(st.lists(st.integers(-32768, 32767), max_size=50))
def test_shape_and_order_are_kept(samples):
    pcm = np.array([samples, samples], dtype=np.int16)
    for encode, decode, *_ in LAWS.values():
        assert encode(pcm).shape == pcm.shape and decode(encode(pcm)).dtype == np.int16
        order = np.argsort(pcm[0], kind="stable")
        assert (np.diff(decode(encode(pcm))[0][order].astype(int)) >= 0).all()
