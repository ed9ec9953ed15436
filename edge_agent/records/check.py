"""Holding a value against one of our own schemas, on the box and without a library.

It knows the words that `schemas` uses and no others. Tests hold it against a full implementation. Floats are
refused even where they are whole: no record holds any.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
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

_Holds = Callable[[Any], bool]

_REMEMBERED: Final = 256
_REMEMBERED_LENGTH: Final = 64
_REMEMBERED_ORDERS: Final = 16
"""So many texts of so many characters are remembered as good for each field."""
_ABOUT: Final = frozenset({"title", "description", "examples", "default", "$comment", "format", "deprecated"})
_TEXT_WORDS: Final = frozenset({"type", "pattern", "minLength", "enum"})
_TEXT_KINDS: Final = frozenset({str, type(None)})
_NUMBER_WORDS: Final = frozenset({"type", "minimum", "maximum"})
_NUMBER_KINDS: Final = frozenset({int, type(None)})
_ARRAY_WORDS: Final = frozenset({"type", "items", "uniqueItems"})
_OBJECT_WORDS: Final = frozenset({"type", "properties", "required", "additionalProperties", "propertyNames", "allOf"})

# Schema, definitions and quick check of each type of body that was checked: to generate them takes milliseconds.
_known: Final[dict[type[Body], tuple[Schema, Mapping[str, Schema], _Holds]]] = {}


def body_problems(kind: type[Body], data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a body, each with its place; empty where it is good.

    Nearly every body is good, and every record passes here: a check that was made ready for its type says so at a
    tenth of the price, and only where it does not the problems are looked for one by one.
    """
    known = _known.get(kind)
    if known is None:
        whole, parts = body_schema(kind), body_definitions(kind)
        known = _known[kind] = whole, parts, _ready(whole, parts)
    schema, definitions, holds = known
    body = data if type(data) is dict else dict(data)
    return [] if holds(body) else list(_problems(body, schema, definitions, "$"))


def _ready(schema: Schema, definitions: Mapping[str, Schema]) -> _Holds:
    """A schema as a function that says whether a value has no problem by it; the same word as `_problems`."""

    def slow(value: Any) -> bool:
        return next(_problems(value, schema, definitions, "$"), None) is None

    wanted = schema.get("type", ())
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    kinds = frozenset(kind for name in names for kind in _KINDS[name])
    words = set(schema) - _ABOUT
    if words <= _TEXT_WORDS and kinds and kinds <= _TEXT_KINDS:
        return _ready_text(schema, nullable=type(None) in kinds)
    if words <= _NUMBER_WORDS and kinds and kinds <= _NUMBER_KINDS:
        return _ready_number(schema, nullable=type(None) in kinds)
    if not words - {"type"} and kinds:
        return lambda value: type(value) in kinds
    if dict in kinds and kinds <= {dict, type(None)} and words <= _OBJECT_WORDS:
        return _ready_object(schema, definitions, nullable=type(None) in kinds)
    if kinds == {list, tuple} and words <= _ARRAY_WORDS and "items" in schema:
        return _ready_array(schema, definitions)
    if schema == {"not": {"type": "null"}}:
        return lambda value: value is not None
    if words == {"enum"} and all(type(each) is str for each in schema["enum"]):
        among = frozenset(schema["enum"])
        return lambda value: type(value) is str and value in among
    if words <= {"$ref"} and "$ref" in schema:
        return _ready(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return slow


def _ready_text(schema: Schema, *, nullable: bool) -> _Holds:
    search = re.compile(schema["pattern"]).search if "pattern" in schema else None
    among = frozenset(schema["enum"]) if "enum" in schema else None
    least = schema.get("minLength", 0)
    none = nullable and (among is None or None in among)
    if search is None:

        def holds(value: Any) -> bool:
            if value is None:
                return none
            return type(value) is str and len(value) >= least and (among is None or value in among)

        return holds

    good: set[str] = set()  # most texts of a stall are the same all day: its codes, names, devices

    def holds_form(value: Any) -> bool:
        if value is None:
            return none
        if type(value) is not str:
            return False
        if value in good:
            return True
        if len(value) < least or search(value) is None or not (among is None or value in among):
            return False
        if len(value) <= _REMEMBERED_LENGTH:
            if len(good) >= _REMEMBERED:
                good.clear()
            good.add(value)
        return True

    return holds_form


def _ready_number(schema: Schema, *, nullable: bool) -> _Holds:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)

    def holds(value: Any) -> bool:
        if value is None:
            return nullable
        return type(value) is int and low <= value <= high

    return holds


def _ready_array(schema: Schema, definitions: Mapping[str, Schema]) -> _Holds:
    check = _ready(schema["items"], definitions)
    unique = bool(schema.get("uniqueItems"))

    def holds(value: Any) -> bool:
        if type(value) is not tuple and type(value) is not list:
            return False
        return not value or (all(map(check, value)) and not (unique and len(set(value)) < len(value)))

    return holds


def _ready_object(schema: Schema, definitions: Mapping[str, Schema], *, nullable: bool) -> _Holds:
    named = {name: _ready(each, definitions) for name, each in schema.get("properties", {}).items()}
    plans: dict[tuple[str, ...], list[tuple[bool, _Holds]]] = {}  # for each order of keys what looks at the values
    may_be_none = frozenset(name for name, check in named.items() if check(None))
    required = frozenset(schema.get("required", ()))
    more = schema.get("additionalProperties")
    others = None if more is None else _ready(more, definitions)
    ascii_only = "propertyNames" in schema
    rules = [(_ready_rule(r["if"], definitions), _ready_rule(r["then"], definitions)) for r in schema.get("allOf", ())]

    def holds(value: Any) -> bool:
        if value is None:
            return nullable
        if type(value) is not dict or not required <= value.keys():
            return False
        keys = tuple(value)
        plan = plans.get(keys)
        if plan is None:
            if ascii_only and not all(map(str.isascii, keys)):
                return False
            plan = [(name in may_be_none, named.get(name, others) or _anything) for name in keys]
            if len(plans) >= _REMEMBERED_ORDERS:
                plans.clear()
            plans[keys] = plan
        for item, (none, check) in zip(value.values(), plan, strict=True):
            if item is None and none:
                continue
            if not check(item):
                return False
        return all(then(value) for when, then in rules if when(value))

    return holds


def _anything(_value: Any) -> bool:
    return True


def _ready_rule(schema: Schema, definitions: Mapping[str, Schema]) -> _Holds:
    """One side of a rule: an object's condition on a few of its fields."""
    if set(schema) <= {"properties", "required"}:
        fields = [(name, _ready(each, definitions)) for name, each in schema.get("properties", {}).items()]
        required = schema.get("required", ())

        def holds(value: Any) -> bool:
            for name in required:
                if name not in value:
                    return False
            return all(check(value[name]) for name, check in fields if name in value)

        return holds

    def slow(value: Any) -> bool:
        return next(_problems(value, schema, definitions, "$"), None) is None

    return slow


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
            if schema.get("uniqueItems") and any(item in value[:before] for before, item in enumerate(value)):
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
