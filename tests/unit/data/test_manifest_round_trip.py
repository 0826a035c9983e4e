"""What is written is what is read, whatever the texts hold."""

import csv
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import read_manifest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# Delimiters, quotes and line ends far more often than chance would bring them.
AWKWARD = st.text(st.sampled_from("\",\t\n\r'; |\\aș"), max_size=8)
ROWS = st.lists(st.tuples(TEXT.filter(str.strip), AWKWARD, TEXT), min_size=1, max_size=5)
NAMES = ["text", "label", "note, ș"]


@settings(deadline=None)
@given(ROWS, st.sampled_from([",", "\t"]))
def test_csv_and_tsv(folder, rows, delimiter):
    path = folder / ("m.csv" if delimiter == "," else "m.tsv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["audio", *NAMES])
        ends = []
        for number, row in enumerate(rows):
            writer.writerow([f"{number}.wav", *row])
            file.flush()
            raw = path.read_bytes()
            # A line ends with LF, CR or both.
            ends.append(raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n"))
    manifest = read_manifest(path)
    assert list(zip(*(manifest.columns[name] for name in NAMES), strict=True)) == rows
    assert list(manifest.lines) == ends

    copy = folder / "copy.csv"
    manifest.write(copy)
    again = read_manifest(copy)
    assert again.columns | {"audio": []} == manifest.columns | {"audio": []}
    assert list(again.columns) == list(manifest.columns)
    assert [utterance.audio for utterance in again] == [utterance.audio for utterance in manifest]


@settings(deadline=None)
@given(ROWS, st.booleans())
def test_jsonl(folder, rows, ascii_only):
    path = folder / "m.jsonl"
    records = [{"audio": f"{number}.wav", **dict(zip(NAMES, row, strict=True))} for number, row in enumerate(rows)]
    path.write_text("".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records), encoding="utf-8")
    manifest = read_manifest(path)
    assert list(zip(*(manifest.columns[name] for name in NAMES), strict=True)) == rows
    assert list(manifest.lines) == list(range(1, len(rows) + 1))
