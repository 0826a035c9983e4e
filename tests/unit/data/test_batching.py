"""Batches: every row once, within the bound, the same for the same seed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import plan_batches

LENGTHS = st.lists(st.floats(0.01, 40), max_size=60)
SEEDS = st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 100))


@settings(deadline=None)
@given(LENGTHS, st.floats(0.1, 100), SEEDS)
def test_every_row_once_and_within_the_bound(lengths, max_total, seed):
    given_lengths = list(lengths)
    batches = plan_batches(lengths, max_total, seed)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(batches)
    for batch in batches:
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= max_total
    assert plan_batches(lengths, max_total, seed) == batches
    assert lengths == given_lengths


def test_batches_are_as_large_as_the_bound_allows():
    assert plan_batches([1.0] * 10, 4.0) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert plan_batches([3.0, 1.0, 9.0, 2.0], 6.0) == [[1, 3], [0], [2]]
    assert plan_batches([], 4.0) == plan_batches([], 4.0, (0, 0, 0)) == []


def test_seed_stage_and_epoch_each_change_the_plan():
    lengths = [1 + row % 17 / 10 for row in range(200)]
    plans = [plan_batches(lengths, 16.0, seed) for seed in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    members = [{frozenset(batch) for batch in plan} for plan in plans]
    for first in range(4):
        for second in range(first):
            assert members[first] != members[second]  # other batches, not only another order


def test_a_seeded_plan_pads_little_and_is_shuffled():
    lengths = [1 + row / 100 for row in range(400)]
    plan = plan_batches(lengths, 40.0, (0, 0, 0))
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in plan)
    assert padded < 1.2 * sum(lengths)
    longest = [max(lengths[row] for row in batch) for batch in plan]
    assert longest != sorted(longest)
