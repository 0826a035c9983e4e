"""Utterances in, what an encoder makes of them out: mean and standard deviation over time of every layer.

float32 `[utterances, layers, 2 x width]`; layer 0 is what goes into the first one. Statistics pooling as in x-vectors (Snyder et
al. 2018), by the road that training takes: the found cut behind the encoder, `FeatureSource`, and a store if one is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from speechxfer.data import VAD_FRAME, VAD_RATE, Samples, Utterance, VoiceActivity, Waveform, load_audio
from speechxfer.features import FeatureSource, FeatureStore, Item
from speechxfer.models import for_inference, new_head, suitable_batch_seconds

Statistics = npt.NDArray[np.float32]
"""`[utterances, layers, 2 x width]`: of each layer its means over time, then its standard deviations."""

_SPEECH = 0.5  # probability
_MARGIN_SECONDS = 0.2  # what the detector takes for silence may be the breath of a consonant
_FOREGROUND_DB = 20.0  # people who talk in the background are speech for the detector, too
_LOUD, _MAX_GAIN = 0.2, 30.0


class CommandEncoder:
    """A pretrained or fine-tuned model, of which only the encoder is used.

    Parameters
    ----------
    model
        Its directory, or `tiny`.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.
    batch_seconds
        Upper bound of padded audio in one forward; None suits the device.
    store
        Keeps features; None computes them each time.

    Attributes
    ----------
    digest
        Hash of the weights and of the configuration that shapes them.

    Raises
    ------
    ModelError
        If there is no such model, device or precision.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_seconds: float | None = None,
        store: FeatureStore | None = None,
    ) -> None:
        speech_model = new_head(model, "classification", labels=("any",), weighted_layer_sum=True)
        split, exactness = for_inference(speech_model, device, precision, keep_deviations=True)
        size = batch_seconds or suitable_batch_seconds(split.device)
        self._source = FeatureSource(split, speech_model.frontend, store, exactness, batch_seconds=size)
        self.digest = split.prefix_digest()

    def __call__(self, utterances: Sequence[Utterance]) -> Statistics:
        """Encode utterances.

        Parameters
        ----------
        utterances
            With `end` given, such as `speech_in` gives them.

        Returns
        -------
        numpy.ndarray
            float32 `[utterances, layers, 2 x width]`.

        Raises
        ------
        AudioError
            If one cannot be read.
        """
        items = [Item(one, (one.end or 0.0) - one.start) for one in utterances]
        self._source.plan(items)
        kept = np.stack([features.frames.float().numpy() for features in self._source.features(items)])
        layers = kept.shape[1] // 2
        return np.concatenate([kept[:, :layers], kept[:, layers:]], axis=2)


def in_memory(name: str, samples: Samples) -> Utterance:
    """Give samples at 16 kHz, float32 `[num_samples]`, as a whole utterance."""
    return Utterance(name, Waveform(samples, VAD_RATE), end=len(samples) / VAD_RATE)


def speech_in(utterance: Utterance) -> Utterance:
    """Cut an utterance to its speech, from the first to the last: pauses around a command say nothing of it.

    Parameters
    ----------
    utterance
        A file's stretch, or samples in memory.

    Returns
    -------
    Utterance
        With start and end around what silero-vad takes for speech, if not far below the loudest; all of it where that is nothing.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    samples = load_audio(utterance, VAD_RATE)
    first, last = speech_bounds(speech_probabilities(samples), samples) or (0, len(samples))
    return replace(utterance, start=utterance.start + first / VAD_RATE, end=utterance.start + last / VAD_RATE)


def speech_probabilities(samples: Samples) -> npt.NDArray[np.float32]:
    """Give the probability of speech `[frames]` of a clip at 16 kHz that stands alone."""
    activity = VoiceActivity()
    return np.concatenate([activity.push(louder(samples, samples)), activity.finish()])


def louder(samples: Samples, heard: Samples) -> Samples:
    """Raise samples that are, with what was heard around them, too quiet for the detector of speech."""
    return samples * np.float32(np.clip(_LOUD / max(np.abs(heard).max(initial=0), 1e-9), 1, _MAX_GAIN))


def speech_bounds(probabilities: npt.NDArray[np.float32], samples: Samples) -> tuple[int, int] | None:
    """Give the first sample of speech and the one after the last, with a margin; None without speech.

    Parameters
    ----------
    probabilities
        Of speech, `[frames]`.
    samples
        float32 `[num_samples]` at 16 kHz; the last frame may be incomplete.

    Returns
    -------
    tuple of int, or None
        Around all speech that is not much quieter than the loudest.
    """
    spoken = np.flatnonzero(probabilities >= _SPEECH)
    if not len(spoken):
        return None
    frames = np.pad(samples, (0, len(probabilities) * VAD_FRAME - len(samples))).reshape(-1, VAD_FRAME)
    levels = 10 * np.log10(np.maximum((frames[spoken] ** 2).mean(axis=1), 1e-12))
    near = spoken[levels >= levels.max() - _FOREGROUND_DB]
    margin = round(_MARGIN_SECONDS * VAD_RATE)
    return max(0, int(near[0]) * VAD_FRAME - margin), min(len(samples), (int(near[-1]) + 1) * VAD_FRAME + margin)
