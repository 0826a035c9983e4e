"""A family from another package: installed, fine-tuned by the ordinary verb, and loaded again, here and in transformers."""

import importlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from speechxfer.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/plugin_family"

USED = """
import sys
import plain_family, torch, transformers
from transformers import AutoModelForCTC
import speechxfer.auto
from speechxfer.cli import main
from speechxfer.models import Features, SplitModel, collate, load_model, set_trainable

torch.manual_seed(0)
plain_family.PlainModel(plain_family.PlainConfig()).save_pretrained("pretrained")
transformers.Wav2Vec2FeatureExtractor().save_pretrained("pretrained")
try:
    main()
except SystemExit as ended:
    assert not ended.code
made = load_model("run")
assert made.family.name == "plain" and not made.is_native
inputs = [Features(clip, len(clip)) for clip in map(made.frontend, torch.randn(2, 9000).numpy())]
inputs.append(Features(inputs[0].frames[:5000], 5000))
elsewhere = AutoModelForCTC.from_pretrained("run/model").eval()
for train in ("head", "top:1", "encoder", "all"):
    set_trainable(made.model, made.family, train)
    split = SplitModel(made.model, made.family).eval()
    with torch.no_grad():
        together = split(collate(split.prefix(collate(inputs))))
        for clip, logits in zip(inputs, together):
            alone = elsewhere(input_values=clip.frames[None]).logits[0]
            torch.testing.assert_close(logits[: len(alone)], alone, atol=1e-5, rtol=1e-4)
"""


def install(example: Path, site: Path, copy: Path) -> None:
    """Install from a copy, so that what a build leaves behind stays out of the checkout."""
    shutil.copytree(example, copy, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", str(site), str(copy)], check=True)


def test_a_family_of_another_package_goes_down_the_whole_road(tones, tmp_path):
    assert len((EXAMPLE / "plain_family.py").read_text().splitlines()) <= 60
    install(EXAMPLE, tmp_path / "site", tmp_path / "copy")
    sets = ", ".join(f"{name}: '{tones}[split={name}]'" for name in ("train", "dev", "test"))
    (tmp_path / "recipe.yaml").write_text(
        f"task: ctc\nmodel: {{path: pretrained, train: 'lora:2'}}\ndata: {{{sets}}}\n"
        "training: {epochs: 1}\nreport: {audio: false}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", USED, "finetune", "recipe.yaml", "--out", "run", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("value", "message"), [("nowhere:FAMILY", "cannot be imported: .*mend or uninstall"), ("json:dumps", "is function, expected")]
)
def test_an_entry_point_that_is_no_family_is_named(monkeypatch, value, message):
    module = importlib.import_module("speechxfer.models.families")
    monkeypatch.setattr(module, "entry_points", lambda group: [EntryPoint("gone", value, group)])
    with pytest.raises(ModelError, match=message):
        module.known_families.__wrapped__()
