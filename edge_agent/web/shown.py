"""What the page sees of records, states and devices: the shapes of `docs/reference/api.md`, from the agent's values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from edge_agent.facade import RecentRecord

_SHOWN: Final = (
    *("indication", "unit", "net_mg", "qty", "mode", "goods_code", "goods_name", "batch", "trace_code", "price_fen"),
    *("price_per", "amount_raw_fen", "amount_fen", "flags", "text", "tag_id", "ticket", "line", "corrects", "result"),
    *("direction", "pay_method", "total_fen", "operator", "reason", "supplier_name", "lines", "action", "book_mg"),
    "book_qty",
)
_RESTLESS: Final = ("uptime_s", "counters", "held_up")

NameOf = Callable[[str], str | None]
"""The name of a person by id; None where it is not known."""


def record_facts(record: RecentRecord, void_by: str | None = None) -> dict[str, Any]:
    """A kept record as the page shows it."""
    event = orjson.loads(record.body)
    data = event["data"]
    facts = {name: data[name] for name in _SHOWN if name in data}
    facts["why"] = facts.pop("reason", None)
    return {
        "id": event["id"],
        "sequence": int(event["sequence"]),
        "type": event["type"],
        "time": event["time"],
        "station": event["subject"],
        "mark": record.mark.state,
        "reason": record.mark.reason,
        "code": record.mark.code,
        "void_by": void_by,
        **facts,
    }


def status_facts(status: Mapping[str, Any]) -> dict[str, Any]:
    """The agent's state without what changes at every look."""
    return {name: value for name, value in status.items() if name not in _RESTLESS}


def view_facts(view: Any, name_of: NameOf) -> dict[str, Any]:
    """A station's view, with the name of who is on duty."""
    facts: dict[str, Any] = orjson.loads(orjson.dumps(view, default=dict))
    duty = facts.pop("duty", None)
    facts["operator"] = None if duty is None else {**duty, "name": name_of(duty["person"])}
    return facts
