"""The page in a real browser, on a desk and on a phone: nothing sticks out, and there is something to see."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from speechxfer.data import parse_manifest
from speechxfer.evaluation import RowErrors, compare
from speechxfer.report import make_report, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Widths come out in the title, where `--dump-dom` shows them.
MEASURE = "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("page")
    soundfile.write(directory / "a.wav", np.random.default_rng(0).normal(0, 0.1, 8_000), 16_000)
    lines = [f"an_utterance_with_a_long_name_{number},a.wav,s{number},{'fm'[number % 2]}" for number in range(12)]
    (directory / "data.csv").write_text("id,audio,speaker,gender\n" + "\n".join(lines) + "\n")
    said = ["the quick brown fox jumps over the lazy dog and then it sleeps for a very long time"] * 12
    heard = ["a quick brown box jumps over lazy dog and then then it sleeps for a fairly long time"] * 12
    speakers = [f"s{number}" for number in range(12)]
    after, before = (
        RowErrors([errors] * 12, [17] * 12, speakers, "speaker", "wer", said, heard, {"gender": {"f": [0, 2], "m": [1, 3]}})
        for errors in (4, 9)
    )
    group = {"utterances": 6, "wer": 0.2, "wer_interval": (0.1, 0.3)}
    scores = {"utterances": 12, "wer": 0.24, "wer_interval": (0.2, 0.3), "groups": {"gender": {"f": group, "m": group}}}
    report = make_report(
        "ctc",
        "runs/a-name-of-some-length/model",
        {"dev": scores, "test": scores},
        proof={"test": compare(before, after).to_dict()},
    )
    write_page(directory / "report.html", report, after, parse_manifest(directory / "data.csv"), audio=True)
    return directory / "report.html"


def chromium(*arguments):
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    return subprocess.run([CHROMIUM, *options, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.parametrize("width", [1280, 500])  # Chromium makes no narrower window
def test_nothing_sticks_out(page, tmp_path, width):
    measured = tmp_path / "measured.html"
    measured.write_text(page.read_text(encoding="utf-8").replace("</html>", f"{MEASURE}</html>"), encoding="utf-8")
    dom = chromium(f"--window-size={width},1200", "--dump-dom", measured.as_uri()).stdout
    needed, given = map(int, dom.split("<title>")[1].split("</title>")[0].split())
    assert needed <= given


@pytest.mark.parametrize("width", [1280, 500])
def test_there_is_something_to_see(page, tmp_path, width):
    picture = tmp_path / "page.png"
    chromium(f"--window-size={width},1600", f"--screenshot={picture}", page.as_uri())
    from matplotlib.image import imread

    pixels = imread(picture)[..., :3]
    ink = (pixels.mean(axis=-1) < 0.5).mean()
    assert 0.002 < ink < 0.5
