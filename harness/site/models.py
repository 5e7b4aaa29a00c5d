# SPDX-License-Identifier: GPL-2.0-only
"""Reference text made from the pydantic models: what keys a file has, and its JSON schema."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from mmrace.ci.ciplan import Job
from mmrace.definitions.base import Base
from mmrace.definitions.machine import Machine
from mmrace.definitions.race import Race
from mmrace.definitions.witness import Witness
from mmrace.runs.record import Spec

DOCUMENTED: dict[str, type[BaseModel]] = {
    "race": Race,
    "machine": Machine,
    "witness": Witness,
    "ci": Job,
    "base": Base,
    "spec": Spec,
}
FILES = {
    "race": "`race.toml` of a race directory",
    "machine": "`qemu/machines/NAME.toml`",
    "witness": "a witness, written by `mmrace hunt` and read by `mmrace replay`",
    "ci": "the job file of `mmrace ci`",
    "base": "`patches/BASE/BASE.toml`",
    "spec": "`spec.json` of a run directory",
}
_LIMITS = {
    "pattern": "matches `{}`",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "not empty",
    "maxLength": "at most {} characters",
    "minItems": "not empty",
}


def find(name: str) -> type[BaseModel]:
    """Return the model that ``MODULE:CLASS`` names."""
    module, _, member = name.partition(":")
    model: type[BaseModel] = getattr(importlib.import_module(module), member)
    return model


def schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema (2020-12) of the file that a model reads."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"mmrace {name}"}
    return {**model.model_json_schema(), **head}


def listing() -> str:
    """Return the list of all schemas, with links."""
    return "\n".join(
        f"| [`{name}.json`](schemas/{name}.json) | {FILES[name]} |" for name in DOCUMENTED
    )


def tables(model: type[BaseModel]) -> str:
    """Return one section for the model and for each table in it: what it is, its keys."""
    whole = model.model_json_schema()
    parts = ["".join(_section(whole, whole, ""))]
    for key, name in _tables_of(whole, whole):
        parts.append("".join(_section(whole, whole["$defs"][name], key)))
    return "\n".join(parts)


def _tables_of(whole: dict[str, Any], part: dict[str, Any], before: str = "") -> Iterator[Any]:
    """TOML names and definitions of the tables below one, depth first."""
    for key, field in part.get("properties", {}).items():
        name, many = _reference(field)
        if name and whole["$defs"][name].get("properties"):
            path = f"{before}{key}"
            yield (f"[[{path}]]" if many == "array" else f"[{path}]"), name
            yield from _tables_of(whole, whole["$defs"][name], f"{path}.")


def _reference(field: dict[str, Any]) -> tuple[str, str]:
    """Name of the definition that a field holds, and in which container."""
    for container, inner in (
        ("", field),
        ("array", field.get("items", {})),
        ("table", field.get("additionalProperties", {})),
        *(("", item) for item in field.get("anyOf", ())),
    ):
        if isinstance(inner, dict) and "$ref" in inner:
            return inner["$ref"].rpartition("/")[2], container
    return "", ""


def _section(whole: dict[str, Any], part: dict[str, Any], key: str) -> Iterator[str]:
    if key:
        yield f"## `{key}`\n\n"
    yield f"{inspect.cleandoc(part.get('description', '')).replace('``', '`')}\n\n"
    yield "| key | value | meaning |\n|---|---|---|\n"
    required = part.get("required", ())
    for name, field in part["properties"].items():
        kind, _ = _reference(field)
        if kind and whole["$defs"][kind].get("properties"):
            continue  # a table of its own
        default = "**required**" if name in required else _default(field.get("default"))
        value = "; ".join(filter(None, [_kind(whole, field), default]))
        yield f"| `{name}` | {value} | {_cell(field.get('description', ''))} |\n"


def _kind(whole: dict[str, Any], field: dict[str, Any]) -> str:
    name, container = _reference(field)
    if name:
        words = " or ".join(f"`{value}`" for value in whole["$defs"][name].get("enum", ()))
        return f"list of {words}" if container == "array" else words
    if options := field.get("anyOf"):
        return _kind(whole, options[0])
    kind = field.get("type", "text")
    if kind == "array":
        inner = field.get("items", {})
        text = f"list of {_kind(whole, inner)}" if inner else "list"
    elif kind == "object":
        text = f"table of {_kind(whole, field.get('additionalProperties', {}))}"
    else:
        text = {"string": "text", "boolean": "true or false"}.get(kind, kind)
    limits = [say.format(field[key]) for key, say in _LIMITS.items() if key in field]
    return ", ".join([text, *limits]) if kind not in ("array",) else text


def _default(value: object) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    words = value if isinstance(value, list) else [value]
    return "default " + ", ".join(f"`{word}`" for word in words)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("``", "`").replace("|", "\\|")
