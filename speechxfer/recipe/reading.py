"""YAML and `section.key=value` overrides in, one strict typed `Recipe` out.

All scalars are read as text and the declared types decide what they mean, so that `1e-4` is a number and the language
code `no` is not False. Every problem is reported at once, with the nearest valid key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from speechxfer.errors import RecipeError
from speechxfer.recipe.sections import Recipe
from speechxfer.recipe.values import NOT_GIVEN

_LIST_OF_SELECTIONS = re.compile(r"\s*\[([^\[\]]*\[[^\[\]]*\])+[^\[\]]*\]\s*")


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply overrides.

    Parameters
    ----------
    path
        YAML file with the sections of `Recipe`.
    overrides
        `section.key=value` each; the last one given wins.

    Returns
    -------
    Recipe
        The checked recipe; relative data paths in it are taken as given (relative to the working directory).

    Raises
    ------
    RecipeError
        Listing every unknown key (with the nearest valid one), missing key and value of the wrong type.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        tree = yaml.load(text, Loader=yaml.BaseLoader)
        written = yaml.compose(text, Loader=yaml.BaseLoader)
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{path}: expected sections such as `model:` and `data:`, found {type(tree).__name__}")
    problems = [problem for override in overrides if (problem := _apply(tree, override))]
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        overridden = {override.partition("=")[0] for override in overrides}
        problems += [_explain(detail) + _place(detail["loc"], written, overridden) for detail in error.errors()]
    if problems:
        raise RecipeError(f"{path}: {len(problems)} problem(s) in the recipe:\n" + "\n".join(problems))
    return recipe


def _apply(tree: dict[str, Any], override: str) -> str | None:
    """Set one `section.key=value` in the tree; give the problem if it cannot be done.

    A value in brackets, braces or quotes is YAML, as long as it is well-formed; all else, such as a path with ` #`, is text.
    """
    name, equals, text = override.partition("=")
    if not equals or not name:
        return f"  {override}: expected section.key=value"
    try:
        value = yaml.load(text, Loader=yaml.BaseLoader) if text.lstrip().startswith(tuple("[{'\"")) else text
    except (yaml.YAMLError, RecursionError):
        if _LIST_OF_SELECTIONS.fullmatch(text):
            return f'  {override}: in a list, a selection stands in quotes: ["calls.csv[split=dev]", "more.csv"]'
        value = text
    *sections, key = name.split(".")
    place: Any = tree
    for section in sections:
        if place.get(section) in NOT_GIVEN:
            place[section] = {}
        place = place[section]
        if not isinstance(place, dict):
            return f"  {override}: `{section}` is a value, not a section"
    place[key] = value
    return None


def _explain(detail: Any) -> str:
    """Turn one pydantic error into a line a user can act on."""
    location = [part for part in detail["loc"] if part != "bool" and not str(part).startswith("function-before[")]
    name = ".".join(map(str, location))
    if detail["type"] == "extra_forbidden":
        known = sorted(_keys_beside(location))
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        parent = ".".join(map(str, location[:-1]))
        hint = f"did you mean `{f'{parent}.' if parent else ''}{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"  {name}: unknown key; {hint}"
    if detail["type"] == "missing":
        return f"  {name}: missing; give it in the file or as {name}=..."
    if "learning_curve" in location:
        return f"  {name}: found {detail['input']!r}, expected whole per cents from 1 to 100, such as 10,30,100"
    if detail["type"] == "string_pattern_mismatch" and name == "model.symbols":
        return f"  {name}: found {detail['input']!r}, expected characters or bpe:N, such as bpe:500"
    if detail["type"] == "string_pattern_mismatch":
        return f"  {name}: found {detail['input']!r}, expected head, decoder, top:N, encoder, adapter, lora:R or all"
    return f"  {name}: found {detail['input']!r}: {detail['msg']}"


def _place(location: Sequence[Any], node: yaml.Node | None, overridden: Iterable[str]) -> str:
    """Give the line of the file on which a value stands, or its section; nothing for what came with an override."""
    line: int | None = None
    for depth, part in enumerate(location, start=1):
        if ".".join(map(str, location[:depth])) in overridden:
            return ""
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            named = node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            named, node = next(((key, value) for key, value in node.value if key.value == part), (None, None))
        else:
            break
        line = named.start_mark.line + 1 if named else line
    return f" (line {line})" if line else ""


def _keys_beside(location: Iterable[Any]) -> set[str]:
    """Give the valid keys at the level where `location`'s last part stands."""
    section: type[BaseModel] = Recipe
    for part in list(location)[:-1]:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_in(section.model_fields[part].annotation) or section
    return set(section.model_fields)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """Find the section class inside an annotation such as `list[StageSection]` or `NoiseSection | None`."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for arg in get_args(annotation) if (found := _section_in(arg))), None)
