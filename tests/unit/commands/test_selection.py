"""The choice of layers and method: cross-validation sees the examples only, and holds out whole speakers where it can."""

import numpy as np

from speechxfer.commands.selection import Choice, _better, _folds, choose

COMMANDS = np.repeat(np.arange(3), 6)


def views(informative, count=5, spread=0.3):
    """Return two views of 18 examples; only some layers say which command it is."""
    random = np.random.default_rng(0)
    made = random.normal(size=(2, len(COMMANDS), count, 8))
    for layer in informative:
        made[:, :, layer] = random.normal(size=(3, 8))[COMMANDS] * 3 + spread * made[:, :, layer]
    return list(made.astype(np.float32))


def test_the_layer_that_knows_is_found():
    found = choose(views([1]), COMMANDS, [""] * 18)
    assert found.layers == (1,) and found.accuracy == 1.0


def test_the_upper_half_together_is_preferred():
    assert choose(views([1, 2, 3, 4]), COMMANDS, [""] * 18).layers == (2, 3, 4)


def test_a_rival_has_to_be_better_by_a_standard_error():
    kept = Choice("prototypes", (2, 3, 4), 0.8)  # of 50, the standard error is 0.0566
    hardly, clearly = Choice("prototypes", (3,), 0.85), Choice("prototypes", (3,), 0.86)
    assert _better(kept, hardly, 50) is kept
    assert _better(kept, clearly, 50) is clearly


def test_one_example_of_a_command_leaves_nothing_to_hold_out():
    made = [view[:13] for view in views([1])]  # the third command once
    found = choose(made, COMMANDS[:13], [""] * 13)
    assert (found.method, found.layers, found.accuracy) == ("prototypes", (2, 3, 4), None)


def test_whole_speakers_are_held_out():
    speakers = [f"s{number % 3}" for number in range(18)]
    folds = _folds(COMMANDS, speakers)
    assert [len({fold for fold, one in zip(folds, speakers, strict=True) if one == name}) for name in set(speakers)] == [1] * 3
    # One speaker for each command: held out, the command would be gone.
    alone = _folds(COMMANDS, [f"s{command}" for command in COMMANDS])
    assert all(len(set(alone[COMMANDS == command].tolist())) == 5 for command in range(3))


def test_speakers_are_what_the_accuracy_is_over():
    # Each speaker says everything in a place of his own: only who has heard him can tell.
    random = np.random.default_rng(0)
    speakers = np.tile([0, 1], 9)
    places = random.normal(size=(2, 3, 8)) * 5
    rows = (places[speakers, COMMANDS] + 0.1 * random.normal(size=(18, 8)))[None, :, None].repeat(3, axis=2).astype(np.float32)
    blind, seeing = (choose(list(rows), COMMANDS, names) for names in ([""] * 18, [f"s{one}" for one in speakers]))
    assert blind.accuracy == 1.0 and seeing.accuracy < 0.8
