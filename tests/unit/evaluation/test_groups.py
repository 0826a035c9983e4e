"""Groups: which columns are taken by themselves, bands of numbers, and the unknown."""

import pytest

from speechxfer.data import Manifest
from speechxfer.evaluation import group_rows


@pytest.fixture
def manifest():
    """Return a function that makes a manifest of columns."""

    def make(**columns: list[str]) -> Manifest:
        length = len(next(iter(columns.values())))
        names = [str(row) for row in range(length)]
        return Manifest({"id": names, "audio": names, **columns}, "m.csv", range(2, length + 2))

    return make


def halves(first: str, second: str, counts: tuple[int, int] = (20, 20)) -> list[str]:
    return [first] * counts[0] + [second] * counts[1]


def test_the_default_takes_words_with_enough_utterances(manifest):
    got = group_rows(
        manifest(
            gender=halves("f", "m"),
            age=halves("12", "40"),  # numbers need bands
            rare=halves("x", "y", (21, 19)),
            same=["x"] * 40,
            speaker=halves("s1", "s2"),  # a column of the road itself
            partly=halves("12", "old"),
        )
    )
    assert got == {
        "gender": {"f": list(range(20)), "m": list(range(20, 40))},
        "partly": {"12": list(range(20)), "old": list(range(20, 40))},
    }


@pytest.mark.parametrize(("values", "taken"), [(2, True), (20, True), (21, False)])
def test_the_default_takes_two_to_twenty_values(manifest, values, taken):
    accents = [f"accent {number % values}" for number in range(values * 20)]
    assert len(group_rows(manifest(accent=accents)).get("accent", {})) == (values if taken else 0)


def test_empty_is_unknown(manifest):
    genders = [*halves("f", "m"), *[""] * 5]
    groups = group_rows(manifest(gender=genders))["gender"]
    assert sorted(groups) == ["f", "m"]
    assert max(row for rows in groups.values() for row in rows) == 39
    assert group_rows(manifest(gender=genders), {"gender": True})["gender"] == groups


def test_a_spec_is_taken_at_its_word(manifest):
    made = manifest(gender=["f", "m", "f"], age=["1", "2", "1"])
    assert group_rows(made, {"age": True}) == {"age": {"1": [0, 2], "2": [1]}}
    assert group_rows(made, {"age": False, "gone": True}) == {}
    assert group_rows(made, {}) == {}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([16], {"<16": [0, 2], ">=16": [1, 3, 4]}),
        ([60, 16], {"<16": [0, 2], "16-60": [1, 3], ">=60": [4]}),
        ([7.5], {"<7.5": [0], ">=7.5": [1, 2, 3, 4]}),
    ],
)
def test_bands(manifest, bounds, expected):
    ages = ["6", "16", "15.9", "59", "60", "", "old", "nan", "inf", "-inf"]
    assert group_rows(manifest(age=ages), {"age": bounds}) == {"age": expected}
