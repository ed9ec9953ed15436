"""Records of every type, made from the schemas: with every field, with as few as may be, and at random.

What is made is held against the schema, so a body that breaks a rule between its fields is made anew.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from edge_agent.model import Instant
from edge_agent.records import envelope
from edge_agent.records.bodies import BODIES, Body
from edge_agent.records.check import body_problems
from edge_agent.records.schemas import body_definitions, body_schema

SOURCE = "/market-1/gw-1"
SHANGHAI = ZoneInfo("Asia/Shanghai")
OPENS_MS = 1_795_384_800_000  # 2026-11-23 06:00 in Shanghai
WORDS = (
    *(
        "猪前腿肉",
        "大白菜",
        "=1+1",
        "+86",
        "-x",
        "@SUM(A1)",
        'a,b"c\nd',
        "0012",
        "37060256900120000058",
        "1e999",
        "nan",
    ),
    *("receiving", "urn:epc:id:sgtin:0614141.812345.6789", "https://x.example/01/06901234567892/10/A?x=1", "trace:a"),
    *("https://a.example/b", "1_000", "Mass", "x-y/z.w", "🍎 & <b>", "destroyed", " lead", "6901234567892"),
)


def body(kind: type[Body], rng: random.Random, *, fill: float) -> dict[str, Any]:
    """A body of this type that keeps the schema; each field that may be null is filled with probability `fill`."""
    schema, definitions = body_schema(kind), body_definitions(kind)
    for attempt in range(2_000):
        made: dict[str, Any] = _value(schema, definitions, rng, min(1.0, fill + attempt // 20 / 20))
        if kind.TYPE == "trace.amend.v1":
            meant = rng.choice([each for each in BODIES.values() if each.CORRECTABLE])
            made |= {"corrected_type": meant.TYPE, "content": body(meant, rng, fill=fill), "was": {"goods_name": "x"}}
        if not body_problems(kind, made):
            return made
    raise AssertionError(f"no body of {kind.TYPE} keeps its rules")


def _value(schema: dict[str, Any], definitions: Any, rng: random.Random, fill: float) -> Any:
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if "null" in kinds and rng.random() >= fill:
        return None
    if "enum" in schema:
        return rng.choice([each for each in schema["enum"] if each is not None])
    match next(kind for kind in kinds if kind != "null"):
        case "boolean":
            return rng.random() < 0.5
        case "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 1)
            return rng.choice([max(low, 0), max(low, min(high, rng.randrange(1, 10_000_000))), max(low, min(high, 7))])
        case "array":
            items = [
                _value(schema["items"], definitions, rng, fill) for _ in range(rng.randint(0, 2) if fill < 1 else 2)
            ]
            unique = {orjson.dumps(each): each for each in items}
            return list(unique.values())
        case "object":
            if "properties" not in schema:
                inner = schema.get("additionalProperties", {})
                return {"01": "06901234567892", "10": "L-1"} if inner.get("type") == "string" else {"old": 1}
            return {name: _value(each, definitions, rng, fill) for name, each in schema["properties"].items()}
    return _text(schema, rng)


def _text(schema: dict[str, Any], rng: random.Random) -> str:
    pattern = schema.get("pattern", "")
    if schema.get("format") == "uuid":
        return f"0192f0c1-2345-7abc-8def-{rng.getrandbits(48):012x}"
    if "{64}" in pattern:
        return hashlib.sha256(rng.randbytes(4)).hexdigest()
    if pattern.startswith("^[0-9]{4}-") and "T(" in pattern:
        return "2026-11-23T09:15:02.412+08:00"
    if schema.get("format") == "date":
        return "2026-11-23"
    known = {
        r"^([0-9a-f]{2})*$": "0a0b",
        r"^-?[0-9]+(:[0-9]+)?(\.[0-9]+)?$": "1.250",
        r"^\][A-Za-z][0-9A-Za-z]$": "]C1",
        r"^[0-9A-F]+$": "3074257BF7194E4000001A85",
        r"^[0-9A-HJ-NPQRTUWXY]{18}$": "91350100M000100Y43",
        r"^trace\.[a-z_]+\.v1$": "trace.sale.v1",
    }
    if pattern:
        return known[pattern]
    return rng.choice(WORDS)


def event(kind: type[Body], data: dict[str, Any], sequence: int, prevhash: str = "ab" * 32) -> dict[str, Any]:
    """A sealed record, as it is stored."""
    at = Instant(wall_ms=OPENS_MS + sequence * 1000, mono_ms=sequence, boot="b", synced=True)
    draft = envelope.draft(type=kind.TYPE, subject="stall-1", at=at, zone=SHANGHAI, data=data)
    body = envelope.seal(draft, source=SOURCE, chain="chain-1", sequence=sequence, prevhash=prevhash).body
    made: dict[str, Any] = orjson.loads(body)
    return made


def every(seed: int = 1, at_random: int = 6) -> Iterator[dict[str, Any]]:
    """Records of every type: one full, one bare, some at random, on one chain."""
    rng = random.Random(seed)
    sequence = 1
    prevhash = envelope.GENESIS_HASH
    kinds = sorted(BODIES.values(), key=lambda kind: kind.TYPE != "trace.chain.v1")
    for kind in kinds:
        fills = (0.0,) if kind.TYPE == "trace.chain.v1" else (1.0, 0.0, *(0.5 for _ in range(at_random)))
        for fill in fills:
            made = event(kind, body(kind, rng, fill=fill), sequence, prevhash)
            yield made
            sequence, prevhash = sequence + 1, made["hash"]
