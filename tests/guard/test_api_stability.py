"""What others build on changes only on purpose: a public signature that changes needs a line in the changelog.

Running this file writes the snapshot: `python tests/guard/test_api_stability.py`. It holds the signature of every public name, or
for a class those of its public methods and fields. The rule is in `docs/api.md`.
"""

import dataclasses
import importlib
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = Path(__file__).with_name("public_api.json")
CHANGELOG = ROOT / "CHANGELOG.md"
# `cli` has a door, `main`, and is no room to import from.
FACES = sorted(init.parent.name for init in (ROOT / "speechxfer").glob("*/__init__.py") if init.parent.name != "cli")


def described(thing: Any) -> Any:
    """Give what a caller relies on."""
    if inspect.isclass(thing):
        return members(thing)
    if inspect.isroutine(thing):
        return signature(thing)
    return type(thing).__name__ if not isinstance(thing, str | int | float) else repr(thing)


def signature(thing: Any) -> str:
    """Give parameters, defaults and annotations; functions and objects as defaults by name, since their address changes."""
    return re.sub(r"<(\w[^=]*?) at 0x[0-9a-f]+>", r"\1", str(inspect.signature(thing)))


def members(kind: type) -> dict[str, str]:
    """Give a class's own public methods, properties and fields; what it inherits from other packages is not ours to keep."""
    found = {"()": signature(kind)} if "__init__" in vars(kind) else {}
    for owner in reversed([one for one in kind.__mro__ if one.__module__.startswith("speechxfer")]):
        for name, member in vars(owner).items():
            if name.startswith("_"):
                continue
            member = inspect.unwrap(getattr(member, "__func__", member))
            if isinstance(member, property):
                found[name] = "property"
            elif inspect.isroutine(member):
                found[name] = signature(member)
    if dataclasses.is_dataclass(kind):
        found |= {field.name: f"field: {field.type}" for field in dataclasses.fields(kind)}
    return found


def public_api() -> dict[str, Any]:
    """Give all public names with what they are."""
    import speechxfer

    found = {f"speechxfer.{name}": described(getattr(speechxfer, name)) for name in speechxfer.__all__ if name != "__version__"}
    for face in FACES:
        module = importlib.import_module(f"speechxfer.{face}")
        found |= {f"speechxfer.{face}.{name}": described(getattr(module, name)) for name in module.__all__}
    return dict(sorted(found.items()))


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Give the names that are new, gone or different."""
    return [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]


def unmentioned(names: list[str], changelog: str) -> list[str]:
    """Give the names of which the unreleased part of a changelog says nothing; a word of code is a mention."""
    part = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0]
    words = {word for code in re.findall(r"`([^`]+)`", part) for word in re.findall(r"\w+", code)}
    return [name for name in names if name.rpartition(".")[2] not in words]


def test_the_public_api_is_the_one_of_the_snapshot() -> None:
    found = changed(json.loads(SNAPSHOT.read_text(encoding="utf-8")), public_api())
    missing = unmentioned(found, CHANGELOG.read_text(encoding="utf-8"))
    lines = [f"{name}: name it, in `code`, under Unreleased in CHANGELOG.md, with what callers must do" for name in missing]
    assert not found, "\n".join([f"changed: {', '.join(found)}", *lines, f"then run: python {Path(__file__).relative_to(ROOT)}"])


def test_a_changed_default_a_new_name_and_a_lost_one_are_noticed() -> None:
    before = {"speechxfer.a": "(x: int = 1)", "speechxfer.b": "()", "speechxfer.d": "()"}
    after = {"speechxfer.a": "(x: int = 2)", "speechxfer.c": "()", "speechxfer.d": "()"}
    assert changed(before, after) == ["speechxfer.a", "speechxfer.b", "speechxfer.c"]


def test_only_the_unreleased_part_of_the_changelog_counts() -> None:
    text = "## [Unreleased]\n- `a(x)` takes `2`.\n\n## [0.1.0]\n- `b` and c\n"
    assert unmentioned(["speechxfer.a", "speechxfer.b", "speechxfer.c"], text) == ["speechxfer.b", "speechxfer.c"]


def test_methods_fields_and_defaults_are_part_of_a_class() -> None:
    from speechxfer.data import Manifest, Utterance

    assert members(Utterance)["channel"] == "field: int | None"
    assert members(Manifest)["select"] == "(self, rows: 'Sequence[int]') -> 'Self'"
    assert "0x" not in SNAPSHOT.read_text(encoding="utf-8"), "an address would differ in each process"


def main() -> None:
    """Write the snapshot, once the changelog names what has changed."""
    found = public_api()
    before = json.loads(SNAPSHOT.read_text(encoding="utf-8")) if SNAPSHOT.exists() else found
    if missing := unmentioned(changed(before, found), CHANGELOG.read_text(encoding="utf-8")):
        sys.exit(f"CHANGELOG.md says nothing under Unreleased, in `code`, of {', '.join(missing)}")
    SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
