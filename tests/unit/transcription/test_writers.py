"""Formats: what players, scorers and scripts expect, to the character."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechxfer.transcript import Segment, Transcript, Word
from speechxfer.transcription import FORMATS, render

HELLO = Segment(
    "hello <there>", 1.0, 2.5, 0.9, (Word("hello", 1.1, 1.5, 0.95), Word("<there>", 1.6, 2.25, 0.85)), channel=0, role="agent"
)
YES = Segment("yes", 3661.5, 3662.0, 0.5, (Word("yes", 3661.6, 3661.9, 0.5),), channel=1)
TALK = Transcript("calls/my call.wav", 3700.0, (HELLO, YES), notes=("a note",))

EXPECTED = {
    "txt": "agent: hello <there>\nchannel 1: yes\n",
    "srt": ("1\n00:00:01,100 --> 00:00:02,250\nagent: hello <there>\n\n2\n01:01:01,600 --> 01:01:01,900\nchannel 1: yes\n\n"),
    "vtt": (
        "WEBVTT\n\n00:00:01.100 --> 00:00:02.250\n<v agent>hello &lt;there&gt;\n\n"
        "01:01:01.600 --> 01:01:01.900\n<v channel 1>yes\n"
    ),
    "tsv": "start\tend\tspeaker\ttext\n1000\t2500\tagent\thello <there>\n3661500\t3662000\tchannel 1\tyes\n",
    "ctm": "my_call 1 1.100 0.400 hello 0.950\nmy_call 1 1.600 0.650 <there> 0.850\nmy_call 2 3661.600 0.300 yes 0.500\n",
}


@pytest.mark.parametrize("output_format", EXPECTED)
def test_text_formats(output_format):
    assert render(TALK, output_format) == EXPECTED[output_format]


@pytest.mark.parametrize("output_format", ["json", "jsonl"])
def test_json_holds_everything(output_format):
    text = render(TALK, output_format)
    assert json.loads(text) == json.loads(json.dumps(TALK.to_dict()))
    assert (text.count("\n") == 1) == (output_format == "jsonl")
    assert json.loads(text)["schema"] == "speechxfer.transcript/1"


def test_a_label_has_no_words_but_a_cue():
    label = Transcript("a.wav", 1.0, (Segment("stop", 0.0, 1.0, 0.9),))
    assert render(label, "srt") == "1\n00:00:00,000 --> 00:00:01,000\nstop\n\n"


def test_silence_is_an_empty_file():
    silence = Transcript("a.wav", 1.0)
    assert [render(silence, output_format) for output_format in ("txt", "srt", "ctm")] == ["", "", ""]
    assert render(silence, "vtt") == "WEBVTT\n"


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="unknown format 'doc': expected txt"):
        render(TALK, "doc")


WORDS = st.lists(
    st.tuples(st.text("abcdefgh", min_size=1, max_size=12), st.floats(0, 2), st.floats(0.01, 1)), min_size=1, max_size=60
)


@given(WORDS)
def test_cues_are_short_and_hold_every_word_once(words):
    position, timed = 0.0, []
    for text, pause, length in words:
        timed.append(Word(text, round(position + pause, 3), round(position + pause + length, 3), 1.0))
        position += pause + length
    text = " ".join(word.text for word in timed)
    srt = render(Transcript("a", position, (Segment(text, 0.0, position, 1.0, tuple(timed)),)), "srt")
    cues = [cue.split("\n") for cue in srt.strip("\n").split("\n\n")]
    assert " ".join(cue[2] for cue in cues) == text
    assert all(len(cue[2]) <= 80 for cue in cues)
    times = [re.fullmatch(r"\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}", cue[1]) for cue in cues]
    assert all(times) and [int(cue[0]) for cue in cues] == [*range(1, len(cues) + 1)]
    assert set(FORMATS) == {"txt", "json", "jsonl", "srt", "vtt", "tsv", "ctm"}
