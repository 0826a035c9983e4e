"""Audio files in, float32 mono samples `[num_samples]` at the wanted rate out.

soundfile decodes what libsndfile knows, PyAV the rest, torchaudio resamples. Only the asked stretch is decoded. The sampling rate
always comes from the file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from speechxfer.data.storage import is_remote, open_file
from speechxfer.data.utterance import Utterance, Waveform
from speechxfer.errors import AudioError, StorageError

if TYPE_CHECKING:
    from av.audio import AudioStream

Samples = npt.NDArray[np.float32]

# Written times are often rounded up: half a tick of a 100 Hz clock past the end is forgiven, in seconds.
TOLERANCE = 0.005
# soundfile asks for the rate of a headerless `.raw` file by a TypeError.
_UNKNOWN_TO_SOUNDFILE = (soundfile.SoundFileError, TypeError)


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says.

    Attributes
    ----------
    sampling_rate
        In Hz.
    channels
        How many.
    num_samples
        Length, in samples of one channel.
    holds_floats
        Whether the file keeps samples as floating-point numbers.
    """

    sampling_rate: int
    channels: int
    num_samples: int
    holds_floats: bool = False

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sampling_rate


def probe(path: str) -> AudioInfo:
    """Read rate, channels and length of a file without keeping its samples.

    Parameters
    ----------
    path
        The file, or its URL.

    Returns
    -------
    AudioInfo
        From the header; of a file that libsndfile does not know, from its decoded samples.

    Raises
    ------
    AudioError
        If the file is missing or neither libsndfile nor FFmpeg can read it.
    """
    if not is_remote(path) and not Path(path).is_file():
        raise AudioError(f"{path}: no such file" if not Path(path).exists() else f"{path}: not a file")
    try:
        with _opened(path) as file:
            info = soundfile.info(file)
        return AudioInfo(info.samplerate, info.channels, info.frames, info.subtype in ("FLOAT", "DOUBLE"))
    except _UNKNOWN_TO_SOUNDFILE:
        waveform = _decode_with_av(path, 0.0, None)
        return AudioInfo(waveform.sampling_rate, waveform.samples.shape[1], len(waveform.samples))


def read_waveform(path: str, start: float = 0.0, end: float | None = None) -> Waveform:
    """Decode a stretch of a file, all channels, at the file's own rate.

    Parameters
    ----------
    path
        The file, or its URL.
    start, end
        The stretch in seconds; None is the end of the file.

    Returns
    -------
    Waveform
        float32 `[num_samples, channels]`.

    Raises
    ------
    AudioError
        If the file cannot be decoded or the stretch lies outside it.
    """
    try:
        with _opened(path) as source, soundfile.SoundFile(source) as file:
            rate = int(file.samplerate)
            first = round(start * rate)
            last = file.frames if end is None else round(end * rate)
            if max(first, last) > file.frames + TOLERANCE * rate:
                raise AudioError(f"{path}: asked for {start}-{end} s, but the file ends at {file.frames / rate:.3f} s")
            file.seek(min(first, file.frames))
            return Waveform(file.read(max(last - first, 0), dtype="float32", always_2d=True), rate)
    except _UNKNOWN_TO_SOUNDFILE:
        return _decode_with_av(path, start, end)


@contextmanager
def _opened(path: str) -> Iterator[str | BinaryIO]:
    """Give what decoders can read: a local file's own path, another's open file."""
    if not is_remote(path):
        yield path
        return
    try:
        file = open_file(path)
    except StorageError as error:
        raise AudioError(str(error)) from None
    with file:
        yield file


