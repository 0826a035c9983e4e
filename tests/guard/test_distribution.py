"""What is handed out: a wheel that holds what it needs and asks for no extra, built the same twice; types for others."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OF_EXTRAS = ("ctranslate2", "datasets", "fastapi", "flashlight", "lhotse", "num2words", "onnx", "ray", "s3fs", "uvicorn")
IMPORT_ALL_THAT_IS_PUBLIC = f"""
import sys, speechxfer
for name in {{*speechxfer.__all__}} - {{"ProofCallback"}}:  # whose base class is the Trainer's, which imports peft itself
    getattr(speechxfer, name)
print("loaded:", *sorted({{*{(*OF_EXTRAS, "peft")!r}}} & {{name.split(".")[0] for name in sys.modules}}))
"""
CONSUMER = """
from pathlib import Path

import speechxfer
from speechxfer.data import Manifest
from speechxfer.transcript import Transcript

manifest: Manifest = speechxfer.read_manifest("manifest.csv")
heard: Transcript = speechxfer.Transcriber("model").transcribe("call.wav")
first: str | None = manifest[0].text
wrong: int = speechxfer.evaluate("model", manifest).answers
reveal_type(speechxfer.finetune)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build from two copies of the sources whose files have other times."""
    made = []
    for number in range(2):
        copy = tmp_path_factory.mktemp(f"sources{number}")
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        shutil.copytree(ROOT / "speechxfer", copy / "speechxfer", ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/build_release.py", copy / "scripts")
        for path in copy.rglob("*.*"):
            if path.is_file():
                os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number))
        out = copy / "dist"
        command = [sys.executable, "scripts/build_release.py", "--out", "dist", "--no-isolation"]
        done = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        )
        assert done.returncode == 0, done.stdout + done.stderr
        made.append(out)
    return made


def test_both_are_the_same_to_the_byte(built) -> None:
    first, second = ({path.name: path.read_bytes() for path in out.iterdir()} for out in built)
    assert len(first) == 2 and first == second


def test_the_wheel_holds_what_the_sources_do(built) -> None:
    with zipfile.ZipFile(next(built[0].glob("*.whl"))) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("speechxfer/")}
        needed = HeaderParser().parsestr(wheel.read(next(n for n in wheel.namelist() if n.endswith("/METADATA"))).decode())
    package = ROOT / "speechxfer"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert held == {str(path.relative_to(ROOT)) for path in files}
    assert {"speechxfer/py.typed", "speechxfer/assets/tiny/model.safetensors", "speechxfer/serving/page/page.html"} <= held
    always = {re.match(r"[\w-]+", one)[0] for one in needed.get_all("Requires-Dist") if "extra ==" not in one}
    assert not always & {"fastapi", "uvicorn", "ray", "datasets", "lhotse", "ctranslate2", "onnx", "s3fs", "pytest"}
    assert {"torch", "transformers", "jiwer"} <= always


def test_what_is_public_loads_without_any_extra() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL_THAT_IS_PUBLIC], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_a_strict_consumer_sees_our_types(tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    # Ours is followed, what it stands on is not, which would take minutes.
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\nfollow_imports = skip\n[mypy-speechxfer.*]\nfollow_imports = silent\n"
    )
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "consumer.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(ROOT)})
    found = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(found) == 1 and 'type "list[str]", variable has type "int"' in found[0], done.stdout + done.stderr
    assert 'Revealed type is "def (recipe: speechxfer.recipe.sections.Recipe' in done.stdout


def test_a_citation_names_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version and citation["license"] == "Apache-2.0" and citation["authors"]
