"""What is said about a curve: why nothing can be promised, where that is so; and a picture of whatever there is."""

import pytest

from speechxfer.report import describe_learning_curve, plot_learning_curve

POINTS = [
    {"share": 10, "utterances": 10, "minutes": 1.0, "dev": 0.4, "test": 0.4},
    {"share": 100, "utterances": 100, "minutes": 10.0, "dev": 0.2, "test": 0.2},
]
TWICE = {"minutes": 20.0, "test": 0.16, "test_interval": (0.12, 0.21)}


def curve(points=POINTS, twice=TWICE, test_speakers=8):
    return {"measure": "wer", "test_speakers": test_speakers, "points": points, "twice": twice}


def test_what_twice_the_data_would_give():
    said = describe_learning_curve(curve())
    assert said == "twice the data (20 minutes) would give about 16.0 % (12.0 - 21.0) instead of 20.0 % word error rate"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (curve(points=POINTS[1:], twice=None), "one share alone"),
        (curve(twice=None, test_speakers=1), "one test speaker"),
        (curve(points=[POINTS[0], POINTS[1] | {"test": 0.0}]), "nothing is wrong"),
        (curve(twice=None), "does not clearly fall"),
    ],
)
def test_why_nothing_is_promised(given, reason):
    assert reason in describe_learning_curve(given)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("given", [curve(), curve(twice=None), curve(points=[POINTS[0], POINTS[1] | {"test": 0.0}], twice=None)])
def test_every_curve_can_be_drawn(given, tmp_path):
    plot_learning_curve(given, tmp_path / "curve.svg")
    assert "minutes of training audio" in (tmp_path / "curve.svg").read_text()
