"""The JSON Schemas (2020-12) of records, generated from the bodies.

Every field of a type is required, null where it is not known; fields that are not named here are allowed, as long
as they hold what a record may hold, because whoever reads v1 ignores what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edge_agent.records.bodies import BODIES, Body
from edge_agent.records.bodies.terms import Digest, Moment, RecordId
from edge_agent.records.envelope import CHAIN_TYPE, GENESIS_HASH
from edge_agent.records.shape import VALUE, VALUE_REF, Schema, object_schema, of_hint

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_FIRST: Final = f"{1:016d}"
_AMEND: Final = "trace.amend.v1"
_LEVEL: Final = "[A-Za-z0-9_-]{1,64}"


def body_schema(kind: type[Body]) -> Schema:
    """The schema of a body, without the `$defs` that it refers to; see `body_definitions`."""
    schema = {"title": kind.TITLE, "description": _first_line(kind), **object_schema(kind)}
    rules = [rule.schema() for rule in kind.RULES]
    if kind.TYPE == _AMEND:
        rules += [_content_is(name) for name, each in BODIES.items() if each.CORRECTABLE]
        schema["properties"]["corrected_type"]["enum"] = [n for n, each in BODIES.items() if each.CORRECTABLE]
    return schema | ({"allOf": rules} if rules else {})


def body_definitions(kind: type[Body]) -> dict[str, Schema]:
    """What the schema of a body refers to."""
    definitions = {"value": dict(VALUE)}
    if kind.TYPE == _AMEND:
        definitions |= {name: body_schema(each) for name, each in BODIES.items() if each.CORRECTABLE}
    return definitions


def _content_is(name: str) -> Schema:
    return {
        "if": {"properties": {"corrected_type": {"const": name}}},
        "then": {"properties": {"content": {"$ref": f"#/$defs/{name}"}}},
    }


def envelope_schema() -> Schema:
    """The envelope of every record: a CloudEvents 1.0 event on a hash chain."""
    said: Mapping[str, tuple[Schema, str]] = {
        "specversion": ({"const": "1.0"}, "version of CloudEvents"),
        "id": (of_hint(RecordId), "UUIDv7 of the record: the same record never has another"),
        "source": ({"type": "string", "pattern": f"^/{_LEVEL}/{_LEVEL}$"}, "/{site}/{gateway}"),
        "subject": ({"type": "string", "pattern": f"^{_LEVEL}$"}, "the station, else the device, else the gateway"),
        "type": ({"type": "string", "enum": list(BODIES)}, "type of the record"),
        "time": (of_hint(Moment), "when it was captured, by the box's clock; RFC 3339 with offset"),
        "datacontenttype": ({"const": "application/json"}, "the body is JSON"),
        "chain": ({"type": "string", "pattern": f"^{_LEVEL}$"}, "id of the chain"),
        "sequence": (
            {"type": "string", "pattern": "^(?!0{16}$)[0-9]{16}$"},
            "place on the chain, without gaps from 1; text so that text order is number order",
        ),
        "prevhash": (of_hint(Digest), "hash of the record before; 64 zeros before the first"),
        "hash": (of_hint(Digest), "SHA-256 over the canonical event (RFC 8785) without this field"),
        "data": ({"type": "object"}, "the body"),
    }
    return {
        "type": "object",
        "properties": {name: schema | {"description": words} for name, (schema, words) in said.items()},
        "required": list(said),
        "propertyNames": {"pattern": r"^[\x00-\x7f]*$"},
        "additionalProperties": dict(VALUE_REF),
        "if": {"properties": {"type": {"const": CHAIN_TYPE}}},
        "then": {"properties": {"sequence": {"const": _FIRST}, "prevhash": {"const": GENESIS_HASH}}},
        "else": {"properties": {"sequence": {"not": {"const": _FIRST}}}},
    }


def event_schema(name: str) -> Schema:
    """The schema of one type of record, complete in itself. Raises KeyError for a type that is not known."""
    kind = BODIES[name]
    envelope = envelope_schema()
    envelope["properties"]["type"] = {"const": name}
    envelope["properties"]["data"] = body_schema(kind)
    return {
        "$schema": DIALECT,
        "$id": f"urn:trace-edge-agent:{name}",
        "title": f"{name} {kind.TITLE}",
        "description": _first_line(kind),
        **envelope,
        "$defs": body_definitions(kind),
    }


def record_schema() -> Schema:
    """The schema of any record, complete in itself."""
    definitions: dict[str, Any] = {"value": dict(VALUE)} | {name: body_schema(kind) for name, kind in BODIES.items()}
    return {
        "$schema": DIALECT,
        "$id": "urn:trace-edge-agent:record",
        "title": "A record of the trace edge agent",
        **envelope_schema(),
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"properties": {"data": {"$ref": f"#/$defs/{name}"}}},
            }
            for name in BODIES
        ],
        "$defs": definitions,
    }


def files() -> dict[str, Schema]:
    """Every schema by the name of its file."""
    envelope = {
        "$schema": DIALECT,
        "$id": "urn:trace-edge-agent:envelope",
        "title": "The envelope of a record",
        **envelope_schema(),
        "$defs": {"value": dict(VALUE)},
    }
    return {
        "record.json": record_schema(),
        "envelope.json": envelope,
        **{f"{name}.json": event_schema(name) for name in BODIES},
    }


def _first_line(kind: type[Body]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
