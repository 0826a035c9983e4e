"""Examples of commands in, what else they could have sounded like out: faster, slower, louder, quieter, in noise, in babble.

The babble is made of the examples themselves, played backwards: it has the voices and the spectrum of speech, but none of the
commands, so that no example is heard beside another command that it is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechxfer.commands.classifiers import Floats
from speechxfer.commands.features import in_memory
from speechxfer.data import VAD_RATE, Samples, Utterance, WaveformAugmenter, load_audio
from speechxfer.features import Statistics, StatisticsEncoder
from speechxfer.recipe import AugmentSection, GainSection, NoiseSection

_SPEEDS = (0.9, 1.1, 0.8, 1.2)
_GAIN = GainSection(range=(-6.0, 6.0), probability=1)
_NOISE = NoiseSection(manifest="pink noise and babble, made here", probability=0.75, snr_db=(5.0, 20.0))
_TALKERS = (4, 8)  # of each babble
_NOISE_SECONDS = 10


def views_of(encoder: StatisticsEncoder, spoken: Sequence[Utterance]) -> list[Statistics]:
    """Look at examples in every view.

    Parameters
    ----------
    encoder
        Of the enrolment.
    spoken
        All examples, cut to their speech.

    Returns
    -------
    list of numpy.ndarray
        `[examples, layers, dimensions]` each; the audio as it is first.

    Raises
    ------
    AudioError
        If one cannot be read.
    """
    clips = [load_audio(example, VAD_RATE) for example in spoken]
    noises = [in_memory("noise", noise) for noise in (_pink_noise(), *(_babble(clips, count) for count in _TALKERS))]
    section = AugmentSection(views=len(_SPEEDS), speed=list(_SPEEDS), gain_db=_GAIN, noise=_NOISE)
    augment = WaveformAugmenter(section, VAD_RATE, 0, noises)
    found = [encoder(spoken)]
    for view in range(len(_SPEEDS)):
        changed = [augment(clip, example.id, view) for clip, example in zip(clips, spoken, strict=True)]
        found.append(encoder([in_memory(example.id, clip) for clip, example in zip(changed, spoken, strict=True)]))
    return found


def _pink_noise() -> Samples:
    """Make noise whose power falls with frequency as that of many rooms does; the same each time."""
    random, size = np.random.default_rng(0), _NOISE_SECONDS * VAD_RATE
    spectrum = np.fft.rfft(random.normal(size=size))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return _at_full_scale(np.fft.irfft(spectrum, size))


def _babble(clips: Sequence[Samples], talkers: int) -> Samples:
    """Let so many talk at once, equally loud; the same each time for the same clips."""
    random = np.random.default_rng(talkers)
    voices = [clip[::-1] / np.sqrt(np.maximum(np.mean(clip**2), 1e-12)) for clip in clips]
    said = [np.concatenate([voices[one] for one in random.permutation(len(voices))]) for _ in range(talkers)]
    return _at_full_scale(np.sum(said, axis=0))


def _at_full_scale(samples: Floats) -> Samples:
    return (samples / np.abs(samples).max()).astype(np.float32)
