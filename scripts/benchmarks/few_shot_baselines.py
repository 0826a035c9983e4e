"""Baselines without a pretrained model: clips and an episode's rows in, the number of each query's command out."""

from collections.abc import Sequence

import librosa
import numpy as np

from speechxfer.commands import fit_probe
from speechxfer.data import Utterance, load_audio

RATE = 16_000


class LogMelProbe:
    """A linear probe on the mean and the spread over time of 80 log-mel bands."""

    name = "log-mel, linear probe"

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._vectors = np.stack([self._vector(load_audio(utterance, RATE)) for utterance in utterances])

    @staticmethod
    def _vector(samples: np.ndarray) -> np.ndarray:
        mel = librosa.feature.melspectrogram(y=samples, sr=RATE, n_fft=400, hop_length=160, n_mels=80)
        bands = np.log(np.maximum(mel, 1e-8))
        bands -= bands.max()  # levels differ by 20 dB between speakers
        return np.concatenate([bands.mean(axis=1), bands.std(axis=1)])

    def answers(self, examples: Sequence[int], commands: np.ndarray, queries: Sequence[int]) -> np.ndarray:
        """Train and classify one episode."""
        return fit_probe(self._vectors[examples], commands, 0.02).scores(self._vectors[queries]).argmax(axis=1)


class MfccDtw:
    """The nearest example by dynamic time warping of MFCC and their slopes."""

    name = "MFCC + DTW"

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._utterances = utterances
        self._frames: dict[int, np.ndarray] = {}

    def _of(self, row: int) -> np.ndarray:
        if row not in self._frames:
            samples = load_audio(self._utterances[row], RATE)
            mfcc = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=13, n_fft=400, hop_length=160)[1:]
            mfcc = (mfcc - mfcc.mean(axis=1, keepdims=True)) / (mfcc.std(axis=1, keepdims=True) + 1e-5)
            self._frames[row] = np.concatenate([mfcc, librosa.feature.delta(mfcc, mode="nearest")])
        return self._frames[row]

    def answers(self, examples: Sequence[int], commands: np.ndarray, queries: Sequence[int]) -> np.ndarray:
        """Find the nearest example of each query."""
        found = []
        for query in queries:
            costs = []
            for example in examples:
                cost, path = librosa.sequence.dtw(self._of(query), self._of(example), metric="cosine")
                costs.append(cost[-1, -1] / len(path))
            found.append(commands[int(np.argmin(costs))])
        return np.array(found)
