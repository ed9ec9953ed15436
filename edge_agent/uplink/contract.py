"""The AsyncAPI 3 document of the wire: every topic, who speaks on it, and what its messages hold.

`docs/generate.py` writes it to docs/reference/asyncapi.yaml. The schemas of records come from the bodies; those of the
other messages stand here, beside the code that writes and reads them, and tests hold real messages against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge_agent.records.bodies.terms import Digest, Moment
from edge_agent.records.schemas import record_schema
from edge_agent.records.shape import Schema, of_hint
from edge_agent.uplink.wire import BATCH_TYPE, JSON_TYPE, MAX_SEQUENCE, PIECE_TYPE

VERSION: Final = "1"
MAX_RECORDS: Final = 1_000

_LEVEL: Final = "[A-Za-z0-9_-]{1,64}"
_SEQUENCE: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": MAX_SEQUENCE}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_TEXT: Final[Schema] = {"type": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: its level behind the gateway's, who sends, whether it is retained, what it is and what it holds."""

    name: str
    sends: Literal["agent", "platform"]
    retained: bool
    title: str
    words: str
    payload: Schema
    content_type: str = JSON_TYPE
    address: str = ""

    @property
    def whole_address(self) -> str:
        """The topic with its parameters."""
        return self.address or f"trace/v1/{{site}}/{{gateway}}/{self.name}"


def _object(properties: Mapping[str, Schema], *optional: str, words: str = "") -> Schema:
    """An object; what is not named is allowed, because whoever reads v1 ignores what it does not know."""
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
    }
    return schema | ({"description": words} if words else {})


