"""Records of what people do that is no station's business: complaints, and that a stop of sale was taken note of."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

import orjson

from edge_agent import clock
from edge_agent.facade import CommandResult
from edge_agent.records.bodies import Body, Complaint, Confirmation, clock_facts
from edge_agent.records.canonical import clean_text
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import draft
from edge_agent.store import Store

_PATIENCE: Final = 5.0
_CONFIRMED: Final = "confirmed-stops"
_REMEMBERED: Final = 1_000
_COMPLAINT: Final = frozenset({"complaint_no", "about", "content", "outcome", "sale", "ticket", "trace_code"})


class Clerk:
    """Keeps such records in one store. Thread-safe."""

    def __init__(self, store: Store, gateway: str, zone: tzinfo) -> None:
        self._store = store
        self._gateway = gateway
        self._zone = zone
        self._lock = threading.Lock()
        self._confirmed: list[str] = orjson.loads(store.note(_CONFIRMED) or "[]")

    def complain(self, station: str | None, fields: Mapping[str, Any], operator: str | None) -> CommandResult:
        """Keep a complaint; without a number it gets one made of the time."""
        unknown = set(fields) - _COMPLAINT
        if unknown:
            return _refused("bad-complaint", f"{', '.join(sorted(unknown))}: no such field of a complaint")
        told = {name: clean_text(v)[0].strip() if isinstance(v, str) else v for name, v in fields.items() if v}
        if not told.get("about"):
            return _refused("no-about", "a complaint says what it is about: weight, quality, price, code or other")
        if not any(told.get(name) for name in ("content", "sale", "ticket", "trace_code")):
            return _refused("no-content", "a complaint says something, or names a sale, ticket or trace code")
        moment = clock.rfc3339(clock.now().wall_ms, self._zone)
        told.setdefault("complaint_no", "C" + "".join(c for c in moment[:23] if c.isdigit()))
        return self._keep(Complaint, station, operator, told)

    def confirm_stop(self, stop: str, station: str | None, operator: str | None, left_mg: int | None) -> CommandResult:
        """Keep that somebody has taken note of a stop of sale."""
        with self._lock:  # before it is kept: whoever hears of the record looks here
            before = self._confirmed
            self._confirmed = [*(each for each in before if each != stop), stop][-_REMEMBERED:]
            self._store.set_note(_CONFIRMED, orjson.dumps(self._confirmed).decode())
        result: CommandResult | None = None
        try:
            result = self._keep(Confirmation, station, operator, {"directive": stop, "remaining_mg": left_mg})
        finally:
            if (result is None or result.refused is not None) and stop not in before:
                with self._lock:
                    self._confirmed = [each for each in self._confirmed if each != stop]
                    self._store.set_note(_CONFIRMED, orjson.dumps(self._confirmed).decode())
        return result

    def is_confirmed(self, stop: str) -> bool:
        """Whether somebody has taken note of this stop."""
        with self._lock:
            return stop in self._confirmed

    def _keep(
        self, kind: type[Body], station: str | None, operator: str | None, fields: Mapping[str, Any]
    ) -> CommandResult:
        at = clock.now()
        body = kind(captured_by="manual", clock=clock_facts(at), operator=operator, **fields)
        data = body.to_data()
        if problems := body_problems(kind, data):
            return _refused("bad-request", "; ".join(problems))
        made = draft(type=kind.TYPE, subject=station or self._gateway, at=at, zone=self._zone, data=data)
        kept = self._store.keep(made, timeout=_PATIENCE)
        return CommandResult(refused=None, kept=({"id": kept.id, "sequence": kept.sequence, "type": kept.type},))


def _refused(code: str, reason: str) -> CommandResult:
    return CommandResult(refused=code, kept=(), reason=reason)
