"""Whatever stands in a recipe or an override, a recipe or a RecipeError comes out."""

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speechxfer.errors import RecipeError
from speechxfer.recipe import Recipe, read_recipe

CASES = settings(deadline=None, max_examples=150)
SMALLEST = b"task: ctc\nmodel: {path: m}\ndata: {train: t}\n"
SECTIONS = [*Recipe.model_fields, "stages", "noise", "groups", "speed", "path", "epochs", "snr_db", "0", "", "<<"]
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(SECTIONS), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.lists(st.sampled_from(SECTIONS), max_size=4).map(".".join)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"

    def read_bytes(raw: bytes, *overrides: str) -> None:
        path.write_bytes(raw)
        try:
            recipe = read_recipe(path, overrides)
        except RecipeError as error:
            assert str(path) in str(error)
        else:
            assert recipe.stages()
            path.write_text(recipe.to_yaml(), encoding="utf-8")
            assert read_recipe(path) == recipe

    return read_bytes


@CASES
@given(raw=st.binary(max_size=100) | st.text(st.sampled_from("a:- \n[]{}&*!?|>'\"#%@0,\t"), max_size=60).map(str.encode))
@example(raw=b"a: " + b"[" * 3000 + b"]" * 3000)
@example(raw=b"a: &x [*x]")
@example(raw=b"task: ctc\ntraining: &x {stages: [*x]}\n")
@example(raw=SMALLEST + b"training: &x {stages: [*x]}\naugment: *x\n")
@example(raw=b"? [a]\n: b")
def test_bytes(read, raw):
    read(raw)


@CASES
@given(tree=st.dictionaries(st.sampled_from(SECTIONS), TREES, max_size=6))
def test_trees(read, tree):
    read(yaml.safe_dump(tree).encode())


@CASES
@given(
    overrides=st.lists(st.builds("{}={}".format, NAMES, TREES.map(str) | st.text(max_size=10)) | st.text(max_size=10), max_size=4)
)
@example(overrides=["training.seed=" + "9" * 5000])
@example(overrides=["data.dev=" + "[" * 3000])
@example(overrides=["data.groups={x: &a [*a]}"])
def test_overrides(read, overrides):
    read(SMALLEST, *overrides)
