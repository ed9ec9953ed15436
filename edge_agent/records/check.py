"""Holding a value against one of our own schemas, on the box and without a library.

It knows the words that `schemas` uses and no others. Tests hold it against a full implementation. Floats are
refused even where they are whole: no record holds any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge_agent.records.bodies import Body
from edge_agent.records.schemas import body_definitions, body_schema
from edge_agent.records.shape import Schema

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list, tuple),
    "object": (dict,),
}

# Schema and definitions of each type of body that was checked: to generate them takes milliseconds.
_known: Final[dict[type[Body], tuple[Schema, Mapping[str, Schema]]]] = {}


def body_problems(kind: type[Body], data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a body, each with its place; empty where it is good."""
    if kind not in _known:
        _known[kind] = body_schema(kind), body_definitions(kind)
    schema, definitions = _known[kind]
    return list(_problems(dict(data), schema, definitions, "$"))


def _problems(value: Any, schema: Schema, definitions: Mapping[str, Schema], place: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _problems(value, definitions[schema["$ref"].rpartition("/")[2]], definitions, place)
    wanted = schema.get("type", ())
    kinds = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if kinds and not any(type(value) in _KINDS[kind] for kind in kinds):
        yield f"{place}: must be {' or '.join(kinds)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: must be one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema and value != schema["const"]:
        yield f"{place}: must be {schema['const']}"
    if "not" in schema and not list(_problems(value, schema["not"], definitions, place)):
        yield f"{place}: must not be {'null' if value is None else 'this'}"
    if "anyOf" in schema and all(list(_problems(value, each, definitions, place)) for each in schema["anyOf"]):
        yield f"{place}: is not what a record may hold"
    match value:
        case str():
            yield from _text_problems(value, schema, place)
        case int() if not isinstance(value, bool):
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                yield f"{place}: must be {schema.get('minimum')} to {schema.get('maximum')}"
        case dict():
            yield from _object_problems(value, schema, definitions, place)
        case list() | tuple() if "items" in schema:
            for position, item in enumerate(value):
                yield from _problems(item, schema["items"], definitions, f"{place}[{position}]")
            if schema.get("uniqueItems") and len(set(value)) < len(value):
                yield f"{place}: has one item twice"
    for rule in schema.get("allOf", ()):
        if not list(_problems(value, rule["if"], definitions, place)):
            yield from _problems(value, rule["then"], definitions, place)


def _text_problems(value: str, schema: Schema, place: str) -> Iterator[str]:
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{place}: {value[:40]!r} has not the right form"
    if len(value) < schema.get("minLength", 0):
        yield f"{place}: must not be empty"


def _object_problems(
    value: dict[str, Any], schema: Schema, definitions: Mapping[str, Schema], place: str
) -> Iterator[str]:
    named = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}.{name}: is missing"
    for name, item in value.items():
        if "propertyNames" in schema and not name.isascii():
            yield f"{place}: key {name!r} is not ASCII"
        inner = named.get(name, schema.get("additionalProperties"))
        if inner is not None:
            yield from _problems(item, inner, definitions, f"{place}.{name}")
