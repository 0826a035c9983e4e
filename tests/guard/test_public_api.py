"""The faces: what they list is what they give, and the public functions say what goes in and out."""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "speechxfer"

# The public API and each folder's face. `cli` has a door, `main`, and is no room to import from.
FACES = [
    "speechxfer",
    *(f"speechxfer.{init.parent.name}" for init in sorted(PACKAGE.glob("*/__init__.py")) if init.parent.name != "cli"),
]


def section(title: str) -> str:
    return f"{title}\n{'-' * len(title)}\n"


def lacking(name: str, thing: object) -> list[str]:
    """Return what the docstring of a public class or function lacks."""
    if not inspect.isclass(thing) and not inspect.isroutine(thing):
        return []
    # A class must have its own: an inherited docstring speaks of something else, and a dataclass's is its signature.
    own = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    if not own or own.startswith(f"{name}("):
        return ["a docstring"]
    if inspect.isclass(thing):
        return []
    text = inspect.cleandoc(own) + "\n"
    signature = inspect.signature(thing)
    missing = []
    if signature.parameters and section("Parameters") not in text:
        missing.append("Parameters")
    gives = signature.return_annotation not in (None, "None", inspect.Signature.empty)
    if gives and section("Returns") not in text and section("Yields") not in text:
        missing.append("Returns")
    return missing


def load(face: str) -> tuple[ModuleType, dict[str, str]]:
    module = importlib.import_module(face)
    return module, module._PUBLIC


@pytest.mark.parametrize("face", FACES)
def test_face_lists_what_it_gives(face: str) -> None:
    module, public = load(face)
    extra = ["__version__"] if face == "speechxfer" else []
    assert sorted(module.__all__) == sorted([*public, *extra])
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert missing == []


@pytest.mark.parametrize("face", FACES)
def test_face_knows_no_other_name(face: str) -> None:
    module, _ = load(face)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


def test_public_names_are_documented() -> None:
    module, public = load("speechxfer")
    found = {name: lacking(name, getattr(module, name)) for name in public}
    assert {name: missing for name, missing in found.items() if missing} == {}
