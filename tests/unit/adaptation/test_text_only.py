"""Words of which there is no recording: they are spoken, each text as often as was asked, and the same each time."""

import sys
from pathlib import Path

import pytest
import soundfile

from speechxfer.adaptation import read_sentences, speak_texts
from speechxfer.data import read_manifest
from speechxfer.errors import DataError, SynthesisError


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_terms_are_said_alone_and_in_every_gap(tmp_path):
    sentences = write(tmp_path / "sentences.txt", "i want  {}", "", "hello there", "cancel {} please", "hello there")
    terms = write(tmp_path / "terms.txt", "zelvaro", "luminet prime")
    assert read_sentences(sentences, terms) == [
        ("zelvaro", f"{terms}:1"),
        ("luminet prime", f"{terms}:2"),
        ("i want zelvaro", f"{sentences}:1"),
        ("i want luminet prime", f"{sentences}:1"),
        ("hello there", f"{sentences}:3"),
        ("cancel zelvaro please", f"{sentences}:4"),
        ("cancel luminet prime please", f"{sentences}:4"),
    ]


def test_what_cannot_be_said_is_refused(tmp_path):
    with pytest.raises(DataError, match="no --terms") as caught:
        read_sentences(write(tmp_path / "gaps.txt", "a {}", "b", "c {}"))
    assert [problem.line for problem in caught.value.problems] == [1, 3]
    with pytest.raises(DataError, match="nothing to say"):
        read_sentences(write(tmp_path / "empty.txt", " "))
    with pytest.raises(DataError, match="cannot be read"):
        read_sentences(tmp_path / "missing.txt")


def test_speech_is_a_function_of_texts_and_seed(tmp_path):
    texts = [("open the luminet", "s:1"), ("zelvaro", "s:2"), ("close it", "s:3")]
    tables = [speak_texts(texts, tmp_path / name, times=2, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    first, second, other = (read_manifest(table) for table in tables)
    assert first.columns["text"] == [text for text, _ in texts] * 2
    assert len(set(first.columns["speaker"])) == 6
    sounds = [[soundfile.read(one.audio) for one in manifest] for manifest in (first, second, other)]
    assert all(rate == 16_000 and 0.2 < len(samples) / rate < 4 for samples, rate in sounds[0])
    assert all((here[0] == there[0]).all() for here, there in zip(sounds[0], sounds[1], strict=True))
    assert sum(len(here[0]) != len(there[0]) for here, there in zip(sounds[0], sounds[2], strict=True)) >= 4
    # The same text by another voice, rate and pitch.
    assert all(len(sounds[0][row][0]) != len(sounds[0][row + 3][0]) for row in range(3))


def test_another_synthesis_is_a_command(tmp_path):
    script = tmp_path / "say.py"
    script.write_text(
        "import sys, numpy, soundfile\n"
        "text, voice, file = sys.argv[1:]\n"
        "if text == 'mute': sys.exit('I do not say that')\n"
        "soundfile.write(file, numpy.full(80 * len(text), 0.1 if voice == 'low' else 0.2), 8000)\n"
    )
    command = f"{sys.executable} {script} {{text}} {{voice}} {{file}}"
    made = read_manifest(speak_texts([("it's two words", "s:1")], tmp_path / "out", voices=["low", "high"], command=command))
    assert sorted(made.columns["speaker"]) == ["high", "low"]
    for one, voice in zip(made, made.columns["speaker"], strict=True):
        samples, rate = soundfile.read(one.audio)
        assert rate == 16_000 and len(samples) == 2 * 80 * len("it's two words")
        assert abs(samples[len(samples) // 2] - (0.1 if voice == "low" else 0.2)) < 0.01
    with pytest.raises(SynthesisError, match="s:2: --command could not say 'mute': I do not say that"):
        speak_texts([("fine", "s:1"), ("mute", "s:2")], tmp_path / "bad", command=command)
    assert not (tmp_path / "bad/manifest.csv").exists()
    with pytest.raises(SynthesisError, match="--command no-such-program"):
        speak_texts([("fine", "s:1")], tmp_path / "worse", command="no-such-program {text} {file}")
    without_voice = command.replace("{voice}", "low")
    alone = read_manifest(speak_texts([("one", "s:1")], tmp_path / "one", command=without_voice))
    assert {*alone.columns["speaker"]} == {Path(sys.executable).name}, "no voices, no speakers"
    missing = {"say {file}": r"\{text\} is missing", "say": r"\{text\} and \{file\}", "say '{text} {file}": "quotation"}
    for wrong, what in missing.items():
        with pytest.raises(SynthesisError, match=what):
            speak_texts([("fine", "s:1")], tmp_path / "worst", command=wrong)


def test_the_verb(tmp_path, speechxfer):
    sentences, terms = write(tmp_path / "s.txt", "the {} is here"), write(tmp_path / "t.txt", "corvanta")
    words = ("speak", sentences, "--terms", terms, "--out", tmp_path / "spoken", "--times", "1", "--voice", "ro")
    code, out, _ = speechxfer(*words)
    assert code == 0 and "2 texts, each said 1 times" in out
    assert read_manifest(tmp_path / "spoken/manifest.csv").columns["text"] == ["corvanta", "the corvanta is here"]
    code, _, err = speechxfer(*words[:-1], "xx-nowhere")
    assert code == 2 and "no voice 'xx-nowhere'" in err
