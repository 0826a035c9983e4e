"""The pretrained model of the package, exported: the same text from real speech, in evaluation and in the engine."""

from pathlib import Path

import pytest

import speechxfer
from speechxfer import Transcriber, evaluate, load_model, read_manifest
from speechxfer.evaluation import export

CALL = Path(speechxfer.__file__).parent / "assets" / "demo" / "call.csv"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "tiny"
    assert export(load_model("tiny"), out, read_manifest(CALL)).holds
    return out


def test_an4_reads_the_same(exported, shared):
    test = read_manifest(f"{shared / 'data/an4/manifest.csv'}[split=test]").select(range(0, 120, 6))
    assert len(test) == 20
    expected = evaluate("tiny", test, precision="fp32").answers
    assert evaluate(exported, test).answers == expected
    assert evaluate(exported, test, batch_seconds=0.01).answers == expected
    assert sum(map(len, expected)) > 100


def test_a_call_reads_the_same(exported):
    recording = CALL.with_name("call.flac")
    expected = Transcriber("tiny", precision="fp32", channels="split").transcribe(recording)
    found = Transcriber(exported, channels="split").transcribe(recording)
    assert [(one.text, one.start, one.channel) for one in found.segments] == [
        (one.text, one.start, one.channel) for one in expected.segments
    ]
