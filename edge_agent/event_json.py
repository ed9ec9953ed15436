"""Device events as JSON values: the form that `edge-agent decode` and `devices watch` print."""

from __future__ import annotations

import dataclasses
from typing import Any

from edge_agent.model import DeviceEvent, PushedSale, Reading, Rejected, Scan, Status, TagRead


def event_json(event: DeviceEvent) -> dict[str, Any]:
    """One event as plain values; every byte of it is in `raw`."""
    raw = event.raw.hex()
    match event:
        case Reading():
            return {
                "event": "reading",
                "weight": event.weight,
                "unit": event.unit,
                "stability": event.stability,
                "basis": event.basis,
                "condition": event.condition,
                "unit_price": event.unit_price,
                "amount": event.amount,
                "raw": raw,
            }
        case Scan():
            return {"event": "scan", "text": event.text, "symbology": event.symbology, "raw": raw}
        case TagRead():
            return {
                "event": "tag",
                "id": event.tag_id,
                "kind": event.kind,
                "antenna": event.antenna,
                "rssi_dbm": event.rssi_dbm,
                "raw": raw,
            }
        case PushedSale():
            told = {f.name: getattr(event, f.name) for f in dataclasses.fields(event) if f.name not in ("raw", "where")}
            return {"event": "sale", **told, "raw": raw}
        case Status():
            return {"event": "status", "status": event.status, "raw": raw}
        case Rejected():
            return {"event": "rejected", "reason": event.reason, "raw": raw}
