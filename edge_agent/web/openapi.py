"""The OpenAPI 3.1 document of the local API, made from its table of operations."""

from __future__ import annotations

import importlib.metadata
from typing import Any, Final

from edge_agent.web.api import KEY, OPERATIONS, Operation

_INTEGER: Final = {"type": "integer"}
_TEXT: Final = {"type": "string"}
_MAYBE: Final = {"type": ["string", "null"]}

_KEPT: Final = {
    "type": "object",
    "required": ["id", "sequence", "type"],
    "properties": {"id": _TEXT, "sequence": _INTEGER, "type": _TEXT},
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_MARKS: Final[dict[str, Any]] = {
    "sequence": _INTEGER,
    "mark": {"enum": ["saved", "sent", "delivered", "refused"]},
    "reason": _MAYBE,
    "code": _MAYBE,
    "event": {"type": "object", "description": "the record: a CloudEvent"},
}
_TEXTS: Final = {"type": "array", "items": _TEXT}

_SCHEMAS: Final[dict[str, Any]] = {
    "Error": {
        "type": "object",
        "required": ["ok", "error", "what", "where", "right"],
        "properties": {
            "ok": {"const": False},
            "error": {**_TEXT, "description": "a stable code"},
            "what": {**_TEXT, "description": "what is wrong"},
            "where": {**_TEXT, "description": "where it is"},
            "right": {**_TEXT, "description": "what would be right"},
        },
    },
    "Refused": {
        "type": "object",
        "required": ["ok", "error", "refused", "kept", "what"],
        "properties": {
            "ok": {"const": False},
            "error": _TEXT,
            "refused": {**_TEXT, "description": "why the station did not do it"},
            "kept": {"type": "array", "items": _KEPT, "description": "records of the attempt itself"},
            "what": _TEXT,
        },
    },
    "Kept": _object(ok={"const": True}, kept={"type": "array", "items": _KEPT}),
    "Document": _object(openapi=_TEXT, paths={"type": "object"}),
    "State": _object(
        now_ms=_INTEGER,
        site=_TEXT,
        gateway=_TEXT,
        version=_TEXT,
        stations={"type": "object"},
        status={"type": "object"},
        records={"type": "array"},
    ),
    "Catalogue": _object(versions={"type": "object"}, goods={"type": "array"}, parties={"type": "array"}),
    "Records": _object(records={"type": "array", "items": _object(**_MARKS)}, next=_INTEGER, more={"type": "boolean"}),
    "Record": _object(**_MARKS, void_by=_MAYBE, amended_by=_TEXTS, returns=_TEXTS),
    "Trace": _object(
        code=_TEXT,
        kind={"enum": ["sale", "batch", "ticket", "record", "none"]},
        nodes={"type": "array", "items": {"type": "object", "required": ["id", "kind", "title", "facts"]}},
        edges={"type": "array", "items": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}},
        truncated={"type": "boolean"},
        searched=_INTEGER,
    ),
    "Stops": _object(stops={"type": "array", "items": _object(id=_TEXT, matched=_TEXT)}),
    "Figures": _object(days={"type": "array", "items": _object(day=_TEXT, sales=_INTEGER, records=_INTEGER)}),
    "Payment": _object(
        id=_TEXT,
        amount_fen=_INTEGER,
        state={"enum": ["matched", "ambiguous", "unmatched", "assigned"]},
        lines={"type": "array", "items": _TEXT},
        candidates={"type": "array", "items": {"type": "array", "items": _TEXT}},
        record=_MAYBE,
    ),
}

_QUERY: Final[dict[str, Any]] = {
    "station": {"schema": {"type": "string", "maxLength": 64}, "description": "id of a station"},
    "after": {
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0},
        "description": "a sequence; `next` of the last answer",
    },
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}},
    "type": {
        "schema": {"type": "string", "pattern": r"^(trace\.[a-z_]{1,40}\.v1(,trace\.[a-z_]{1,40}\.v1){0,19})?$"},
        "description": "types, separated by commas",
    },
    "code": {
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"},
        "description": "trace code, batch number, receipt number or id of a record",
        "required": True,
    },
    "days": {"schema": {"type": "integer", "minimum": 1, "maximum": 62, "default": 31}},
}

_COMMON: Final = {
    400: "the request is not what it should be",
    401: "a token is missing or counts no more",
    403: "the token may not do this, or the request came from another page",
    429: "too many wrong tokens from this address",
    503: "not saved in time, the store is full, or too much at once",
}
_WITH_BODY: Final = {413: "the body is too large", 415: "the body is no JSON"}


def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    bodies = {each.body.__name__: _schema(each.body) for each in OPERATIONS if each.body is not None}
    inner = {name: value for body in bodies.values() for name, value in body.pop("$defs", {}).items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Trace edge agent: local API",
            "version": importlib.metadata.version("trace-edge-agent"),
            "description": "Masses are whole milligrams, money whole fen, times RFC 3339 with offset. A record is "
            "committed to disk before an answer says that it is kept.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**_SCHEMAS, **bodies, **inner},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schema(model: Any) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return schema


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.handler,
        "summary": operation.summary,
        "security": [] if operation.scope is None else [{"token": []}],
        "parameters": [_parameter(name) for name in operation.query],
        "responses": {str(status): _answer(schema, operation) for status, schema in operation.answers},
    }
    if operation.scope is not None:
        made["description"] = f"Scope `{operation.scope}`."
    if "{record}" in operation.path:
        made["parameters"].append(
            {"name": "record", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        )
    if operation.keyed:
        made["parameters"].append(
            {
                "name": KEY,
                "in": "header",
                "required": True,
                "description": "new for each request, the same when it is asked again",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            }
        )
    if operation.body is not None:
        reference = {"$ref": f"#/components/schemas/{operation.body.__name__}"}
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    errors = _COMMON | (_WITH_BODY if operation.body is not None else {})
    for status, words in errors.items():
        made["responses"].setdefault(
            str(status),
            {"description": words, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}},
        )
    return made


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, **_QUERY[name]}


def _answer(schema: str, operation: Operation) -> dict[str, Any]:
    if schema == "Stream":
        return {"description": "server-sent events", "content": {"text/event-stream": {"schema": _TEXT}}}
    reference = {"$ref": f"#/components/schemas/{schema}"}
    words = {"Error": "there is no such thing", "Refused": "not done, and why"}.get(schema, operation.summary)
    return {"description": words, "content": {"application/json": {"schema": reference}}}
