"""Speech from text: requests in, int16 samples at eSpeak NG's rate out, each batch made in a fresh process.

What eSpeak NG gives for a text depends on what it spoke before in the same process, and it is not thread-safe: a process for
each batch makes the samples a function of the requests. Its voices are far from natural; what is learned from them must be tried
on real speech.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from speechxfer.errors import SynthesisError

SPOKEN_RATE = 22050
"""Of all that eSpeak NG speaks, in Hz."""

# From espeak-ng/speak_lib.h.
_SYNCHRONOUS, _UTF8, _OK = 2, 1, 0
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class SpeechRequest:
    """A text and how to speak it.

    Attributes
    ----------
    text
        Plain text.
    voice
        Language or accent, and a variant if wanted: `en-us`, `en-us+f3`, `ro`.
    words_per_minute
        80 to 450.
    pitch, pitch_range
        0 to 100, 50 is the voice's own.
    """

    text: str
    voice: str
    words_per_minute: int = 175
    pitch: int = 50
    pitch_range: int = 50


def speak(requests: Sequence[SpeechRequest]) -> list[npt.NDArray[np.int16]]:
    """Speak texts with eSpeak NG.

    Parameters
    ----------
    requests
        Spoken in this order by one fresh process.

    Returns
    -------
    list of numpy.ndarray
        int16 `[num_samples]` for each request, at `SPOKEN_RATE`, with a little silence at the end.

    Raises
    ------
    SynthesisError
        If the package `espeakng-loader` is missing or there is no such voice.
    """
    lines = "".join(json.dumps(asdict(request)) + "\n" for request in requests)
    done = subprocess.run([sys.executable, "-m", __name__], input=lines.encode(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SynthesisError(said[-1] if said else f"eSpeak NG ended with code {done.returncode}")
    return list(_unpacked(done.stdout))


def _unpacked(data: bytes) -> Iterator[npt.NDArray[np.int16]]:
    """Read what the process wrote: for each request a sample count and the samples."""
    position = 0
    while position < len(data):
        (count,) = np.frombuffer(data, np.int64, 1, position)
        position += 8
        yield np.frombuffer(data, np.int16, int(count), position)
        position += 2 * int(count)


class _Engine:
    """eSpeak NG's library, initialised."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            sys.exit("synthetic speech needs eSpeak NG: pip install espeakng-loader")
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0) != SPOKEN_RATE:
            sys.exit(f"eSpeak NG does not start with its data in {data}")
        self._variants = data / "voices/!v"
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # or the clock seeds the voices' tremor
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._keep = _Callback(self._take)  # ctypes does not keep it alive
        self._library.espeak_SetSynthCallback(self._keep)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def speak(self, request: SpeechRequest) -> npt.NDArray[np.int16]:
        # After an unknown voice the old one would go on speaking, and an unknown variant is passed over without a word.
        _, _, variant = request.voice.partition("+")
        known = not variant or (self._variants / variant).is_file()
        if not known or self._library.espeak_SetVoiceByName(request.voice.encode()) != _OK:
            sys.exit(f"eSpeak NG has no voice {request.voice!r}")
        settings = ((_RATE, request.words_per_minute), (_PITCH, request.pitch), (_PITCH_RANGE, request.pitch_range))
        for setting, value in settings:
            self._library.espeak_SetParameter(setting, value, 0)
        self._pieces.clear()
        text = request.text.encode() + b"\0"
        self._library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)


def _main() -> None:
    engine = _Engine()
    for line in sys.stdin:
        samples = engine.speak(SpeechRequest(**json.loads(line)))
        sys.stdout.buffer.write(np.int64(len(samples)).tobytes() + samples.tobytes())


if __name__ == "__main__":
    _main()
