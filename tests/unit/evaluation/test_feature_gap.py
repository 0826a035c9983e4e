"""Distances of known Gaussians, of sets that part and of sets that do not, each beside its yardstick."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from speechxfer.evaluation import compare_features, frechet_distance, proxy_a_distance

WIDTH = 6


def gaussian(mean, covariance, size=200, seed=0):
    """Give vectors whose mean and covariance are exactly these."""
    sample = np.random.default_rng(seed).normal(size=(size, len(mean)))
    sample -= sample.mean(axis=0)
    return sample @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(sample.T)))).T @ np.linalg.cholesky(covariance).T + mean


def voices(speakers, each=10, width=WIDTH, shift=0.0, seed=0, name="s"):
    """Give vectors of speakers who differ much more from each other than their utterances do."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.normal(0, 1, (speakers, width)), each, axis=0)
    vectors = centres + random.normal(0, 0.1, centres.shape)
    vectors[:, 0] += shift
    return vectors, [f"{name}{number:02}" for number in range(speakers) for _ in range(each)]


def names(blocks, prefix):
    return [f"{prefix}{number}" for number in range(len(blocks))]


def compare(first, second):
    return compare_features((first[0], second[0]), (first[1], second[1]), (names(first[1], "a"), names(second[1], "b")))


def test_frechet_distance_of_one_dimension_is_that_of_means_and_deviations():
    first, second = gaussian([1.0], np.array([[4.0]])), gaussian([4.0], np.array([[25.0]]), seed=1)
    assert frechet_distance(first, second) == pytest.approx(3**2 + (5 - 2) ** 2)


def test_frechet_distance_is_the_closed_form_for_covariances_that_do_not_commute():
    random = np.random.default_rng(2)
    means = random.normal(size=(2, WIDTH))
    roots = random.normal(size=(2, WIDTH, WIDTH))
    first, second = (root @ root.T + np.eye(WIDTH) for root in roots)
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(first + second - 2 * sqrtm(first @ second).real)
    found = frechet_distance(gaussian(means[0], first), gaussian(means[1], second, 150, seed=3))
    assert found == pytest.approx(expected)


def test_equal_sets_are_not_apart_in_whatever_order_and_few_dimensions_hold_the_largest_part():
    first, second = voices(20)[0], voices(20, shift=3, seed=1)[0]
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    shuffled = np.random.default_rng(0).permutation(first)
    whole = frechet_distance(first, second)
    assert frechet_distance(shuffled, second) == pytest.approx(whole) and whole == pytest.approx(9, rel=0.5)
    # Of one dimension, that of the shift, there remains what lies in it.
    assert 6 < frechet_distance(first, second, 1) < whole


def test_a_distance_is_2_for_sets_that_part_and_near_0_for_speakers_of_one_kind():
    first, blocks = voices(40)
    second, others = voices(40, seed=1, name="t")
    assert proxy_a_distance(first + 9, second, blocks, others) == 2
    # Voices are easy to tell apart and say nothing of the set: the same, with utterances as blocks, sees them again in each fold.
    wide, wide_others = voices(40, width=60), voices(40, width=60, seed=1)
    grouped = proxy_a_distance(wide[0], wide_others[0], blocks, others)
    assert grouped < 0.4 < 1.5 < proxy_a_distance(wide[0], wide_others[0], names(blocks, "a"), names(others, "b"))


def test_a_distance_counts_both_sets_the_same():
    random = np.random.default_rng(0)
    many, few = random.normal(0, 0.1, (400, WIDTH)), random.normal(0, 0.1, (40, WIDTH))
    few[::2, 0] += 9
    # Half of the rare set cannot be told from the frequent one: a quarter is wrong on average, though few of all utterances are.
    assert proxy_a_distance(many, few, names(many, "a"), names(few, "b")) == pytest.approx(1, abs=0.1)


def test_a_speaker_of_both_sets_is_held_out_of_both():
    first, blocks = voices(40, width=60)
    beside = [f"t{(int(name[1:]) + 1) % 40:02}" for name in blocks]  # another name, in another fold
    # Who has learned where a voice lies in the one set knows that its opposite is of the other.
    assert proxy_a_distance(first, -first, blocks, blocks) < 0.4 < 1.5 < proxy_a_distance(first, -first, blocks, beside)


def test_every_fold_has_speakers_of_both_sets():
    first, blocks = voices(10)
    few = [name in ("s00", "s02") for name in blocks]
    assert proxy_a_distance(first, first[few] + 9, blocks, ["s00"] * 10 + ["s02"] * 10) == 2


def test_sets_of_one_kind_are_as_far_apart_as_halves_and_a_shift_shows():
    alike = compare(voices(40), voices(30, seed=1, name="t"))
    assert (alike.over, alike.halved, alike.size) == ("speaker", 0, 200)
    assert not alike.frechet.exceeds_halves and not alike.a_distance.exceeds_halves
    assert alike.frechet.halves > 0.01  # other people differ too, and that is the yardstick
    apart = compare(voices(30), voices(40, shift=5, seed=1, name="t"))
    assert apart.halved == 1 and apart.frechet.exceeds_halves and apart.a_distance.between > 1.9
    assert apart.frechet.between > 5 * apart.frechet.halves


def test_large_features_do_not_drown_the_others():
    first, second = voices(40), voices(40, shift=5, seed=1, name="t")
    scales = np.array([1, 1, 1, 1, 1, 1000.0])
    scaled = compare((first[0] * scales, first[1]), (second[0] * scales, second[1]))
    assert scaled.frechet.between == pytest.approx(compare(first, second).frechet.between)


@pytest.mark.parametrize("speakers", [(3, 2), (8, 1), (8, 0)])
def test_without_enough_speakers_utterances_are_parted_and_it_is_said(speakers):
    first, second = (voices(max(count, 1), each=24, seed=count, name=f"{count}s") for count in speakers)
    if not speakers[1]:
        second = (second[0], [""] * len(second[1]))
    gap = compare(first, second)
    assert gap.over == "utterance" and gap.size >= 12
    # Halves share their voices, so nothing parts them; the sets do not share them.
    assert gap.a_distance.halves < 0.5 and gap.frechet.exceeds_halves


def test_one_set_may_be_part_of_the_other():
    first = voices(12)
    gap = compare(first, (first[0][:30], first[1][:30]))
    assert np.isfinite([gap.frechet.between, gap.a_distance.between]).all()
