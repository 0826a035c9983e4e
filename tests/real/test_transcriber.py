"""The transcription engine on speech, with the pretrained model of the package: calls, long recordings, bad files, company."""

from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile

import speechxfer
from speechxfer import Transcriber, read_manifest
from speechxfer.data import Waveform, resample, stream_audio
from speechxfer.errors import AudioError, DataError, ModelError
from speechxfer.models import new_head
from speechxfer.transcription import engine

DEMO = Path(speechxfer.__file__).parent / "assets" / "demo"
CALL = DEMO / "call.flac"
RATE = 16_000


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    return np.concatenate([*stream_audio(CALL, RATE)])


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber("tiny", precision="fp32", channels="split", roles=("agent", "customer"))


@pytest.fixture(scope="module")
def transcript(transcriber):
    return transcriber.transcribe(CALL)


def test_both_sides_of_a_call_are_heard_in_their_turns(transcript):
    turns = read_manifest(DEMO / "call.csv")
    assert {(segment.channel, segment.role) for segment in transcript.segments} == {(0, "agent"), (1, "customer")}
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts) and transcript.duration == pytest.approx(123.5, abs=0.1)
    for turn in turns:
        middle = (turn.start + turn.end) / 2
        assert [segment.channel for segment in transcript.segments if segment.start < middle < segment.end] == [turn.channel]


def test_segments_hold_their_words_and_no_other_time(transcript):
    for segment in transcript.segments:
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert segment.text == " ".join(word.text for word in segment.words)
        assert times == sorted(times) and segment.start <= times[0] and times[-1] <= segment.end + 0.05


def test_company_and_batches_change_no_word(transcript, transcriber, call, monkeypatch):
    alone = Transcriber("tiny", precision="fp32", channels="split", roles=("agent", "customer"), batch_seconds=0.01)
    monkeypatch.setattr(engine, "_LOAD_SECONDS", 20.0)
    others = [DEMO / "dialect.ogg", CALL, Waveform(call[: 30 * RATE], RATE), CALL]
    first, second, third, fourth = alone.transcribe_all(others)
    for result in (second, fourth):
        assert [(s.text, s.start, s.channel) for s in result.segments] == [
            (s.text, s.start, s.channel) for s in transcript.segments
        ]
    assert first.audio == str(DEMO / "dialect.ogg") and third.audio == "" and third.duration == 30


def test_a_bad_file_keeps_no_other_from_its_transcript(transcriber, tmp_path, transcript):
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    results = [*transcriber.transcribe_all([bad, CALL, tmp_path / "gone.wav"])]
    assert [isinstance(result, AudioError) for result in results] == [True, False, True]
    assert results[1] == transcript
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        transcriber.transcribe(tmp_path / "gone.wav")


