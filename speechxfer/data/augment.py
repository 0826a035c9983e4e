"""Waveform augmentation: samples `[num_samples]` in, a changed copy out, a pure function of (seed, view, utterance id).

A *view* is one variant of the training audio; its features are computed once and reused over the epochs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torchaudio.functional import add_noise, speed

from speechxfer.data.audio import Samples, load_audio
from speechxfer.data.effects import in_room, num_packets, over_telephone, shift_pitch, through_codec
from speechxfer.data.utterance import Utterance
from speechxfer.recipe import AugmentSection

Choice = TypeVar("Choice")


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
    noises, rooms
        What `augment.noise.manifest` and `augment.room.manifest` list, checked; all of it is held in memory.

    Raises
    ------
    ValueError
        If the recipe asks for noise or rooms and there are none.
    AudioError
        If one of them cannot be read.

    Notes
    -----
    Another speed is another pitch, too: speed perturbation as in T. Ko et al., "Audio augmentation for speech recognition",
    Interspeech 2015.
    """

    def __init__(
        self,
        section: AugmentSection,
        sampling_rate: int,
        seed: int,
        noises: Iterable[Utterance] = (),
        rooms: Iterable[Utterance] = (),
    ) -> None:
        self._section = section
        self._sampling_rate = sampling_rate
        self._seed = seed
        self._noises = [load_audio(noise, sampling_rate) for noise in noises]
        if section.noise and not self._noises:
            raise ValueError(f"augment.noise asks for {section.noise.manifest}, but no noises are given")
        self._rooms = [load_audio(room, sampling_rate) for room in rooms]
        if section.room and not self._rooms:
            raise ValueError(f"augment.room asks for {section.room.manifest}, but no responses are given")
        self._noise_digest, self._room_digest = _digest(self._noises), _digest(self._rooms)

    def speed(self, view: int) -> float:
        """Give the speed factor of a view: the list of speeds in turn."""
        return self._section.speed[view % len(self._section.speed)]

    def changes(self, view: int) -> bool:
        """Tell whether a view is anything but the audio as it is."""
        return self.speed(view) != 1.0 or self._is_random

    @property
    def _is_random(self) -> bool:
        section = self._section
        return any((section.gain_db, section.noise, section.room, section.pitch, section.codec, section.telephone))

    def causes(self, utterance_id: str, view: int) -> str:
        """Give all that makes a view what it is, apart from the audio; what does not depend on chance holds no seed."""
        section = self._section
        chance = f"{self._seed}/{view}/{utterance_id}" if self._is_random else ""
        noise = section.noise and (section.noise.probability, section.noise.snr_db, self._noise_digest)
        room = section.room and (section.room.probability, self._room_digest)
        way = f"{section.pitch} {section.codec} {section.telephone}"
        gain = section.gain_db and (section.gain_db.range if section.gain_db.probability == 1 else section.gain_db)
        return f"{self.speed(view)} {gain} {noise} {room} {way} {chance}"

    def __call__(self, samples: Samples, utterance_id: str, view: int) -> Samples:
        """Give one view of an utterance; the input is left as it is.

        In the order in which it happens to speech: the voice (speed, pitch), the room, the level, noise, and the line (codec,
        telephone). What one effect draws does not depend on which others there are.

        Parameters
        ----------
        samples
            float32 `[num_samples]`.
        utterance_id
            With the seed and the view, what chance depends on.
        view
            From 0.

        Returns
        -------
        numpy.ndarray
            float32 `[num_samples]`; another speed makes them fewer or more.
        """
        seeds = f"{self._seed}/{view}/{utterance_id}"
        if (factor := self.speed(view)) != 1.0:
            samples = speed(torch.from_numpy(samples), self._sampling_rate, factor)[0].numpy()
        if (pitch := self._section.pitch) and (random := _if_chosen(pitch.probability, f"{seeds}/pitch")):
            samples = shift_pitch(samples, self._sampling_rate, random.uniform(*pitch.semitones))
        if (room := self._section.room) and (random := _if_chosen(room.probability, f"{seeds}/room")):
            samples = in_room(samples, _one_of(self._rooms, random))
        samples = self._louder_and_noisy(samples, seeds)
        if (codec := self._section.codec) and (random := _if_chosen(codec.probability, f"{seeds}/codec")):
            samples = through_codec(samples, self._sampling_rate, _one_of(codec.names, random))
        if (line := self._section.telephone) and (random := _if_chosen(line.probability, f"{seeds}/telephone")):
            law, loss = _one_of(line.laws, random), random.uniform(*line.packet_loss)
            lost = random.random(num_packets(len(samples), self._sampling_rate)) < loss
            samples = over_telephone(samples, self._sampling_rate, law, lost)
        return np.array(samples, dtype=np.float32)

    def _louder_and_noisy(self, samples: Samples, seeds: str) -> Samples:
        random = _generator(seeds)
        waveform = torch.from_numpy(samples)
        if gain := self._section.gain_db:
            level = 10 ** (random.uniform(*gain.range) / 20)  # drawn in any case: the noise must not depend on whether it is used
            waveform = waveform * level if _if_chosen(gain.probability, f"{seeds}/gain") else waveform
        noise = self._section.noise
        if noise and random.random() < noise.probability:
            chosen = self._noises[int(random.integers(len(self._noises)))]
            stretch = _stretch(chosen, waveform.numel(), random)
            snr = torch.tensor(random.uniform(*noise.snr_db))
            if stretch.any():  # silence cannot be raised to any level
                waveform = add_noise(waveform, torch.from_numpy(stretch), snr)
        return np.asarray(waveform.numpy(), dtype=np.float32)


def _generator(seeds: str) -> np.random.Generator:
    digest = hashlib.blake2b(seeds.encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def _if_chosen(probability: float, seeds: str) -> np.random.Generator | None:
    """Give an effect's own generator, or None where chance leaves the effect out."""
    random = _generator(seeds)
    return random if random.random() < probability else None


def _one_of(choices: Sequence[Choice], random: np.random.Generator) -> Choice:
    return choices[int(random.integers(len(choices)))]


def _digest(clips: Iterable[Samples]) -> str:
    return hashlib.blake2b(b"".join(clip.tobytes() for clip in clips)).hexdigest()


def _stretch(noise: Samples, num_samples: int, random: np.random.Generator) -> Samples:
    """Cut a random stretch of this length, repeating the noise where it is shorter."""
    start = int(random.integers(len(noise)))
    return np.take(noise, np.arange(start, start + num_samples), mode="wrap")
