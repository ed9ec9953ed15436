"""Keeping corrections: finds the record that is meant, has the correction made, keeps it, clears the quarantine.

One correction at a time, so that no record is made void twice. It works on the store alone and needs no link.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any, Final

import orjson

from edge_agent import clock
from edge_agent.records import corrections
from edge_agent.records.bodies import Return
from edge_agent.records.corrections import Event, Occasion, Refused
from edge_agent.records.envelope import Draft
from edge_agent.store import Kept, Row, Store

_LONGEST_REASON: Final = 2_000
_PATIENCE: Final = 10.0

KINDS: Final = ("void", "amend", "return")


class Corrector:
    """Makes corrections of the records of one store. Thread-safe."""

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._zone = zone
        self._one_at_a_time = threading.Lock()

    def correct(
        self,
        kind: str,
        id_or_sequence: str,
        *,
        reason: str,
        operator: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Kept:
        """Keep a correction of the record with this id or sequence; returns after its COMMIT.

        `kind` is `void`, `amend` (`details` holds the new values by field) or `return` (`net_mg`, `qty`,
        `amount_fen`, all optional). A record that the platform had refused is superseded: it is not sent again.
        Raises `Refused` with the reason, and what `Store.keep` raises.
        """
        occasion = _occasion(reason, operator, self._zone)
        with self._one_at_a_time:
            row = self._store.find(id_or_sequence)
            if row is None:
                raise Refused("unknown", f"there is no record {id_or_sequence}")
            event = orjson.loads(row.body)
            try:
                draft = _draft(kind, event, self._later(event, row), occasion, details or {})
            except Refused as refused:
                if refused.code == "already-void":  # by a correction whose agent ended before this was noted
                    self._store.outbox().supersede(row.sequence)
                raise
            kept = self._store.keep(draft, timeout=_PATIENCE)
            if kind != "return":
                self._store.outbox().supersede(row.sequence)
            return kept

    def _later(self, event: Event, row: Row) -> list[Event]:
        """The records that correct an event, and those that correct its returns."""
        later = [orjson.loads(each.body) for each in self._store.naming(event["id"], after=row.sequence)]
        for each in [e for e in later if e["type"] == Return.TYPE]:
            found = self._store.naming(each["id"], after=int(each["sequence"]))
            later += [orjson.loads(more.body) for more in found]
        return later


def _occasion(reason: object, operator: object, zone: tzinfo) -> Occasion:
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON:
        raise Refused("no-reason", f"a correction needs a reason in words, at most {_LONGEST_REASON} characters")
    if operator is not None and not isinstance(operator, str):
        raise Refused("bad-change", "the operator is a text")
    return Occasion(at=clock.now(), zone=zone, reason=reason, operator=operator)


def _draft(kind: str, event: Event, later: list[Event], occasion: Occasion, details: Mapping[str, Any]) -> Draft:
    makers: Mapping[str, Callable[[], Draft]] = {
        "void": lambda: corrections.void(event, later, occasion),
        "amend": lambda: corrections.amend(event, later, details, occasion),
        "return": lambda: corrections.give_back(event, later, occasion, **_amounts(details)),
    }
    if kind not in makers:
        raise Refused("bad-change", f"{kind!r} is no correction; known: {', '.join(makers)}")
    return makers[kind]()


def _amounts(details: Mapping[str, Any]) -> dict[str, int]:
    amounts = {}
    for name, value in details.items():
        if name not in ("net_mg", "qty", "amount_fen") or type(value) is not int:
            raise Refused("bad-change", "a return names net_mg, qty, amount_fen, whole numbers")
        amounts[name] = value
    return amounts
