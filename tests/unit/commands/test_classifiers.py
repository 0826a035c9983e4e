"""Linear classifiers: against the formulas they stand for, and against a library's."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from speechxfer.commands.classifiers import averaged, fit_probe, fit_prototypes


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    commands = np.repeat(np.arange(5), 12)
    return random.normal(size=(5, 30))[commands] * 3 + random.normal(size=(60, 30)) + 7, commands


def test_prototypes_are_the_gaussian_posterior(data):
    rows, commands = data
    found = fit_prototypes(rows, commands, 0.3)
    scaled = (rows - found.mean) / found.scale
    centres = np.stack([scaled[commands == command].mean(axis=0) for command in range(5)])
    within = scaled - centres[commands]
    covariance = 0.7 * within.T @ within / 60 + 0.3 * (within**2).mean() * np.eye(30)
    distances = [((scaled - centre) @ np.linalg.inv(covariance) * (scaled - centre)).sum(axis=1) for centre in centres]
    expected = log_softmax(-0.5 * np.stack(distances, axis=1), axis=1)
    assert np.allclose(log_softmax(found.scores(rows), axis=1), expected, atol=1e-9)


def test_one_example_of_each_still_has_prototypes():
    rows = np.eye(4)[:3]
    found = fit_prototypes(rows, np.arange(3), 0.5)
    assert found.scores(rows).argmax(axis=1).tolist() == [0, 1, 2]


def test_probe_is_logistic_regression(data):
    rows, commands = data
    found = fit_probe(rows, commands, 0.2)
    peer = LogisticRegression(C=1 / (0.2 * len(rows)), tol=1e-8, max_iter=1000).fit((rows - found.mean) / found.scale, commands)
    mine = np.exp(log_softmax(found.scores(rows), axis=1))
    assert np.abs(peer.predict_proba((rows - found.mean) / found.scale) - mine).max() < 1e-3


def test_a_command_with_more_examples_is_no_likelier():
    random = np.random.default_rng(1)
    rows, commands = random.normal(size=(110, 3)), np.repeat([0, 1], [100, 10])
    found = fit_probe(rows, commands, 10.0)
    assert np.abs(np.exp(log_softmax(found.scores(rows), axis=1)) - 0.5).max() < 0.1


def test_the_average_is_that_of_the_parts_scores(data):
    rows, commands = data
    parts = [rows[:, :10], rows[:, 10:]]
    fitted = [fit_prototypes(parts[0], commands, 0.5), fit_probe(parts[1], commands, 0.01)]
    spreads = [one.scores(part).std() for one, part in zip(fitted, parts, strict=True)]
    expected = np.mean([one.scores(part) / spread for one, part, spread in zip(fitted, parts, spreads, strict=True)], axis=0)
    assert averaged(fitted, parts).scores(rows) == pytest.approx(expected * np.mean(spreads), rel=1e-4)
