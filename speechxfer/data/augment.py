"""Waveform augmentation: samples `[num_samples]` in, a changed copy out, a pure function of (seed, view, utterance id).

A *view* is one variant of the training audio; its features are computed once and reused over the epochs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from torchaudio.functional import add_noise, speed

from speechxfer.data.audio import Samples, load_audio
from speechxfer.data.utterance import Utterance
from speechxfer.recipe import AugmentSection


class WaveformAugmenter:
    """Makes the views that a recipe asks for.

    Parameters
    ----------
    section
        The recipe's `augment`.
    sampling_rate
        Of all samples handed in, in Hz.
    seed
        The run's seed.
    noises
        What `augment.noise.manifest` lists, checked; all of it is held in memory.

    Raises
    ------
    ValueError
        If the recipe asks for noise and there is none.
    """

    def __init__(self, section: AugmentSection, sampling_rate: int, seed: int, noises: Iterable[Utterance] = ()) -> None:
        self._section = section
        self._sampling_rate = sampling_rate
        self._seed = seed
        self._noises = [load_audio(noise, sampling_rate) for noise in noises]
        if section.noise and not self._noises:
            raise ValueError(f"augment.noise asks for {section.noise.manifest}, but no noises are given")
        self._noise_digest = hashlib.blake2b(b"".join(noise.tobytes() for noise in self._noises)).hexdigest()

    def speed(self, view: int) -> float:
        """Give the speed factor of a view: the list of speeds in turn."""
        return self._section.speed[view % len(self._section.speed)]

    def changes(self, view: int) -> bool:
        """Tell whether a view is anything but the audio as it is."""
        return self.speed(view) != 1.0 or self._section.gain_db is not None or self._section.noise is not None

    def causes(self, utterance_id: str, view: int) -> str:
        """Give all that makes a view what it is, apart from the audio; what does not depend on chance holds no seed."""
        section = self._section
        chance = f"{self._seed}/{view}/{utterance_id}" if section.gain_db or section.noise else ""
        noise = section.noise and (section.noise.probability, section.noise.snr_db, self._noise_digest)
        return f"{self.speed(view)} {section.gain_db} {noise} {chance}"

    def __call__(self, samples: Samples, utterance_id: str, view: int) -> Samples:
        """Give one view of an utterance; the input is left as it is."""
        random = _generator(self._seed, view, utterance_id)
        waveform = torch.from_numpy(samples)
        if (factor := self.speed(view)) != 1.0:
            waveform = speed(waveform, self._sampling_rate, factor)[0]
        if self._section.gain_db:
            waveform = waveform * 10 ** (random.uniform(*self._section.gain_db) / 20)
        noise = self._section.noise
        if noise and random.random() < noise.probability:
            chosen = self._noises[int(random.integers(len(self._noises)))]
            stretch = _stretch(chosen, waveform.numel(), random)
            snr = torch.tensor(random.uniform(*noise.snr_db))
            if stretch.any():  # silence cannot be raised to any level
                waveform = add_noise(waveform, torch.from_numpy(stretch), snr)
        return np.array(waveform.numpy(), dtype=np.float32)


def _generator(seed: int, view: int, utterance_id: str) -> np.random.Generator:
    digest = hashlib.blake2b(f"{seed}/{view}/{utterance_id}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def _stretch(noise: Samples, num_samples: int, random: np.random.Generator) -> Samples:
    """Cut a random stretch of this length, repeating the noise where it is shorter."""
    start = int(random.integers(len(noise)))
    return np.take(noise, np.arange(start, start + num_samples), mode="wrap")
