"""A command's recording in, the stretch of it that is speech out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from speechxfer.data import VAD_FRAME, VAD_RATE, Samples, Utterance, VoiceActivity, Waveform, load_audio

_SPEECH = 0.5  # probability
_MARGIN_SECONDS = 0.2  # what the detector takes for silence may be the breath of a consonant
_FOREGROUND_DB = 20.0  # people who talk in the background are speech for the detector, too
_LOUD, _MAX_GAIN = 0.2, 30.0


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
