"""Sets that are not given: from the split column, else held out so that no speaker or call is in two sets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import read_sets
from speechxfer.recipe import DataSection


def columns_of(sets, name: str) -> dict[str, set[str]]:
    return {key: set(manifest.columns[name]) for key, manifest in sets.items()}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from(["anna", "ben", "cleo", "dan", "eve", "flo", ""]), min_size=3, max_size=60).filter(
        lambda groups: len(set(groups) - {""}) >= 3
    ),
    st.sampled_from(["speaker", "call", "speaker,call"]),
    st.randoms(use_true_random=False),
)
def test_no_group_is_in_two_sets(folder, groups, column, random):
    # With both columns the first is empty: then the call decides.
    empty = "," if "," in column else ""
    rows = [f"id{number},a.wav,{empty}{group}" for number, group in enumerate(groups)]

    def held_out(rows):
        path = folder / "m.csv"
        path.write_text(f"id,audio,{column}\n" + "\n".join(rows) + "\n")
        return read_sets(DataSection(train=str(path)))[0]

    sets = held_out(rows)
    assert set(sets) == {"train", "dev", "test"}
    assert sorted(row for manifest in sets.values() for row in manifest.columns["id"]) == sorted(
        f"id{number}" for number in range(len(groups))
    )
    named = [values - {""} for values in columns_of(sets, column.split(",")[-1]).values()]
    assert sum(map(len, named)) == len(set.union(*named)) == len(set(groups) - {""})
    # Whoever the rows come from, in whatever order: the same rows in the same sets, in the order of the file.
    assert all(list(manifest.lines) == sorted(manifest.lines) for manifest in sets.values())
    ids = columns_of(sets, "id")
    random.shuffle(rows)
    assert columns_of(held_out(rows), "id") == ids


def test_about_a_tenth_is_held_out_for_each(write):
    rows = "".join(f"{number}.wav,s{number // 5}\n" for number in range(500))
    sets, notes, _ = read_sets(DataSection(train=str(write("audio,speaker\n" + rows))))
    assert {name: len(manifest) for name, manifest in sets.items()} == {"train": 400, "dev": 50, "test": 50}
    assert len(notes) == 2
    assert notes[0].startswith("dev: 50 utterances of 10 speakers held out")


def test_only_what_is_missing_is_held_out(write):
    path = write("id,audio\n" + "".join(f"i{number},a.wav\n" for number in range(20)))
    sets, notes, _ = read_sets(DataSection(train=str(path), test=str(path)))
    assert {name: len(manifest) for name, manifest in sets.items()} == {"train": 18, "dev": 2, "test": 20}
    assert len(notes) == 1


def test_split_by_chooses_the_column(write):
    rows = "".join(f"{number}.wav,s{number},c{number % 4}\n" for number in range(40))
    path = str(write("audio,speaker,call\n" + rows))
    calls = columns_of(read_sets(DataSection(train=path, split_by="call"))[0], "call")
    assert sum(map(len, calls.values())) == 4


def test_the_split_column_is_used(write):
    path = str(write("id,audio,split\na,x,train\nb,x,dev\nc,x,test\nd,x,train\ne,x,other\n"))
    sets, notes, _ = read_sets(DataSection(train=path))
    assert columns_of(sets, "id") == {"train": {"a", "d"}, "dev": {"b"}, "test": {"c"}}
    assert notes[0] == "train: only the rows with split=train are trained on"
    # A set that is given stays as given.
    assert columns_of(read_sets(DataSection(train=path, dev=f"{path}[id=e]"))[0], "id")["dev"] == {"e"}


@pytest.mark.parametrize("column", ["split", "speaker"])
def test_rows_that_cannot_be_split_are_not_forgotten(write, column):
    values = ["train", "dev", "test", "train"]
    path = write(f"audio,{column}\n" + "".join(f"a,{value}\n" for value in values) + "broken\n")
    train = read_sets(DataSection(train=str(path)))[0]["train"]
    assert [problem.line for problem in train.problems] == [6]


def test_too_few_groups(write):
    path = str(write("audio,speaker\na,x\nb,x\nc,y\n"))
    *_, (problem,) = read_sets(DataSection(train=path))
    assert "2 different values of `speaker`, too few to hold out dev and test" in problem.what
    *_, (problem,) = read_sets(DataSection(train=path, split_by="call"))
    assert "no such column" in problem.what


def test_unreadable_sets_are_all_named(write):
    sets, _, problems = read_sets(DataSection(train="gone.csv", dev="away.csv", test=str(write("audio\na\n"))))
    assert [problem.file for problem in problems] == ["gone.csv", "away.csv"]
    assert sets.keys() == {"test"}
