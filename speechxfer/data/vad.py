"""Samples at 16 kHz in, the probability of speech for each 32 ms out: silero-vad, as a stream.

The ONNX model that takes many frames at once is run by ONNX Runtime. silero-vad's Python package is not imported, because that
sets torch to one thread for the whole process.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from speechxfer.data.audio import Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

VAD_RATE = 16_000
VAD_FRAME = 512  # samples
_CONTEXT = 64  # samples before a frame that the model wants to see


class VoiceActivity:
    """The detector (silero-vad) on one channel; each has its own state."""

    def __init__(self) -> None:
        self._waiting = np.zeros(0, dtype=np.float32)
        self._context = np.zeros(_CONTEXT, dtype=np.float32)
        self._hidden = self._cell = np.zeros((1, 1, 128), dtype=np.float32)

    def push(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Give the probabilities of the frames that are whole by now.

        Parameters
        ----------
        samples
            float32 `[num_samples]` at 16 kHz, following those before.

        Returns
        -------
        numpy.ndarray
            float32 `[frames]`.
        """
        samples = np.concatenate([self._waiting, samples])
        count = len(samples) // VAD_FRAME
        self._waiting = samples[count * VAD_FRAME :]
        if not count:
            return np.zeros(0, dtype=np.float32)
        with_context = np.concatenate([self._context, samples[: count * VAD_FRAME]])
        self._context = with_context[-_CONTEXT:]
        frames = np.lib.stride_tricks.sliding_window_view(with_context, VAD_FRAME + _CONTEXT)[::VAD_FRAME]
        probabilities, self._hidden, self._cell = _session().run(
            ["speech_probs", "hn", "cn"], {"input": np.ascontiguousarray(frames), "h": self._hidden, "c": self._cell}
        )
        return np.asarray(probabilities, dtype=np.float32).reshape(-1)

    def finish(self) -> npt.NDArray[np.float32]:
        """Give the probability of the last, incomplete frame, float32 `[1]`; `[0]` if there is none."""
        rest = len(self._waiting)
        return self.push(np.zeros(VAD_FRAME - rest, dtype=np.float32)) if rest else np.zeros(0, dtype=np.float32)


@functools.cache
def _session() -> InferenceSession:
    from onnxruntime import InferenceSession, SessionOptions

    package = importlib.util.find_spec("silero_vad")
    assert package and package.origin
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    weights = Path(package.origin).parent / "data" / "silero_vad_16k_sequence.onnx"
    return InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
