"""Views of examples: as many as said, the audio as it is first; babble is of all voices, backwards, and the same each time."""

import numpy as np
import pytest

from speechxfer.commands import views_of
from speechxfer.commands.features import in_memory
from speechxfer.commands.views import _babble
from speechxfer.features import StatisticsEncoder

RATE = 16_000


def test_the_first_view_is_the_audio_as_it_is(small_whisper, clips):
    encoder = StatisticsEncoder(small_whisper, device="cpu", precision="fp32")
    spoken = [in_memory(str(number), clip) for number, clip in enumerate(clips[1:3])]
    views, again = views_of(encoder, spoken), views_of(encoder, spoken)
    assert len(views) == 5 and np.array_equal(views, again)
    assert np.array_equal(views[0], encoder(spoken))
    assert all(np.abs(view - views[0]).mean() > 0.01 for view in views[1:])


def test_babble_is_the_examples_backwards_equally_loud():
    rising = np.linspace(0, 1, 100, dtype=np.float32)
    alone = _babble([rising], 1)
    assert alone == pytest.approx(rising[::-1], abs=1e-6)
    quiet = 0.01 * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    both = _babble([quiet, 30 * quiet[::-1]], 1)
    first, second = (float((half**2).mean()) for half in np.split(both, 2))
    assert first == pytest.approx(second, rel=1e-4)
    assert len(_babble([rising, quiet], 8)) == RATE + 100
    assert np.array_equal(_babble([rising, quiet], 4), _babble([rising, quiet], 4))
