"""What the fields of a record say about themselves, and the JSON Schema (2020-12) that follows from it.

A field is an annotated type: `Annotated[int, Range(0), Says("…", unit="mg")]`. Aliases of such types carry
meaning, unit and bounds to every field that uses them. One walk over the annotations gives the schema, another
the words for the reference, so that neither can be out of step with the code.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from edge_agent.records.canonical import MAX_INTEGER

Schema = dict[str, Any]

VALUE_REF: Final[Schema] = {"$ref": "#/$defs/value"}
"""Any value that a record may hold."""

VALUE: Final[Schema] = {
    "description": "Anything a record may hold: no floats, ASCII keys, integers within ±(2^53-1).",
    "anyOf": [
        {"type": ["string", "boolean", "null"]},
        {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        {"type": "array", "items": VALUE_REF},
        {"type": "object", "propertyNames": {"pattern": r"^[\x00-\x7f]*$"}, "additionalProperties": VALUE_REF},
    ],
}


@dataclass(frozen=True, slots=True)
class Says:
    """What a field means, and where the field or its values come from."""

    meaning: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Named:
    """The name in JSON of a field whose name Python does not allow."""

    name: str


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of an integer, both included."""

    minimum: int = -MAX_INTEGER
    maximum: int = MAX_INTEGER


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a text."""

    pattern: str | None = None
    min_length: int | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """Where `field` has one of `values` (any but null, if none are named), none of `fields` may be null."""

    field: str
    fields: tuple[str, ...]
    values: tuple[str, ...] = ()

    def schema(self) -> Schema:
        """The rule as a schema."""
        given: Schema = {"enum": list(self.values)} if self.values else {"not": {"type": "null"}}
        return {
            "if": {"properties": {self.field: given}, "required": [self.field]},
            "then": {"properties": {name: {"not": {"type": "null"}} for name in self.fields}},
        }


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """One field as the reference shows it."""

    name: str
    type: str
    meaning: str
    unit: str | None
    source: str | None
    nullable: bool


def json_names(kind: type) -> tuple[tuple[str, str], ...]:
    """The attributes of a dataclass with their names in JSON."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        (each.name, next((m.name for m in _metadata(hints[each.name]) if isinstance(m, Named)), each.name))
        for each in fields(kind)
    )


def json_hints(kind: type) -> Mapping[str, Any]:
    """The annotation of each field by its name in JSON."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        return hints
    return {name: hints[attribute] for attribute, name in json_names(kind)}


def object_schema(kind: type) -> Schema:
    """The schema of a dataclass or typed dictionary: every field is there; what else there is may be anything."""
    hints = json_hints(kind)
    return {
        "type": "object",
        "properties": {name: _described(of_hint(hint), hint) for name, hint in hints.items()},
        "required": list(hints),
        "propertyNames": {"pattern": r"^[\x00-\x7f]*$"},
        "additionalProperties": VALUE_REF,
    }


def of_hint(hint: Any) -> Schema:
    """The schema of one annotation. Raises TypeError for what no field of a record may be."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *metadata = get_args(hint)
        return _bounded(of_hint(base), metadata)
    if origin in (Union, types.UnionType):
        inner = [each for each in get_args(hint) if each is not types.NoneType]
        if len(inner) != 1:
            raise TypeError(f"{hint}: a field has one type, or one and null")
        return _nullable(of_hint(inner[0]))
    if origin is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if origin is tuple:
        return {"type": "array", "items": of_hint(get_args(hint)[0])}
    if origin is Mapping:
        return _mapping(get_args(hint)[1])
    if is_dataclass(hint) or is_typeddict(hint):
        return object_schema(hint)
    if hint is Any:
        return dict(VALUE_REF)
    names = {str: "string", int: "integer", bool: "boolean"}
    if hint not in names:
        raise TypeError(f"{hint} is no type of a field")
    return {"type": names[hint]} | ({"minimum": -MAX_INTEGER, "maximum": MAX_INTEGER} if hint is int else {})


def _mapping(value: Any) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": r"^[\x00-\x7f]*$"},
        "additionalProperties": of_hint(value),
    }


def _bounded(schema: Schema, metadata: list[Any]) -> Schema:
    for note in metadata:
        match note:
            case Range(minimum=minimum, maximum=maximum):
                schema |= {"minimum": minimum, "maximum": maximum}
            case Form(pattern=pattern, min_length=min_length, format=form):
                found = {"pattern": pattern, "minLength": min_length, "format": form}
                schema |= {key: value for key, value in found.items() if value is not None}
            case "unique":
                schema["uniqueItems"] = True
    return schema


def _described(schema: Schema, hint: Any) -> Schema:
    meaning, unit, _ = _said(hint)
    words = f"{meaning} ({unit})" if meaning and unit else meaning
    return schema | {"description": words} if words else schema


def _said(hint: Any) -> tuple[str | None, str | None, str | None]:
    """Meaning, unit and source of a field, each from the outermost annotation that tells it."""
    notes = list(_metadata(hint))
    says = [note for note in notes if isinstance(note, Says)]
    return (
        says[0].meaning if says else None,
        next((note.symbol for note in notes if isinstance(note, Unit)), None),
        next((note.source for note in says if note.source), None),
    )


def _nullable(schema: Schema) -> Schema:
    if "enum" in schema:
        return schema | {"type": ["string", "null"], "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return schema | {"type": [schema["type"], "null"]}
    return schema


def _metadata(hint: Any) -> Iterator[Any]:
    """What an annotation says, the outermost first."""
    if get_origin(hint) is Annotated:
        base, *metadata = get_args(hint)
        yield from metadata
        yield from _metadata(base)
    elif get_origin(hint) in (Union, types.UnionType):
        for each in get_args(hint):
            yield from _metadata(each)


def facts(kind: type) -> list[FieldFacts]:
    """The fields of a dataclass or typed dictionary in words. Raises TypeError where one says nothing of itself."""
    found = []
    for name, hint in json_hints(kind).items():
        meaning, unit, source = _said(hint)
        if meaning is None:
            raise TypeError(f"{kind.__name__}.{name} does not say what it means")
        schema = of_hint(hint)
        nullable = not isinstance(schema.get("type", ""), str) and "null" in schema["type"]
        found.append(FieldFacts(name, _words(schema), meaning, unit, source, nullable))
    return found


def inner_kinds(kind: type) -> Iterator[tuple[str, type]]:
    """The fields whose values are objects with fields of their own, with their types."""
    for name, hint in json_hints(kind).items():
        inner = _inner(hint)
        if inner is not None:
            yield name, inner


def _inner(hint: Any) -> type | None:
    if is_dataclass(hint) or is_typeddict(hint):
        return hint if isinstance(hint, type) else None
    for each in get_args(hint):
        found = _inner(each)
        if found is not None:
            return found
    return None


def _words(schema: Schema) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    kind = schema.get("type", "any")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "array":
        return f"list of {_words(schema['items'])}"
    return {"string": "text", "object": "object"}.get(kind, str(kind))
