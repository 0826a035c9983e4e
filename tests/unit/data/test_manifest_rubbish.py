"""Whatever a file holds, a manifest or a DataError comes out, and what was accepted can be used."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speechxfer.data import check_sets, parse_manifest
from speechxfer.errors import DataError

CASES = settings(deadline=None, max_examples=150)
FIELD = st.one_of(st.sampled_from(["a.wav", "0", "-1", "1e999", "", '"', "x.raw", "\0", "\uff19", "²"]), st.text(max_size=5))
HEADER = st.lists(st.sampled_from(["audio", "path", "text", "label", "start", "end", "channel", "id", "self", ""]), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def read(path, raw: bytes) -> None:
    path.write_bytes(raw)
    try:
        manifest = parse_manifest(path)
    except DataError as error:
        assert error.problems
        return
    assert all(len(column) == len(manifest) for column in manifest.columns.values())
    assert all(problem.row is None or manifest.lines[problem.row] == problem.line for problem in manifest.problems)
    assert len(list(manifest)) == len(manifest)
    manifest.write(path.with_name("copy.csv"))
    with pytest.raises(DataError):  # none of the audio exists
        check_sets({"set": manifest}, "ctc", "skip")


@CASES
@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".jsonl"]))
def test_bytes(folder, raw, suffix):
    read(folder / f"m{suffix}", raw)


@CASES
@given(HEADER, st.lists(st.lists(FIELD, max_size=5), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
@example(["audio", "channel"], [["a", "9" * 5000]], "\n")
@example(["audio", "text"], [["a", "x" * 200_000]], "\n")
def test_csv(folder, header, rows, newline):
    text = newline.join(",".join(row) for row in [header, *rows])
    read(folder / "m.csv", text.encode("utf-8", "surrogatepass"))


@CASES
@given(st.lists(st.dictionaries(st.sampled_from(["audio", "text", "start", "channel", "\ud800"]), JSON) | JSON, max_size=5))
@example([{"audio": "\ud800"}])
@example([{"audio": "a", "text": {"\udfff": 1}}])
def test_jsonl(folder, rows):
    read(folder / "m.jsonl", "\n".join(map(json.dumps, rows)).encode())


@pytest.mark.parametrize("depth", [900, 980, 990, 1000, 100_000])
def test_deeply_nested_json(tmp_path, depth):
    read(tmp_path / "m.jsonl", b'{"audio": "a", "text": ' + b"[" * depth + b"]" * depth + b"}")
