"""The page of all keys of a recipe, from the schema that reads recipes: name, type, unit, default and meaning of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import griffe
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from speechxfer.recipe import Recipe

_HEADER = "| key | type | unit | default | meaning |\n|---|---|---|---|---|"
_INTRODUCTION = """# Keys of a recipe

A recipe is a YAML file such as those in `configs/`; on the command line `section.key=value` sets a key; the last one given wins.
An unknown key is an error that names the nearest one. Where no default is given, the key is not set.
"""


def recipe_page() -> str:
    """Give the page: a heading and a table for each section."""
    schema = Recipe.model_json_schema()
    sections = {"Recipe": schema, **schema["$defs"]}
    base: Any = Recipe.__mro__[1]
    models = {model.__name__: model for model in base.__subclasses__()}
    return "\n".join([_INTRODUCTION, *_section("Recipe", "", sections, models)])


def _section(name: str, prefix: str, sections: Mapping[str, Any], models: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    summary, meanings = _documented(models[name])
    inner = []
    yield f"## {prefix.rstrip('.') or 'The recipe itself'}\n\n{summary}\n\n{_HEADER}"
    for key, schema in sections[name]["properties"].items():
        within = f"{prefix}{key}[]." if schema.get("type") == "array" else f"{prefix}{key}."
        inner += [(one, within) for one in _sections_in(schema)]
        meaning = meanings[key] if key in meanings else _documented(models[inner[-1][0]])[0]
        cells = (f"`{prefix}{key}`", _type_of(schema), _unit_of(schema), _default_of(models[name].model_fields[key]), meaning)
        yield f"| {' | '.join(cells)} |"
    yield ""
    for one, within in inner:
        yield from _section(one, within, sections, models)


def _documented(model: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """Give what a section's docstring says of it, and of each key; keys may share a meaning, and a section within has its own."""
    summary = ""
    meanings: dict[str, str] = {}
    for part in griffe.Docstring(model.__doc__ or "").parse("numpy"):
        if part.kind is griffe.DocstringSectionKind.text:
            summary = part.value
        elif part.kind is griffe.DocstringSectionKind.attributes:
            meanings |= {name: " ".join(one.description.split()) for one in part.value for name in one.name.split(", ")}
    return summary, meanings


def _sections_in(schema: Mapping[str, Any]) -> list[str]:
    """Give the names of the sections that a key holds."""
    inside = [schema.get("items", {}), *schema.get("anyOf", [])]
    return [one["$ref"].rpartition("/")[2] for one in (schema, *inside) if "$ref" in one]


def _type_of(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return "section"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type_of(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind: Any = schema.get("type")
    if kind == "array":
        parts = schema.get("prefixItems")
        return f"[{', '.join(map(_type_of, parts))}]" if parts else f"list of {_type_of(schema['items'])}"
    if kind == "object":
        return f"by name: {_type_of(schema['additionalProperties'])}"
    return {"string": "text", "boolean": "`true`, `false`", "integer": "whole number", "number": "number"}[kind] + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ",".join(f" {sign} {schema[name]}" for name, sign in signs.items() if name in schema)


def _unit_of(schema: Any) -> str:
    """Give the unit that stands in a key's schema, or in what it is a list of."""
    if isinstance(schema, Mapping):
        return schema.get("unit") or next(filter(None, map(_unit_of, schema.values())), "")
    return next(filter(None, map(_unit_of, schema)), "") if isinstance(schema, list) else ""


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    default = field.get_default(call_default_factory=True)
    return "" if default is None or isinstance(default, BaseModel) else f"`{json.dumps(default)}`"
