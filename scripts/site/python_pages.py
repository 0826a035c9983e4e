"""A page for each room of the package, whose public names are documented by their docstrings."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import speechxfer

_ROOMS = sorted(init.parent.name for init in Path(speechxfer.__file__).parent.glob("*/__init__.py") if init.parent.name != "cli")


def python_pages() -> Mapping[str, str]:
    """Give the text of each page by its place in the documentation."""
    faces = ["speechxfer", *(f"speechxfer.{room}" for room in _ROOMS)]
    return {f"reference/python/{face}.md": _page(face) for face in faces}


def _page(face: str) -> str:
    module = importlib.import_module(face)
    names = [name for name in module.__all__ if not name.startswith("__")]
    entries = [f"::: {face}.{name}\n" for name in sorted(names, key=str.lower)]
    return "\n".join([f"# {face}\n", f"{module.__doc__}\n", *entries])