def _nullable(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def _said(schema: Schema, words: str) -> Schema:
    return schema | {"description": words}


_TIME: Final = of_hint(Moment)
_DIGEST: Final = of_hint(Digest)
_SIGNATURE: Final[Mapping[str, Schema]] = {
    "key": _said(_TEXT, "id of the key that signed"),
    "sig": _said(_TEXT, "Ed25519 signature over the canonical form (RFC 8785) of the rest"),
}

TOPICS: Final = (
    Topic(
        name="state",
        sends="agent",
        retained=True,
        title="Birth and will",
        words="Published on connect; the will, and a clean goodbye, say `online: false`.",
        payload=_object(
            {
                "online": {"type": "boolean"},
                "session": _said(_TEXT, "another with every connection"),
                "since": _said(_TIME, "when this connection began"),
            }
        ),
    ),
    Topic(
        name="info",
        sends="agent",
        retained=True,
        title="What the box is and how it stands",
        words="Sent on connect and from time to time. More keys may come with any version.",
        payload=_object(
            {
                "version": _TEXT,
                "node_type": _TEXT,
                "drivers": _said({"type": "object", "additionalProperties": _TEXT}, "driver of each device"),
                "devices": _said({"type": "object", "additionalProperties": _TEXT}, "state of each device"),
                "chain": _said(_TEXT, "id of the present chain"),
                "kept": _said(_COUNT, "records of this chain"),
                "pending": _said(_COUNT, "those without the platform's word"),
                "rejected": _said(_COUNT, "those in quarantine"),
                "oldest_pending": _said(_nullable(_SEQUENCE), "the oldest of the pending; null: none"),
                "clock": _object({"synced": {"type": "boolean"}, "boot": _TEXT}),
            }
        ),
    ),
    Topic(
        name="records",
        sends="agent",
        retained=False,
        title="A batch of records",
        words=(
            "A CloudEvents 1.0 JSON batch, at most 256 KiB before compression. The payload may be zstd (`28 B5 2F FD`)"
            " or gzip (`1F 8B`): the first bytes tell. Records may come twice and out of order; `chain` and `sequence`"
            " say which and where."
        ),
        payload={
            "type": "array",
            "items": {"$ref": "#/components/schemas/record"},
            "minItems": 1,
            "maxItems": MAX_RECORDS,
        },
        content_type=BATCH_TYPE,
    ),
    Topic(
        name="verdicts",
        sends="platform",
        retained=False,
        title="The platform's word on records",
        words=(
            "Only this makes a record delivered. A duplicate counts as accepted; accepted wins over rejected, whichever"
            " comes first. What is retryable is sent again, the rest waits in quarantine for a person."
        ),
        payload=_object(
            {
                "v": {"const": 1},
                "chain": _said({"type": "string", "minLength": 1}, "which chain the sequences are of"),
                "time": _TIME,
                "accepted": _said(
                    {"type": "array", "items": {"type": "array", "items": _SEQUENCE, "minItems": 2, "maxItems": 2}},
                    "ranges [first, last] of sequences",
                ),
                "rejected": {
                    "type": "array",
                    "items": _object(
                        {
                            "sequence": _SEQUENCE,
                            "id": _TEXT,
                            "code": _said(_TEXT, "for programs"),
                            "reason": _said(_TEXT, "for people"),
                            "retryable": {"type": "boolean"},
                        },
                        "id",
                        "code",
                        "reason",
                        "retryable",
                    ),
                },
                "attachments": _said(
                    {
                        "type": "array",
                        "items": _object(
                            {
                                "sha256": _DIGEST,
                                "have": _said(_COUNT, "bytes from the beginning that the platform has"),
                                "complete": {"type": "boolean"},
                                "refused": _said(_nullable(_TEXT), "why it does not want the file"),
                                "retryable": {"type": "boolean"},
                            },
                            "have",
                            "complete",
                            "refused",
                            "retryable",
                        ),
                    },
                    "what the platform has of files",
                ),
            },
            "time",
            "accepted",
            "rejected",
            "attachments",
        ),
    ),
    Topic(
        name="checkpoint",
        sends="agent",
        retained=True,
        title="Signed head of the chain",
        words="A sequence that is missing below it after the line has gone quiet is a gap.",
        payload=_object({"chain": _TEXT, "sequence": _SEQUENCE, "hash": _DIGEST, "time": _TIME, **_SIGNATURE}),
    ),
    Topic(
        name="attachments",
        sends="agent",
        retained=False,
        title="A piece of a picture or certificate",
        words=(
            "Files that records name by their SHA-256, in pieces, behind everything else. The payload is one line of"
            " JSON, described here, a line feed, and then the bytes of the file from `offset` on; with none of them the"
            " platform is only asked what it has. It answers in `attachments` of a message on `verdicts`."
        ),
        payload=_object(
            {
                "v": {"const": 1},
                "chain": _said(_TEXT, "present chain of the box"),
                "sha256": _said(_DIGEST, "of the whole file"),
                "size": _said(_COUNT, "of the whole file, in bytes"),
                "type": _said(_TEXT, "media type"),
                "offset": _said(_COUNT, "of the first byte that follows"),
            }
        ),
        content_type=PIECE_TYPE,
    ),
    Topic(
        name="directives",
        sends="platform",
        retained=False,
        title="The platform's instruction",
        words="Obeyed only where the key is trusted for its kind; each is answered by a receipt, expired ones too.",
        payload=_object(
            {
                "v": {"const": 1},
                "id": {"type": "string", "minLength": 1},
                "sequence": _said(_SEQUENCE, "rises by one with each directive of this key"),
                "issued": _TIME,
                "expires": _nullable(_TIME),
                "kind": {
                    "type": "string",
                    "enum": [
                        *("recall", "stop_sale", "release", "catalogue", "parties"),
                        *("prices", "config", "resend", "ping"),
                    ],
                },
                "body": {"type": "object"},
                **_SIGNATURE,
            },
            "expires",
        ),
    ),
    Topic(
        name="receipts",
        sends="agent",
        retained=False,
        title="Answer to a directive",
        words="What the box did with it.",
        payload=_object(
            {
                "v": {"const": 1},
                "directive": _said({"type": "string", "minLength": 1}, "its id"),
                "status": {"type": "string", "enum": ["applied", "refused", "expired", "duplicate"]},
                "reason": _nullable(_TEXT),
                "time": _TIME,
            },
            "reason",
        ),
    ),
    Topic(
        name="platformState",
        sends="platform",
        retained=True,
        title="Whether the platform takes records",
        words="An empty message (the retained one was removed) means no restriction.",
        payload=_object(
            {
                "accepting": {"type": "boolean"},
                "drain_per_s": _said({"type": ["number", "null"], "minimum": 0}, "records a second; null: no limit"),
                "time": _TIME,
            },
            "drain_per_s",
            "time",
        ),
        address="trace/v1/{site}/platform/state",
    ),
)
"""Every topic of version 1."""


def asyncapi() -> dict[str, Any]:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:trace-edge-agent:wire:v1",
        "info": {
            "title": "Trace edge agent, wire v1",
            "version": f"{VERSION}.0.0",
            "description": (
                "What a gateway at a market says to the city platform over MQTT, and what it hears. QoS 1 throughout."
                " Client id `{site}-{gateway}`, clean start false, session expiry seven days; MQTT 5 first, 3.1.1 as"
                " fall-back. Unknown fields are ignored, never refused. The JSON Schemas (2020-12) of the records are"
                " in `schemas/` beside this file."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "contact": {"name": "Maintainers of the trace edge agent"},
            "tags": [{"name": "traceability"}, {"name": "mqtt"}],
        },
        "defaultContentType": JSON_TYPE,
        "servers": {
            "platform": {
                "host": "{broker}:8883",
                "protocol": "secure-mqtt",
                "protocolVersion": "5",
                "description": "The city's broker; 1883 only where the configuration writes `tls = false` out.",
                "variables": {"broker": {"description": "[uplink] host", "default": "broker.example"}},
                "bindings": {
                    "mqtt": {
                        "cleanSession": False,
                        "sessionExpiryInterval": 604_800,
                        "lastWill": {"topic": "trace/v1/{site}/{gateway}/state", "qos": 1, "retain": True},
                        "bindingVersion": "0.2.0",
                    }
                },
            }
        },
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {_operation_name(topic): _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {topic.name: _message(topic) for topic in TOPICS},
            "schemas": _record_schemas() | {topic.name: topic.payload for topic in TOPICS},
            "parameters": {
                "site": {"description": f"the market, hall or warehouse; {_LEVEL}", "examples": ["market-1"]},
                "gateway": {"description": f"the box; {_LEVEL}", "examples": ["gw-1"]},
            },
        },
    }


def _channel(topic: Topic) -> Schema:
    names = [name for name in ("site", "gateway") if f"{{{name}}}" in topic.whole_address]
    return {
        "address": topic.whole_address,
        "title": topic.title,
        "description": topic.words,
        "servers": [{"$ref": "#/servers/platform"}],
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in names},
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
    }


def _operation_name(topic: Topic) -> str:
    return f"{'send' if topic.sends == 'agent' else 'receive'}{topic.name[0].upper()}{topic.name[1:]}"


def _operation(topic: Topic) -> Schema:
    binding: dict[str, Any] = {"qos": 1, "bindingVersion": "0.2.0"}
    return {
        "action": "send" if topic.sends == "agent" else "receive",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "title": topic.title,
        "summary": topic.words,
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{topic.name}"}],
        "bindings": {"mqtt": binding | {"retain": topic.retained}},
    }


def _message(topic: Topic) -> Schema:
    return {
        "name": topic.name,
        "title": topic.title,
        "summary": topic.words,
        "contentType": topic.content_type,
        "payload": {"$ref": f"#/components/schemas/{topic.name}"},
    }


def _record_schemas() -> dict[str, Schema]:
    """The schemas of records, with their references moved to where they stand in this document."""
    record = record_schema()
    definitions = record.pop("$defs")
    found = {"record": {name: value for name, value in record.items() if not name.startswith("$")}} | definitions
    return {name: _moved(schema) for name, schema in found.items()}


def _moved(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: each.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(each)
            for key, each in value.items()
        }
    return [_moved(each) for each in value] if isinstance(value, list) else value
