"""A recording of any length and format in, blocks of float32 samples `[num_samples, channels]` at the wanted rate out.

No more than a block is in memory. What comes out, joined, is what the whole file resampled at once would be (within 1e-6).
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from speechxfer.data.audio import Samples, av_sampling_rate, check_rate, resample, resampling_ratio
from speechxfer.data.storage import is_remote, open_file
from speechxfer.data.utterance import Waveform
from speechxfer.errors import AudioError, StorageError

# What can be read as audio: a path or URL, a file's content, an open file that can seek, samples with their rate.
AudioSource = str | Path | bytes | BinaryIO | Waveform

_BLOCK_SECONDS = 20.0
_MAX_BLOCK_VALUES = 1 << 23  # samples x channels
_MARGIN = 64  # samples of the lower rate that the resampling filter can reach, and more


@dataclass(frozen=True)
class _Block:
    samples: Samples
    sampling_rate: int


def stream_audio(source: AudioSource, sampling_rate: int, channels: str | int = "split") -> Iterator[Samples]:
    """Decode a recording block by block.

    Parameters
    ----------
    source
        Path, URL, bytes, an open binary file that can seek, or samples with their rate.
    sampling_rate
        Wanted, in Hz.
    channels
        `split` gives all, `mix` their mean, a number (from 0) that one.

    Yields
    ------
    numpy.ndarray
        float32 `[num_samples, channels]`, at least one block.

    Raises
    ------
    AudioError
        If nothing can be read, the sampling rate is not between 1 kHz and 1 MHz, or there is no such channel; or, after the
        blocks before it, if the recording breaks off, a sample is not a finite number, or the file changes meanwhile.
    """
    name, seconds = source_name(source) or "recording", 0.0
    before = _stamp(source)
    resampled = StreamResampler(sampling_rate)
    with closing(_blocks(source)) as blocks:
        for block in blocks:
            check_rate(block.sampling_rate, name)
            if not np.isfinite(block.samples).all():
                raise AudioError(f"{name}: a sample near {seconds:.1f} s is not a finite number")
            seconds += len(block.samples) / block.sampling_rate
            yield resampled.push(_chosen(block.samples, channels, name), block.sampling_rate)
    if seconds == 0:
        raise AudioError(f"{name}: holds no audio")
    if _stamp(source) != before:
        raise AudioError(f"{name}: was changed while it was read; read it again when it is complete")
    yield from resampled.finish()


def source_name(source: AudioSource) -> str:
    """Give what messages and transcripts call a recording; empty for one in memory."""
    if isinstance(source, str | Path):
        return str(source)
    name = getattr(source, "name", "")
    return name if isinstance(name, str) else ""  # a file without a name has a number for one


def _stamp(source: AudioSource) -> tuple[int, int] | None:
    if not isinstance(source, str | Path) or is_remote(source):
        return None
    try:
        state = Path(source).stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _chosen(samples: Samples, channels: str | int, name: str) -> Samples:
    if channels == "split":
        return samples
    if channels == "mix":
        return samples.mean(axis=1, keepdims=True)
    number = int(channels)
    if not 0 <= number < samples.shape[1]:
        raise AudioError(f"{name}: asked for channel {number}, but it has {samples.shape[1]} (counted from 0)")
    return samples[:, number : number + 1]


def _blocks(source: AudioSource) -> Generator[_Block]:
    if isinstance(source, Waveform):
        samples = np.atleast_2d(source.samples.T).T.astype(np.float32, copy=False)
        size = _block_size(source.sampling_rate, samples.shape[1])
        yield from (_Block(samples[first : first + size], source.sampling_rate) for first in range(0, len(samples), size))
        return
    name = source_name(source) or "recording"
    if isinstance(source, str) and is_remote(source):
        try:
            remote = open_file(source)
        except StorageError as error:
            raise AudioError(str(error)) from None
        with remote:
            yield from _blocks_of(remote, name)
        return
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise AudioError(f"{name}: {'not a file' if path.exists() else 'no such file'}")
        file: str | BinaryIO = str(path)
    else:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
    yield from _blocks_of(file, name)


def _blocks_of(file: str | BinaryIO, name: str) -> Generator[_Block]:
    try:
        opened = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, TypeError):
        if not isinstance(file, str):
            file.seek(0)
        yield from _blocks_by_av(file, name)
        return
    except OSError as error:
        raise AudioError(f"{name}: {error.strerror or error}") from None
    with opened:
        yield from _blocks_by_soundfile(opened, name)


def _block_size(sampling_rate: int, channels: int) -> int:
    return max(1, min(int(_BLOCK_SECONDS * sampling_rate), _MAX_BLOCK_VALUES // channels))


def _blocks_by_soundfile(file: soundfile.SoundFile, name: str) -> Iterator[_Block]:
    rate, done = int(file.samplerate), 0
    size = _block_size(rate, file.channels)
    while True:
        try:
            samples = file.read(size, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise AudioError(f"{name}: breaks off at {done / rate:.1f} s: {error}") from None
        if not len(samples):
            break
        done += len(samples)
        yield _Block(samples, rate)
    # The length of an MP3 of changing bit rate is guessed.
    if done < file.frames < (1 << 62) and file.format != "MP3":
        raise AudioError(f"{name}: breaks off at {done / rate:.1f} s of {file.frames / rate:.1f} s")


def _blocks_by_av(file: str | BinaryIO, name: str) -> Iterator[_Block]:
    """Decode with FFmpeg's libraries, frame by frame, gathered into blocks."""
    import av

    gathered: list[Samples] = []
    rate = done = 0
    try:
        with av.open(file, "r") as container:
            stream = container.streams.audio[0]
            rate = av_sampling_rate(stream)
            resampler = av.AudioResampler(format="fltp")
            for frame in container.decode(stream):
                gathered += [np.asarray(part.to_ndarray(), dtype=np.float32).T for part in resampler.resample(frame)]
                if sum(map(len, gathered)) >= _block_size(rate, gathered[0].shape[1]):
                    done += sum(map(len, gathered))
                    yield _Block(np.concatenate(gathered), rate)
                    gathered = []
    except (OSError, ValueError, IndexError, av.FFmpegError) as error:
        if gathered:
            yield _Block(np.concatenate(gathered), rate)
        done += sum(map(len, gathered))
        what = f"breaks off at {done / rate:.1f} s" if done else "neither libsndfile nor FFmpeg can read it as audio"
        raise AudioError(f"{name}: {what}: {error}") from None
    if gathered:
        yield _Block(np.concatenate(gathered), rate)