def _decode_with_av(path: str, start: float, end: float | None) -> Waveform:
    """Decode with FFmpeg's libraries; seeks near `start` and drops what lies before it."""
    import av

    try:
        with _opened(path) as file, av.open(file, "r") as container:
            stream = container.streams.audio[0]
            rate = av_sampling_rate(stream)
            # Time 0 is the first sample that comes out, whatever the container's clock shows there.
            origin: float | None = None
            if start > 1:
                head, tick = next(container.decode(stream), None), stream.time_base
                origin = head.time if head is not None else None
                container.seek(0 if origin is None or tick is None else int((origin + start - 1) / tick), stream=stream)
            resampler = av.AudioResampler(format="fltp")
            chunks: list[Samples] = []
            position: int | None = None
            for frame in container.decode(stream):
                if position is None:
                    position = 0 if origin is None else round(((frame.time or 0.0) - origin) * rate)
                chunks += [np.asarray(part.to_ndarray(), dtype=np.float32) for part in resampler.resample(frame)]
                if end is not None and position + sum(chunk.shape[1] for chunk in chunks) >= end * rate:
                    break
    except (OSError, ValueError, IndexError, av.FFmpegError) as error:
        raise AudioError(f"{path}: neither libsndfile nor FFmpeg can read it as audio: {error}") from None
    if not chunks:
        raise AudioError(f"{path}: holds no audio")
    samples = np.concatenate(chunks, axis=1).T
    first = round(start * rate) - (position or 0)
    last = None if end is None else round(end * rate) - (position or 0)
    if max(first, last or 0) > len(samples) + TOLERANCE * rate:
        raise AudioError(f"{path}: asked for {start}-{end} s, which lies outside the file")
    return Waveform(samples[max(first, 0) : last], rate)


def av_sampling_rate(stream: AudioStream) -> int:
    """Give the rate of a stream in Hz; a ValueError says that its codec is not known here."""
    if stream.codec_context is None:
        raise ValueError("its codec is unknown")
    return int(stream.codec_context.sample_rate)


def load_audio(utterance: Utterance, sampling_rate: int) -> Samples:
    """Give an utterance's samples: its stretch, its channel (or the mean of all), resampled.

    Parameters
    ----------
    utterance
        With a path or samples in memory.
    sampling_rate
        The rate wanted, in Hz.

    Returns
    -------
    numpy.ndarray
        float32 `[num_samples]`.

    Raises
    ------
    AudioError
        If the file cannot be read, the stretch lies outside it, its sampling rate is not between 1 kHz and 1 MHz, the channel
        does not exist or a sample is not finite.
    """
    audio = utterance.audio
    if isinstance(audio, Waveform):
        first, last = (None if time is None else round(time * audio.sampling_rate) for time in (utterance.start, utterance.end))
        waveform = Waveform(np.atleast_2d(audio.samples.T).T[first:last], audio.sampling_rate)
    else:
        waveform = read_waveform(audio, utterance.start, utterance.end)
    name = utterance.id if isinstance(audio, Waveform) else audio
    check_rate(waveform.sampling_rate, name)
    channels = waveform.samples.shape[1]
    if utterance.channel is None:
        mono = waveform.samples[:, 0] if channels == 1 else waveform.samples.mean(axis=1)
    elif utterance.channel < channels:
        mono = waveform.samples[:, utterance.channel]
    else:
        raise AudioError(f"{name}: asked for channel {utterance.channel}, but it has {channels} (counted from 0)")
    if not np.isfinite(mono).all():
        raise AudioError(f"{name}: holds samples that are not finite numbers")
    return resample(np.ascontiguousarray(mono, dtype=np.float32), waveform.sampling_rate, sampling_rate)


def check_rate(sampling_rate: int, name: str) -> None:
    """Refuse a rate that no sound is recorded at.

    Raises
    ------
    AudioError
        If it is not between 1 kHz and 1 MHz.
    """
    if not 1_000 <= sampling_rate <= 1_000_000:
        raise AudioError(
            f"{name}: its sampling rate is {sampling_rate} Hz; expected 1,000 to 1,000,000: its header may be damaged"
        )


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Resample from one rate to another by windowed sinc interpolation (torchaudio).

    Parameters
    ----------
    samples
        float32 `[num_samples]`.
    source_rate, target_rate
        Theirs, and the one wanted, in Hz.

    Returns
    -------
    numpy.ndarray
        float32 `[num_samples]`; where the rates are the same, the samples given.
    """
    if source_rate == target_rate or not len(samples):
        return samples
    import torch

    resampler = _resampler(resampling_ratio(source_rate, target_rate))
    with torch.inference_mode():
        return np.asarray(resampler(torch.from_numpy(samples)).numpy(), dtype=np.float32)


def resampling_ratio(source_rate: int, target_rate: int) -> Fraction:
    """Give source over target rate, exact for all usual rates and to a millionth for others.

    The filters of two rates without a common divisor would take gigabytes.
    """
    return Fraction(source_rate, target_rate).limit_denominator(1_000)


@functools.lru_cache(maxsize=16)
def _resampler(ratio: Fraction):  # type: ignore[no-untyped-def]
    from torchaudio.transforms import Resample

    return Resample(ratio.numerator, ratio.denominator)
