"""The order of the house: imports run downwards only, and across folders only through a folder's face.

The sources are parsed, never imported, so an import inside a function or under TYPE_CHECKING counts as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "speechxfer"

# From top to bottom. Rooms of one layer do not import each other, but for SAME_LAYER.
LAYERS = (
    ("cli",),
    ("serving", "distributed", "integrations"),
    ("calls",),
    ("adaptation", "commands"),
    ("training", "transcription"),
    ("report",),
    ("evaluation",),
    ("decoding", "features"),
    ("models", "auto"),
    ("data",),
    ("recipe", "errors", "transcript"),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
SAME_LAYER = {("recipe", "errors"), ("auto", "models")}
# Rooms that may import less than what lies below them.
ONLY = {"auto": {"models"}}
# The package's own face and its `python -m` door see every room.
EXEMPT = {"__init__.py", "__main__.py"}
MAX_LINES = 400
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "manager", "managers", "misc"}


def violations(root: Path) -> list[str]:
    """Return what breaks the order in the package below `root`, one line each."""
    package = root / PACKAGE
    found = []
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        if str(inside) in EXEMPT:
            continue
        room = inside.parts[0].removesuffix(".py")
        if room not in RANK:
            found.append(f"{inside}: {room!r} has no place in the order of the house")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        imports = [*imported(tree, inside)]
        if inside.name == "__init__.py":
            # A lazy face imports what its table names.
            table = public_names(path, ".".join([PACKAGE, *inside.parent.parts]))
            imports += [(1, module, name) for name, module in table.items()]
        for line, module, name in imports:
            problem = judge(package, room, module, name)
            if problem:
                found.append(f"{inside}:{line}: {problem}")
    return found


def imported(tree: ast.AST, inside: Path) -> Iterator[tuple[int, str, str | None]]:
    """Yield (line, absolute module, name or None) of every import from this package."""
    parents = [PACKAGE, *inside.parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                module = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [node.module])])
            else:
                module = node.module or ""
            if module.split(".")[0] == PACKAGE:
                for alias in node.names:
                    yield node.lineno, module, alias.name
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"} and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and str(target.value).split(".")[0] == PACKAGE:
                yield node.lineno, str(target.value), None


def called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def judge(package: Path, room: str, module: str, name: str | None) -> str | None:
    """Say what is wrong with `room` importing `name` from `module` (or the module itself), if anything."""
    parts = module.split(".")[1:]
    if not parts:
        if name is None:
            return f"'import {PACKAGE}' hides what is used: write 'from {PACKAGE}.ROOM import NAME'"
        public = public_names(package / "__init__.py", PACKAGE)
        if name in public:
            # Whoever takes a name from the package's face imports the room behind it.
            return judge_layer(room, public[name].split(".")[1])
        if name.startswith("__"):
            return None
        parts, name = [name], None
    target = parts[0]
    problem = judge_layer(room, target)
    if problem or target == room or not (package / target).is_dir():
        return problem
    if len(parts) > 1:
        return f"{module} lies inside {target}: import from {PACKAGE}.{target}, its face"
    if name is None:
        return f"import names from {PACKAGE}.{target}, not the folder itself"
    if name not in face_names(package / target / "__init__.py", f"{PACKAGE}.{target}"):
        return f"{name} is not in the face of {PACKAGE}.{target}"
    return None


def judge_layer(room: str, target: str) -> str | None:
    if target not in RANK:
        return f"{PACKAGE} has no room or public name {target!r}"
    if target == room or (room, target) in SAME_LAYER:
        return None
    if room in ONLY and target not in ONLY[room]:
        return f"{room} imports {target}: it may import {', '.join(sorted(ONLY[room]))} only"
    if RANK[target] > RANK[room]:
        return None
    where = "beside" if RANK[target] == RANK[room] else "above"
    return f"{room} imports {target}, which stands {where} it"


def public_names(init: Path, folder: str) -> dict[str, str]:
    """Return the `_PUBLIC` table of the face of module `folder`: name to absolute module, empty without a table."""
    table = literal(init, "_PUBLIC") or {}
    assert isinstance(table, dict), f"{init}: _PUBLIC is not a dict"
    return {
        name: module if module.startswith(f"{PACKAGE}.") else f"{folder}.{module.lstrip('.')}" for name, module in table.items()
    }


def face_names(init: Path, folder: str) -> set[str]:
    names = literal(init, "__all__") or ()
    assert isinstance(names, list | tuple), f"{init}: __all__ is not a list"
    return {*public_names(init, folder), *names}


def literal(init: Path, name: str) -> object:
    """Return the literal that a file assigns to `name` at top level; None if there is none or it is computed."""
    if not init.is_file():
        return None
    for node in ast.parse(init.read_text(encoding="utf-8"), str(init)).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if value is not None and any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                return ast.literal_eval(value)
            except ValueError:
                # `__all__ = sorted(_PUBLIC)` is fine; a computed `_PUBLIC` could hide anything.
                assert name != "_PUBLIC", f"{init}: write _PUBLIC as a literal"
                return None
    return None


def misshapen(root: Path) -> list[str]:
    """Return the files that are too long or whose name says nothing."""
    found = []
    for path in sorted([*(root / PACKAGE).rglob("*.py"), *(root / "scripts").rglob("*.py")]):
        inside = path.relative_to(root)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES:
            found.append(f"{inside}: {lines} lines, at most {MAX_LINES}")
        words = {word for part in inside.with_suffix("").parts for word in part.split("_")}
        if words & EMPTY_WORDS:
            found.append(f"{inside}: the name says nothing")
    return found


def test_imports_run_downwards() -> None:
    assert (ROOT / PACKAGE / "__init__.py").is_file()
    assert violations(ROOT) == []


def test_files_are_short_and_named() -> None:
    assert misshapen(ROOT) == []


HOUSE = {
    "__init__.py": '_PUBLIC: dict[str, str] = {"finetune": "speechxfer.training", "Manifest": ".data"}',
    "errors.py": "",
    "recipe.py": "from speechxfer.errors import Problem",
    "transcript.py": "",
    "auto.py": "from speechxfer.models import load",
    "data/__init__.py": '_PUBLIC: dict[str, str] = {"Manifest": "speechxfer.data.manifest"}',
    "data/manifest.py": "from .audio import decode\nfrom . import audio\nfrom ..errors import Problem",
    "data/audio.py": "from speechxfer import __version__",
    "models/__init__.py": '_PUBLIC = {"load": ".loading"}\n__all__ = sorted(_PUBLIC)',
    "models/loading.py": "from speechxfer import errors",
    "training/__init__.py": '__all__ = ["finetune"]',
    "training/finetune.py": "from speechxfer import Manifest\nfrom speechxfer.data import Manifest as M",
    "transcription/__init__.py": "",
    "cli/__init__.py": "def main():\n    from ..training import finetune",
}


def build(root: Path, files: dict[str, str]) -> Path:
    for name, text in (HOUSE | files).items():
        path = root / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_checker_accepts_a_house_in_order(tmp_path: Path) -> None:
    assert violations(build(tmp_path, {})) == []


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("data/x.py", "from speechxfer.training import finetune", "data imports training, which stands above it"),
        ("data/x.py", "import speechxfer.training", "data imports training, which stands above it"),
        ("data/x.py", "from ..training import finetune", "data imports training, which stands above it"),
        ("data/formats/x.py", "from ...training import finetune", "data imports training, which stands above it"),
        ("data/formats/__init__.py", "from ...training import finetune", "data imports training"),
        ("data/x.py", "from .. import training", "data imports training, which stands above it"),
        ("data/x.py", "from speechxfer import finetune", "data imports training, which stands above it"),
        ("data/x.py", "from .. import finetune", "data imports training, which stands above it"),
        ("data/x.py", "def f():\n    from speechxfer.models import load", "x.py:2: data imports models"),
        ("data/x.py", "if TYPE_CHECKING:\n    from speechxfer.models import load", "x.py:2: data imports models"),
        ("data/x.py", "import importlib\nimportlib.import_module('speechxfer.models')", "x.py:2: data imports models"),
        ("report/__init__.py", '_PUBLIC = {"load": "speechxfer.models.loading"}', "loading lies inside models"),
        ("data/__init__.py", '_PUBLIC = {"Manifest": ".manifest", "load": "speechxfer.models"}', "data imports models"),
        ("training/x.py", "import speechxfer", "hides what is used"),
        ("training/x.py", "from speechxfer.data.audio import decode", "speechxfer.data.audio lies inside data"),
        ("training/x.py", "from ..data.audio import decode", "speechxfer.data.audio lies inside data"),
        ("training/x.py", "import speechxfer.data.audio", "speechxfer.data.audio lies inside data"),
        ("training/x.py", "from speechxfer.data import audio", "audio is not in the face of speechxfer.data"),
        ("training/x.py", "from speechxfer import data", "not the folder itself"),
        ("training/x.py", "from speechxfer.transcription import x", "transcription, which stands beside it"),
        ("transcription/x.py", "from speechxfer.training import finetune", "training, which stands beside it"),
        ("serving/x.py", "from speechxfer.integrations import x", "integrations, which stands beside it"),
        ("errors.py", "from speechxfer.recipe import Recipe", "errors imports recipe, which stands beside it"),
        ("auto.py", "from speechxfer.data import Manifest", "auto imports data: it may import models only"),
        ("training/x.py", "from speechxfer import nothing", "no room or public name 'nothing'"),
        ("tools.py", "", "'tools' has no place in the order"),
    ],
)
def test_checker_catches(tmp_path: Path, file: str, source: str, expected: str) -> None:
    found = violations(build(tmp_path, {file: source}))
    assert len(found) == 1
    assert expected in found[0]


def test_checker_catches_long_and_nameless_files(tmp_path: Path) -> None:
    build(tmp_path, {"data/audio.py": "x = 1\n" * 401, "data/audio_utils.py": "", "models/misc/__init__.py": ""})
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "helpers.py").touch()
    assert misshapen(tmp_path) == [
        "scripts/helpers.py: the name says nothing",
        "speechxfer/data/audio.py: 401 lines, at most 400",
        "speechxfer/data/audio_utils.py: the name says nothing",
        "speechxfer/models/misc/__init__.py: the name says nothing",
    ]