class StreamResampler:
    """Resamples a stream: each block with as much of its neighbours as the filter reaches.

    What comes out, joined, is what all of it resampled at once would be (within 1e-6), however it is cut.

    Parameters
    ----------
    sampling_rate
        Wanted, in Hz.
    """

    def __init__(self, sampling_rate: int) -> None:
        self._target = sampling_rate
        self._source = sampling_rate
        self._kept: Samples | None = None  # not yet resampled to its end, and the margin before that
        self._margin = 0  # samples at the front of what is kept that are out already

    def push(self, samples: Samples, source_rate: int) -> Samples:
        """Give what can be said of the samples so far.

        Parameters
        ----------
        samples
            float32 `[num_samples, channels]`, following those before.
        source_rate
            Theirs, in Hz; the same in each call.

        Returns
        -------
        numpy.ndarray
            float32 `[num_samples, channels]` at the rate wanted; empty while the filter waits for more.
        """
        self._source = source_rate
        if source_rate == self._target:
            return samples
        kept = samples if self._kept is None else np.concatenate([self._kept, samples])
        unit = resampling_ratio(source_rate, self._target).numerator  # in whole units both grids meet
        margin = -(-_MARGIN * max(1, source_rate // self._target) // unit) * unit
        last = (len(kept) - margin) // unit * unit
        if last <= self._margin:
            self._kept = kept
            return samples[:0]
        made = self._resample(kept[: last + margin])[self._out(self._margin) : self._out(last)]
        first = max(0, last - margin)
        self._kept, self._margin = kept[first:], last - first
        return made

    def finish(self) -> Iterator[Samples]:
        """Give the rest, float32 `[num_samples, channels]`, if there is any."""
        if self._kept is not None:
            yield self._resample(self._kept)[self._out(self._margin) :]

    def _out(self, position: int) -> int:
        return int(position / resampling_ratio(self._source, self._target))

    def _resample(self, samples: Samples) -> Samples:
        return np.stack([resample(np.ascontiguousarray(one), self._source, self._target) for one in samples.T], axis=1)
