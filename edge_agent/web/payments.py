"""Payments that others tell of, matched by their amount to what is not paid yet: the open ticket, a recent sale.

A sale never waits for a payment, and a payment is never guessed: where several sales fit, a person chooses; where none
does, it waits a while for one. What is kept is the settlement with a keyed digest of the payment's reference, by which
a repeated call is known, over a restart too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
import structlog

from edge_agent import clock
from edge_agent.facade import CommandResult, Facade, Unpaid
from edge_agent.web.answers import Refusal
from edge_agent.web.api_requests import PaymentRequest

NOTE: Final = "payments"

_MOST: Final = 200
_SHOWN: Final = 20
_SHOWN_FOR_MS: Final = 600_000
_WAITS_MS: Final = 300_000
"""How long a payment is matched to sales that come after it: people pay while the last line is rung up."""
_KEPT_MS: Final = 86_400_000

State = Literal["matched", "ambiguous", "unmatched", "assigned"]


@dataclass(slots=True, kw_only=True)
class Payment:
    """One payment. `id` is the beginning of its digest; `lines` are the sales that it paid."""

    id: str
    digest: str
    at_ms: int
    amount_fen: int
    method: str
    state: State = "unmatched"
    station: str | None = None
    channel: str | None = None
    ticket: str | None = None
    lines: list[str] = field(default_factory=list)
    candidates: list[list[str]] = field(default_factory=list)
    record: str | None = None
    refused: str | None = None

    def facts(self) -> dict[str, Any]:
        """What the page and the caller see."""
        return {
            "id": self.id,
            "time_ms": self.at_ms,
            "amount_fen": self.amount_fen,
            "method": self.method,
            "state": self.state,
            "station": self.station,
            "lines": self.lines,
            "candidates": self.candidates,
            "record": self.record,
            "refused": self.refused,
        }


class Payments:
    """The payments of the last day. The server's loop owns it."""

    def __init__(self, agent: Facade, key: bytes, changed: Callable[[list[dict[str, Any]]], None]) -> None:
        self._agent = agent
        self._key = key
        self._changed = changed
        self._lock = asyncio.Lock()
        self._payments: OrderedDict[str, Payment] = OrderedDict()
        self._log = structlog.get_logger()
        self._load()

    def shown(self) -> list[dict[str, Any]]:
        """Those that wait for a person, and those of the last minutes; newest first."""
        now = clock.now().wall_ms
        recent = [
            each.facts()
            for each in reversed(self._payments.values())
            if each.state in ("ambiguous", "unmatched") or now - each.at_ms < _SHOWN_FOR_MS
        ]
        return recent[:_SHOWN]

    async def take(self, told: PaymentRequest) -> dict[str, Any]:
        """A payment was told. The same reference again gives the same answer and settles nothing more."""
        digest = hmac.new(self._key, told.reference.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        async with self._lock:
            known = self._payments.get(digest[:16])
            if known is not None:
                return known.facts()
            payment = Payment(
                id=digest[:16],
                digest=digest,
                at_ms=clock.now().wall_ms,
                amount_fen=told.amount_fen,
                method=told.method,
                station=told.station,
                channel=told.channel,
                ticket=told.ticket,
            )
            settled = await asyncio.to_thread(self._agent.lookups.settlement, digest)
            if settled is not None:  # before the agent was started anew
                payment.state, payment.record, payment.lines = "matched", settled[0], list(settled[1])
            else:
                await self._match(payment)
            self._payments[payment.id] = payment
            self._tell()
            return payment.facts()

    async def assign(self, payment_id: str, lines: Sequence[str], station: str, operator: str | None) -> CommandResult:
        """A person says what a payment was for."""
        async with self._lock:
            payment = self._payments.get(payment_id)
            if payment is None or payment.state not in ("ambiguous", "unmatched"):
                raise Refusal(404, "not-found", "there is no such open payment", where="path")
            result = await self._settle(payment, station, list(lines), operator)
            if result.refused is None:
                payment.state = "assigned"
                self._tell()
            return result

    async def sold(self) -> None:
        """Something was sold: it may be what a payment was for."""
        now = clock.now().wall_ms
        async with self._lock:
            waiting = [
                each for each in self._payments.values() if each.state == "unmatched" and now - each.at_ms < _WAITS_MS
            ]
            for payment in waiting:
                await self._match(payment)
            if waiting:
                self._tell()

    async def _match(self, payment: Payment) -> None:
        unpaid = await asyncio.to_thread(self._agent.lookups.unpaid)
        fitting = [each for each in unpaid if _fits(payment, each)]
        if len(fitting) > 1:
            payment.state = "ambiguous"
            payment.candidates = [list(each.lines) for each in fitting[:_SHOWN]]
        elif fitting:
            result = await self._settle(payment, fitting[0].station, list(fitting[0].lines), None)
            payment.state = "matched" if result.refused is None else "unmatched"

    async def _settle(self, payment: Payment, station: str, lines: list[str], operator: str | None) -> CommandResult:
        arguments: dict[str, Any] = {
            "lines": lines,
            "pay_method": payment.method,
            "total_fen": payment.amount_fen,
            "pay_digest": payment.digest,
        }
        if payment.channel is not None:
            arguments["channel"] = payment.channel
        try:
            result = await asyncio.to_thread(self._agent.command, station, "settle", arguments, operator)
        except KeyError:
            raise Refusal(404, "no-such-station", "there is no such station", where="station") from None
        payment.refused = result.refused
        if result.refused is None:
            payment.station, payment.lines, payment.candidates = station, lines, []
            payment.record = str(result.kept[0]["id"])
        return result

    def _tell(self) -> None:
        oldest = clock.now().wall_ms - _KEPT_MS
        for name in [name for name, each in self._payments.items() if each.at_ms < oldest]:
            del self._payments[name]
        while len(self._payments) > _MOST:
            self._payments.popitem(last=False)
        plain = [{slot: getattr(each, slot) for slot in Payment.__slots__} for each in self._payments.values()]
        self._agent.set_memo(NOTE, orjson.dumps(plain).decode())
        self._changed(self.shown())

    def _load(self) -> None:
        text = self._agent.memo(NOTE)
        if text is None:
            return
        try:
            rows: list[Mapping[str, Any]] = orjson.loads(text)
            self._payments = OrderedDict((row["id"], Payment(**row)) for row in rows)
        except (KeyError, TypeError, ValueError) as problem:
            self._log.error("payments.note_unreadable", reason=str(problem))


def _fits(payment: Payment, unpaid: Unpaid) -> bool:
    if payment.ticket is not None and payment.ticket != unpaid.ticket:
        return False
    if payment.station not in (None, unpaid.station):
        return False
    return payment.amount_fen in (unpaid.whole_fen, unpaid.due_fen)
