"""Recipes: the types decide what a text means, every problem is said at once, and what is written is read back."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.errors import RecipeError
from speechxfer.recipe import Recipe, StageSection, read_recipe

SMALLEST = "task: ctc\nmodel:\n  path: m\ndata:\n  train: t.csv\n"


@pytest.fixture
def recipe(tmp_path):
    """Return a function that reads a YAML text with overrides."""

    def read(text: str = SMALLEST, *overrides: str) -> Recipe:
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return read_recipe(path, overrides)

    return read


@pytest.fixture
def complaint(recipe):
    """Return a function that gives the lines of the error."""

    def read(text: str = SMALLEST, *overrides: str) -> list[str]:
        with pytest.raises(RecipeError) as caught:
            recipe(text, *overrides)
        return str(caught.value).splitlines()

    return read


def test_types_decide(recipe):
    got = recipe(
        SMALLEST + "  dev: no\n  test: 0123\ntraining:\n  head_learning_rate: 1e-4\n  trackers: [on, 1]\nstore: {enabled: no}\n"
    )
    assert got.training.head_learning_rate == 1e-4
    assert (got.data.dev, got.data.test) == ("no", "0123")
    assert got.training.trackers == ["on", "1"]
    assert got.store.enabled is False


def test_empty_keys_mean_the_default(recipe):
    expected = recipe()
    assert recipe(SMALLEST + "  dev:\n  groups: null\ntraining:\naugment: ~\n") == expected
    assert recipe(SMALLEST, "data.dev=", "training.patience=null") == expected


@pytest.mark.parametrize("empty", ["training:\n", "training: null\n", "training: ~\n"])
def test_an_override_fills_an_empty_section(recipe, empty):
    assert recipe(SMALLEST + empty, "training.epochs=3").training.epochs == 3


def test_all_problems_at_once_with_the_nearest_key(complaint):
    lines = complaint(
        "task: ctc\nmodel: {trian: head, train: top:0}\ndata: {}\ntraning: {}\n"
        "training: {epochs: many, stages: [{epoch: 3}, {train: lora}], head_learning_rate: -1}\n"
        "augment: {noise: {manifest: n.csv, snr: 3}}\n",
        "training.sed=1",
        "nonsense",
    )
    assert "12 problem(s)" in lines[0]
    told = {line.split(":")[0].strip(): line for line in lines[1:]}
    assert set(told) == {
        "nonsense", "model.path", "model.train", "model.trian", "data.train", "training.epochs", "training.stages.0.epoch",
        "training.stages.1.train", "training.head_learning_rate", "augment.noise.snr", "training.sed", "traning",
    }  # fmt: skip
    assert "did you mean `model.train`?" in told["model.trian"]
    assert "did you mean `training`?" in told["traning"]
    assert "did you mean `training.seed`?" in told["training.sed"]
    assert "did you mean `training.stages.0.epochs`?" in told["training.stages.0.epoch"]
    assert "did you mean `augment.noise.snr_db`?" in told["augment.noise.snr"]
    assert "found 'many'" in told["training.epochs"]
    assert "expected head, decoder, top:N, encoder, adapter, lora:R or all" in told["training.stages.1.train"]
    assert "missing; give it in the file or as data.train=..." in told["data.train"]
    assert "expected section.key=value" in told["nonsense"]


def test_a_key_far_from_all_others_lists_them(complaint):
    assert complaint(SMALLEST, "store.qqqq=1")[1] == "  store.qqqq: unknown key; known here: directory, dtype, enabled, max_gb"


def test_overrides(recipe):
    got = recipe(
        SMALLEST,
        "training.epochs=3",
        "training.epochs=5",
        "data.train=calls.csv[split=train,label=0]",
        "augment.speed=[0.9,1.0]",
        "data.groups={age: [16], gender: true, accent: false}",
        "augment.noise.manifest=n.csv",
        "training.stages=[{train: head, epochs: 1}, {train: 'top:2'}]",
        "training.trackers=tensorboard",
    )
    assert got.training.epochs == 5
    assert got.data.train == "calls.csv[split=train,label=0]"
    assert got.augment.speed == [0.9, 1.0]
    assert got.data.groups == {"age": [16.0], "gender": True, "accent": False}
    assert got.augment.noise is not None and got.augment.noise.snr_db == (5.0, 20.0)
    assert [stage.train for stage in got.training.stages] == ["head", "top:2"]
    assert got.training.trackers == ["tensorboard"]
    assert recipe(SMALLEST, "augment.speed=0.9").augment.speed == [0.9]


@pytest.mark.parametrize(
    "text", ["run #2/a.csv", "[a].csv", "*.csv", "&all.csv", "a: b.csv", "!x", "# x", "50%,x", "a=b", "{x}.csv"]
)
def test_a_path_in_an_override_is_taken_as_it_is(recipe, text):
    assert recipe(SMALLEST, f"data.dev={text}").data.dev == text


def test_an_override_may_be_quoted(recipe):
    assert recipe(SMALLEST, "data.dev='[x]'").data.dev == "[x]"


def test_a_list_of_selections_wants_quotes_and_says_so(recipe, complaint):
    unquoted = "data.guard=[a.csv[split=dev,gender=m], b.csv[split=test]]"
    assert complaint(SMALLEST, unquoted)[1:] == [
        f'  {unquoted}: in a list, a selection stands in quotes: ["calls.csv[split=dev]", "more.csv"]'
    ]
    assert recipe(SMALLEST, 'data.guard=["a.csv[split=dev]", b.csv]').data.guard == ["a.csv[split=dev]", "b.csv"]
    assert recipe(SMALLEST, "data.dev=[ab]*.csv[split=dev]").data.dev == "[ab]*.csv[split=dev]"


def test_an_override_below_a_value(complaint):
    assert complaint(SMALLEST, "data.train.x=1")[1] == "  data.train.x=1: `train` is a value, not a section"
    assert complaint(SMALLEST, "task.x.y=1")[1] == "  task.x.y=1: `task` is a value, not a section"


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("training.seed=-1", "training.seed"),
        ("training.batch_seconds=inf", "training.batch_seconds"),
        ("training.batch_seconds=nan", "training.batch_seconds"),
        ("training.warmup_share=1.5", "training.warmup_share"),
        ("training.epochs=0", "training.epochs"),
        ("training.epochs=1.5", "training.epochs"),
        ("augment.speed=[]", "augment.speed"),
        ("augment.speed=[1.0, 3]", "augment.speed.1"),
        ("data.groups={age: []}", "data.groups.age"),
        ("data.groups={age: [nan]}", "data.groups.age.0"),
        ("data.groups={age: old}", "data.groups.age"),
        ("data.on_bad_row=ignore", "data.on_bad_row"),
        ("whisper.context=short", "whisper.context"),
        ("task=asr", "task"),
    ],
)
def test_values_out_of_range(complaint, override, name):
    assert any(line.startswith(f"  {name}: found ") for line in complaint(SMALLEST, override)[1:])


def test_whisper_is_for_its_decoder_only(complaint, recipe):
    assert recipe(SMALLEST, "task=seq2seq", "model.train=decoder", "whisper.context=stock").whisper.context == "stock"
    assert "context, language: for task seq2seq only" in complaint(SMALLEST, "whisper.context=stock", "whisper.language=de")[1]
    assert "for tasks ctc and classification" in complaint(SMALLEST, "task=seq2seq", "model.head=blstm")[1]


def test_a_blstm_head_is_for_ctc_only(complaint, recipe):
    assert recipe(SMALLEST, "model.head=blstm").model.head == "blstm"
    assert "a blstm head is for task ctc" in complaint(SMALLEST, "task=classification", "model.head=blstm")[1]


def test_a_weighted_layer_sum_is_for_classification_only(complaint, recipe):
    assert recipe(SMALLEST, "task=classification", "model.weighted_layer_sum=true").model.weighted_layer_sum
    assert "is for task classification" in complaint(SMALLEST, "model.weighted_layer_sum=true")[1]


def test_a_kept_head_has_no_settings_of_a_new_one(complaint, recipe):
    assert recipe(SMALLEST, "model.vocabulary=extend").model.vocabulary == "extend"
    assert (
        "head, head_dropout: of a new head only"
        in complaint(SMALLEST, "model.vocabulary=keep", "model.head=blstm", "model.head_dropout=0.1")[1]
    )


def test_stages_are_filled_in(recipe):
    text = SMALLEST + "training: {epochs: 7, head_learning_rate: 0.5, encoder_learning_rate: 0.25}\n"
    assert recipe(text, "model.train=top:2").stages() == [
        StageSection(train="top:2", epochs=7, head_learning_rate=0.5, encoder_learning_rate=0.25, mix_share=0)
    ]
    staged = recipe(text, "training.stages=[{epochs: 2}, {train: all, encoder_learning_rate: 1e-6}]").stages()
    assert staged == [
        StageSection(train="head", epochs=2, head_learning_rate=0.5, encoder_learning_rate=0.25, mix_share=0),
        StageSection(train="all", epochs=7, head_learning_rate=0.5, encoder_learning_rate=1e-6, mix_share=0),
    ]


PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(lambda text: text not in ("null", "~"))
FLOATS = st.floats(min_value=1e-12, max_value=1e12)
OPTIONS = st.fixed_dictionaries(
    {"task": st.just("ctc"), "model": st.fixed_dictionaries({"path": PATHS}), "data": st.fixed_dictionaries({"train": PATHS})},
    optional={
        "augment": st.fixed_dictionaries(
            {"noise": st.fixed_dictionaries({"manifest": PATHS, "snr_db": st.tuples(FLOATS, FLOATS)})},
            optional={"speed": st.lists(st.floats(0.6, 1.9), min_size=1, max_size=3)},
        ),
        "training": st.fixed_dictionaries(
            {"head_learning_rate": FLOATS, "seed": st.integers(0, 2**32 - 1)},
            optional={
                "stages": st.lists(
                    st.fixed_dictionaries({}, optional={"epochs": st.integers(1, 9), "train": st.sampled_from(["all", "top:12"])})
                ),
                "trackers": st.lists(PATHS, max_size=2),
            },
        ),
    },
)
GROUPS = st.none() | st.dictionaries(PATHS, st.booleans() | st.lists(FLOATS, min_size=1, max_size=3), max_size=3)


@settings(deadline=None)
@given(OPTIONS, GROUPS)
def test_what_is_written_is_read_back(tmp_path_factory, options, groups):
    recipe = Recipe.model_validate(options | {"data": options["data"] | {"groups": groups}})
    path = tmp_path_factory.getbasetemp() / "recipe.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert read_recipe(path) == recipe


def test_files_that_are_no_recipe(complaint, tmp_path):
    assert "expected sections" in complaint("- a\n")[0]
    assert "expected sections" in complaint("")[0]
    assert "not valid YAML" in complaint("a: [1\n")[0]
    for path, what in [(tmp_path / "gone.yaml", "cannot read"), (tmp_path, "cannot read")]:
        with pytest.raises(RecipeError, match=what):
            read_recipe(path)
    (tmp_path / "latin.yaml").write_bytes("task: café".encode("latin-1"))
    with pytest.raises(RecipeError, match="not valid YAML"):
        read_recipe(tmp_path / "latin.yaml")


def test_the_yaml_is_plain(recipe):
    tree = yaml.safe_load(recipe().to_yaml())
    assert tree["training"]["head_learning_rate"] == 1e-3
    assert tree["model"]["train"] == "head"
    assert Path(tree["data"]["train"]) == Path("t.csv")


def test_problems_name_their_lines_and_rules_are_tried(recipe, complaint):
    rules = "  rules:\n    - ['(', x]\n    - [a, '\\2']\n    - ['\\bok\\b', yes]\n    - [a]\n    - ['(?P<n>a)', '\\g<m>']\n"
    lines = complaint(SMALLEST + "  normaliser: klingon\n" + rules + "store: {typo: 1}\n", "data.dev=[a]", "report.audio=x")
    told = {line.split(":")[0].strip(): line for line in lines[1:]}
    for name, what, line in (
        ("data.normaliser", "expected basic, english", 6),
        ("data.rules.0", "unterminated subpattern", 8),
        ("data.rules.1", "invalid group reference 2", 9),
        ("data.rules.3.1", "missing", 11),
        ("data.rules.4", "unknown group name 'm'", 12),
        ("store.typo", "unknown key", 13),
    ):
        assert what in told[name] and told[name].endswith(f" (line {line})"), told[name]
    assert not any("(line" in told[name] for name in ("data.dev", "report.audio"))
    got = recipe(SMALLEST, r"data.rules=[['\d+','#'], [x, '']]", "data.normaliser=phonemes:en-us")
    assert got.data.rules == [(r"\d+", "#"), ("x", "")]


def test_gain_is_a_range_or_a_range_with_a_probability(recipe):
    always = recipe(SMALLEST, "augment.gain_db=[-6,6]").augment.gain_db
    assert (always.range, always.probability) == ((-6.0, 6.0), 1.0)
    sometimes = recipe(SMALLEST, "augment.gain_db.range=[-3,3]", "augment.gain_db.probability=0.2").augment.gain_db
    assert (sometimes.range, sometimes.probability) == ((-3.0, 3.0), 0.2)


def test_symbols_are_of_a_new_head_for_text(recipe, complaint):
    assert recipe(SMALLEST, "model.symbols=bpe:500").model.symbols == "bpe:500"
    assert "expected characters or bpe:N" in complaint(SMALLEST, "model.symbols=bpe")[1]
    assert "of a new head only" in complaint(SMALLEST, "model.symbols=bpe:9", "model.vocabulary=keep")[1]
    assert "symbols are for task ctc" in complaint(SMALLEST, "model.symbols=bpe:9", "task=classification")[1]