def test_what_can_be_read_of_a_broken_file_is_given(transcriber, tmp_path, transcript):
    content = CALL.read_bytes()
    broken = tmp_path / "broken.flac"
    broken.write_bytes(content[: len(content) // 2])
    result = transcriber.transcribe(broken)
    assert "breaks off at" in result.problems[0]
    assert 20 < result.duration < 110
    early = [segment.text for segment in result.segments if segment.end < result.duration - 5]
    assert len(early) > 3 and early == [segment.text for segment in transcript.segments][: len(early)]


def silence(seconds: float = 3.0) -> np.ndarray:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


@pytest.mark.parametrize(
    "samples, rate",
    [
        (silence(), RATE),
        (silence(0.0001), RATE),
        (1e-4 * np.random.default_rng(0).standard_normal(3 * RATE), RATE),
        (np.full(3 * RATE, 0.7), RATE),
        (np.zeros((4000, 48)), 4000),
    ],
    ids=["silence", "two samples", "noise floor", "direct current", "48 silent channels"],
)
def test_where_nobody_speaks_there_is_no_text(transcriber, samples, rate):
    result = transcriber.transcribe(Waveform(samples.astype(np.float32), rate))
    assert result.text == "" and not result.problems


@pytest.mark.parametrize(
    "spoil",
    [
        lambda samples: np.clip(8 * samples, -1, 1),
        lambda samples: samples + 0.2,
        lambda samples: 0.01 * samples,
    ],
    ids=["clipped", "direct current", "quiet"],
)
def test_bad_recordings_are_still_read(transcriber, call, spoil):
    clean = transcriber.transcribe(Waveform(call[: 30 * RATE], RATE)).text
    heard = transcriber.transcribe(Waveform(spoil(call[: 30 * RATE]).astype(np.float32), RATE)).text
    assert jiwer.cer(clean, heard) < 0.35


@pytest.mark.parametrize("rate", [8_000, 48_000, 192_000])
def test_rates_do_not_matter_much(transcriber, transcript, call, tmp_path, rate):
    path = tmp_path / "call.wav"
    part = np.stack([resample(np.ascontiguousarray(one), RATE, rate) for one in call[: 30 * RATE].T], axis=1)
    soundfile.write(path, part, rate)
    expected = " ".join(segment.text for segment in transcript.segments if segment.end < 29)
    heard = " ".join(segment.text for segment in transcriber.transcribe(path).segments if segment.end < 29)
    assert jiwer.wer(expected, heard) < 0.15


def test_speech_without_a_pause_is_stitched(call, monkeypatch):
    """Windows that overlap are read as one piece is."""
    agent = call[:, 0]
    talk = np.concatenate(
        [agent[: int(2.9 * RATE)], agent[int(7.8 * RATE) : int(11.3 * RATE)], agent[int(15.1 * RATE) : int(18 * RATE)]]
    )
    whole = Transcriber("tiny", precision="fp32").transcribe(Waveform(talk, RATE)).segments
    windows = Transcriber("tiny", precision="fp32")
    windows.model.frontend.max_seconds = 5.0
    monkeypatch.setattr("speechxfer.transcription.segments._SPEECH", 0.0)
    monkeypatch.setattr("speechxfer.transcription.segments._SILENCE", 1e-9)
    (stitched,) = windows.transcribe(Waveform(talk, RATE)).segments
    assert jiwer.cer(" ".join(segment.text for segment in whole), stitched.text) < 0.12
    starts = [word.start for word in stitched.words]
    assert starts == sorted(starts)


def test_a_copied_channel_is_transcribed_once(transcriber, call):
    twice = np.stack([call[: 20 * RATE, 0]] * 2, axis=1)
    result = transcriber.transcribe(Waveform(twice, RATE))
    assert {segment.channel for segment in result.segments} == {0}
    assert result.notes == ("channel 1 holds the same as another one; it is transcribed once",)


def test_terms_are_listened_for_and_written_as_wished(transcript):
    terms = ["internet connection", "technician", "monday => Monday", "nine one one => 911", "submarine"]
    heard = Transcriber("tiny", precision="fp32", channels="split", hotwords=terms).transcribe(CALL)
    found = {term for term in ("internet connection", "technician", "Monday", "911", "submarine") if term in heard.text}
    assert found == {"internet connection", "technician", "Monday", "911"}
    assert "technician" not in transcript.text
    number = next(word for segment in heard.segments for word in segment.words if word.text == "911")
    assert 13 < number.start < number.end < 15
    # What has none of the terms is what it was.
    untouched = [
        (one.text, other.text)
        for one, other in zip(transcript.segments, heard.segments, strict=True)
        if not any(term in other.text for term in found)
    ]
    assert len(untouched) > 25 and all(one == other for one, other in untouched)


def test_hotwords_that_cannot_be_spelled_are_refused_together():
    with pytest.raises(DataError) as caught:
        Transcriber("tiny", hotwords=["route 66", "fine", "café\tmuch"])
    assert "hotwords:1" in str(caught.value) and "hotwords:3" in str(caught.value)
    with pytest.raises(ModelError, match="need a model that writes text"):
        Transcriber(new_head("tiny", "classification", labels=("a", "b")), hotwords=["a"])
