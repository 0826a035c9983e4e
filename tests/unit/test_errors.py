"""Errors say where, what and how many."""

import pickle

import pytest

from speechxfer import errors
from speechxfer.errors import DataError, Problem, SpeechxferError


def test_a_problem_names_file_and_line():
    assert str(Problem("m.csv", 3, "bad")) == "m.csv:3: bad"
    assert str(Problem("m.csv", None, "bad")) == "m.csv: bad"


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (20, 20), (21, 20), (300, 20)])
def test_a_data_error_keeps_all_and_shows_the_first(count, shown):
    problems = [Problem("m.csv", line, "bad") for line in range(1, count + 1)]
    error = DataError(problems)
    head, *lines = str(error).splitlines()
    assert error.problems == problems
    assert head == (f"{count} problems found:" if count > 1 else "1 problem found:")
    assert lines[:shown] == [f"m.csv:{line}: bad" for line in range(1, shown + 1)]
    assert lines[shown:] == ([f"... and {count - shown} more"] if count > shown else [])


def test_exit_codes():
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SpeechxferError)}
    assert {name: kind.exit_code for name, kind in kinds.items() if kind.exit_code != 2} == {
        "StorageError": 3,
        "ClusterError": 3,
        "StoreError": 3,
        "TrainingError": 3,
        "RunStoppedError": 130,
    }
    assert {"RecipeError", "ModelError", "AudioError", "DataError", "RunDirectoryError"} <= set(kinds)


def test_problems_found_by_another_process_are_the_same():
    found = DataError([Problem("m.csv", 3, "bad"), Problem("n.csv", None, "worse", row=1)])
    told = pickle.loads(pickle.dumps(found))
    assert (str(told), told.problems) == (str(found), found.problems)
