"""A text that is known is found in its recording, an hour as well as a minute, by the model of the package."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechxfer
from speechxfer import Transcriber, read_manifest
from speechxfer.data import Waveform, stream_audio
from speechxfer.errors import AlignmentError
from speechxfer.transcription import alignment

DEMO = Path(speechxfer.__file__).parent / "assets" / "demo"
RATE = 16_000


@pytest.fixture(scope="module")
def turns():
    return [*read_manifest(DEMO / "call.csv")]


@pytest.fixture(scope="module")
def transcriber():
    return Transcriber("tiny", precision="fp32")


def test_every_turn_is_found_where_it_is(transcriber, turns):
    result = transcriber.align(DEMO / "call.flac", "\n".join(turn.text for turn in turns))
    assert [segment.text for segment in result.segments] == [turn.text for turn in turns]
    for segment, turn in zip(result.segments, turns, strict=True):
        assert segment.start == pytest.approx(turn.start, abs=0.25) and segment.end == pytest.approx(turn.end, abs=0.6)


def test_the_text_stays_as_it_was_written(transcriber, turns):
    lines = [turn.text.capitalize() + "." for turn in turns]
    lines[3] = lines[3].replace("four seven two", "472")  # what the model cannot spell
    result = transcriber.align(DEMO / "call.flac", "\n\n".join(lines))
    assert [segment.text for segment in result.segments] == lines
    number = next(word for word in result.segments[3].words if word.text == "472")
    assert number.confidence == 0 and 12.4 < number.start <= number.end < 14.5


def test_times_do_not_drift_in_a_long_compressed_file(transcriber, turns, tmp_path, monkeypatch):
    call = np.concatenate([*stream_audio(DEMO / "call.flac", RATE, "mix")])[:, 0]
    repeats, pause = 5, 700  # milliseconds
    spoken = np.concatenate([np.concatenate([call, np.zeros(RATE * pause // 1000, dtype=np.float32)]) for _ in range(repeats)])
    soundfile.write(tmp_path / "long.mp3", spoken, RATE, format="MP3")
    monkeypatch.setattr(alignment, "_MAX_CELLS", 1.5e8)  # so that it must be cut
    result = transcriber.align(tmp_path / "long.mp3", "\n".join(turn.text for turn in turns * repeats))
    period = (len(call) / RATE) + pause / 1000
    expected = [turn.start + number * period for number in range(repeats) for turn in turns]
    assert np.abs(np.array([segment.start for segment in result.segments]) - expected).max() < 0.35


def test_a_text_that_does_not_fit_is_refused(transcriber, turns):
    samples = next(iter(stream_audio(DEMO / "call.flac", RATE, "mix")))[: 8 * RATE]
    with pytest.raises(AlignmentError, match=r"line 1: the words from 'good' to .* do not fit into the speech at 0\.0 s"):
        transcriber.align(Waveform(samples, RATE), "\n".join(turn.text for turn in turns))
    with pytest.raises(AlignmentError, match="no speech was found"):
        transcriber.align(Waveform(np.zeros(RATE, dtype=np.float32), RATE), "hello")
