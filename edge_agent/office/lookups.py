"""What can be looked up in the store and the books, for the page and the local API. Every read is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final

import orjson

from edge_agent import clock, tracing
from edge_agent.facade import Mark, RecentRecord, RecordDetail, Unpaid
from edge_agent.office.bookkeeper import Bookkeeper
from edge_agent.office.figures import FigureKeeper
from edge_agent.records.corrections import standing
from edge_agent.records.money import RoundOff, total
from edge_agent.store import Row, Store

_MOST: Final = 1_000
_CHUNK: Final = 20_000
_FURTHEST: Final = 400_000
"""Records looked through for a code: a year of a busy stall."""
_TRACE_SECONDS: Final = 4.0
_PER_LOOKUP: Final = 300
_PAGE: Final = 500
_BOARD: Final = 60
_UNPAID: Final = 100
_UNPAID_MS: Final = 900_000
"""Unpaid sales that a payment is matched to: the newest, of the last quarter of an hour. Cash is seldom settled."""
_FILTERED: Final = 20_000
"""Records looked through at a time for those of a type or a station."""

Range = tuple[int, int]


class StoreLookups:
    """Reads one store and the books of its box. Thread-safe."""

    def __init__(
        self,
        store: Store,
        bookkeeper: Bookkeeper,
        figures: FigureKeeper,
        zone: tzinfo,
        *,
        sent: Callable[[], Sequence[Range]],
        round_off: Mapping[str, RoundOff],
    ) -> None:
        self._store = store
        self._bookkeeper = bookkeeper
        self._figures = figures
        self._zone = zone
        self._sent = sent
        self._round_off = round_off

    # --- records and their marks

    def recent(self, limit: int) -> list[RecentRecord]:
        """The newest records, newest first."""
        return self._marked(self._store.newest(self._store.head.sequence + 1, min(limit, _MOST)))

    def since(self, sequence: int, limit: int) -> list[RecentRecord]:
        """The records after a sequence, oldest first."""
        return self._marked(self._store.read(sequence + 1, limit=min(limit, _MOST)))

    def before(
        self, sequence: int | None, limit: int, *, types: Sequence[str] = (), station: str | None = None
    ) -> tuple[list[RecentRecord], int | None]:
        """The records before a sequence, newest first, and from where to go on; None at the end."""
        at = self._store.head.sequence + 1 if sequence is None else sequence
        found: list[Row] = []
        looked = 0
        while len(found) < limit and looked < _FILTERED:
            page = self._store.newest(at, _PAGE if types or station else limit)
            if not page:
                return self._marked(found), None
            for row in page:
                at = row.sequence
                looked += 1
                if self._wanted(row, types, station):
                    found.append(row)
                    if len(found) == limit:
                        break
        return self._marked(found), at

    def _wanted(self, row: Row, types: Sequence[str], station: str | None) -> bool:
        if types and not row.body.endswith(tuple(f'"type":"{name}"}}'.encode() for name in types)):
            return False
        return station is None or orjson.loads(row.body)["subject"] == station

    def marks(self, first: int, last: int) -> dict[int, Mark]:
        """How far the records of a range have come; at most a thousand."""
        first = max(first, last - _MOST + 1, 1)
        outbox = self._store.outbox()
        sent = list(self._sent())  # read first: what is settled meanwhile must not look unsent
        waiting = outbox.pending(first, last)
        undelivered = outbox.undelivered(first, last)
        refused = {r.sequence: r for r in outbox.refused(first, last)} if waiting != undelivered else {}
        marks = {}
        for sequence in range(first, last + 1):
            if _in(sequence, waiting):
                marks[sequence] = Mark("sent" if _in(sequence, sent) else "saved")
            elif _in(sequence, undelivered):
                refusal = refused.get(sequence)
                marks[sequence] = Mark("refused", *(refusal.reason, refusal.code) if refusal else ())
            else:
                marks[sequence] = Mark("delivered")
        return marks

    def _marked(self, rows: Sequence[Row]) -> list[RecentRecord]:
        marks: dict[int, Mark] = {}
        for first, last in _runs(row.sequence for row in rows):
            marks |= self.marks(first, last)
        return [RecentRecord(row.body, marks[row.sequence]) for row in rows]

    def record(self, id_or_sequence: str) -> RecordDetail | None:
        """One record with what later records say of it; None where there is none."""
        row = self._store.find(id_or_sequence)
        if row is None:
            return None
        event = orjson.loads(row.body)
        now = standing(event, [orjson.loads(r.body) for r in self._store.naming(event["id"], after=row.sequence)])
        return RecordDetail(
            record=self._marked([row])[0], void_by=now.void_by, amended_by=now.amended_by, returns=now.returns
        )

    def quarantine(self, offset: int, limit: int) -> tuple[int, list[tuple[dict[str, Any], RecentRecord | None]]]:
        """How many records the platform refused, and some of them, each with its record while it is there."""
        outbox = self._store.outbox()
        found = []
        for each in outbox.quarantine(min(limit, _MOST), offset):
            rows = self._store.read(each.sequence, last=each.sequence, limit=1)
            facts = {
                "sequence": each.sequence,
                "id": each.id,
                "code": each.code,
                "reason": each.reason,
                "time": clock.rfc3339(each.time_ms, self._zone),
                "state": each.state,
            }
            found.append((facts, RecentRecord(rows[0].body, Mark("refused", each.reason, each.code)) if rows else None))
        return outbox.counts().rejected, found

    # --- batches, stops, figures

    def stops(self) -> list[dict[str, Any]]:
        """The stops of sale in force, each with what the books say is left of the goods."""
        now_ms = clock.now().wall_ms
        head = self._store.newest(self._store.head.sequence + 1, 1)
        newest = orjson.loads(head[0].body)["id"] if head else ""
        with self._bookkeeper.turn() as books:
            found = []
            for stop in books.stops:
                if stop.until_ms is not None and now_ms > stop.until_ms:
                    continue
                accounts = [
                    account
                    for account in books.batches
                    if (stop.batch is not None or stop.goods is not None)
                    and stop.batch in (None, account.batch)
                    and stop.goods in (None, account.goods)
                ]
                found.append(
                    (
                        stop,
                        next((a.goods_name for a in accounts if a.goods_name), None),
                        sum(max(0, a.left_mg) for a in accounts if a.in_mg) if accounts else None,
                        sum(max(0, a.left_qty) for a in accounts if a.in_qty) if accounts else None,
                    )
                )
                if len(found) == _MOST:
                    break
        shown = [self._stop(newest, *each) for each in found]
        return [each for each in shown if each is not None]

    def _stop(
        self, newest: str, stop: Any, goods_name: str | None, left_mg: int | None, left_qty: int | None
    ) -> dict[str, Any] | None:
        """One stop; None where it is booked and not committed yet: it is told when it is."""
        row = self._store.find(stop.id)
        if row is None and stop.id > newest:
            return None
        event = {} if row is None else orjson.loads(row.body)
        data = event.get("data", {})
        return {
            "id": stop.id,
            "matched": stop.matched,
            "batch": stop.batch,
            "goods_code": stop.goods,
            "goods_name": data.get("goods_name") or goods_name,
            "lot": stop.lot,
            "cause": data.get("cause"),
            "reason": data.get("reason"),
            "since": event.get("time"),
            "until": data.get("until"),
            "left_mg": left_mg,
            "left_qty": left_qty,
        }

    def unpaid(self) -> list[Unpaid]:
        """What was sold a short while ago and is not paid: open tickets and single sales."""
        with self._bookkeeper.turn() as books:
            lines = [(line.id, line.data["ticket"], line.left_fen) for line in books.sales if line.settled_by is None][
                -_UNPAID:
            ]
        groups: dict[str, list[tuple[str, int]]] = {}
        for name, ticket, amount in lines:
            if amount:
                groups.setdefault(f"ticket {ticket}" if ticket is not None else name, []).append((name, amount))
        oldest = clock.now().wall_ms - _UNPAID_MS
        found = []
        for key, members in groups.items():
            row = self._store.find(members[-1][0])
            if row is None:
                continue
            event = orjson.loads(row.body)
            if datetime.fromisoformat(event["time"]).timestamp() * 1000 < oldest:
                continue
            whole, due = total((amount for _, amount in members), self._round_off.get(event["subject"], "none"))
            found.append(
                Unpaid(
                    station=event["subject"],
                    lines=tuple(name for name, _ in members),
                    ticket=key.removeprefix("ticket ") if key.startswith("ticket ") else None,
                    whole_fen=whole,
                    due_fen=due,
                )
            )
        return found

    def settlement(self, pay_digest: str) -> tuple[str, list[str]] | None:
        """The settlement of a payment, and the sales that it paid; looked for among the newest records."""
        head = self._store.head.sequence
        for row in self._store.containing(pay_digest, first=max(1, head - _FILTERED), last=head, limit=5):
            event = orjson.loads(row.body)
            if event["type"] == "trace.settlement.v1" and event["data"].get("pay_digest") == pay_digest:
                return event["id"], list(event["data"]["lines"])
        return None

    def figures(self, days: int) -> list[dict[str, Any]]:
        """The figures of the last days, oldest first; the last one is today."""
        return self._figures.days(days)

    def notice_board(self) -> dict[str, Any]:
        """What customers may see of today: what came in, what was tested, what was thrown away."""
        today = datetime.fromtimestamp(clock.now().wall_ms / 1000, self._zone).date().isoformat()
        kinds = {"trace.intake.v1": "batches", "trace.inspection.v1": "inspections", "trace.disposal.v1": "disposals"}
        shown: dict[str, Any] = {"day": today, "batches": [], "inspections": [], "disposals": []}
        before: int | None = None
        for _ in range(5):
            records, before = self.before(before, _PAGE, types=tuple(kinds))
            for each in records:
                event = orjson.loads(each.body)
                if event["time"][:10] < today:
                    return shown
                rows = shown[kinds[event["type"]]]
                if len(rows) < _BOARD:
                    rows.append(
                        {"time": event["time"], **{k: event["data"][k] for k in _ON_THE_BOARD if k in event["data"]}}
                    )
            if before is None:
                break
        return shown

    # --- tracing

    def trace(self, code: str) -> dict[str, Any]:
        """Where something came from and where it went; see `edge_agent.tracing`."""
        until = clock.monotonic() + _TRACE_SECONDS
        searched = 0
        cut = False

        def find(text: str) -> list[Mapping[str, Any]]:
            nonlocal searched, cut
            head = self._store.head.sequence
            found: list[Row] = []
            by_id = self._store.find(text) if len(text) == 36 and text.count("-") == 4 else None
            last = head
            while last > 0 and len(found) < _PER_LOOKUP:
                if clock.monotonic() > until or head - last >= _FURTHEST:
                    cut = True
                    break
                first = max(1, last - _CHUNK + 1)
                found += self._store.containing(text, first=first, last=last, limit=_PER_LOOKUP - len(found))
                searched = max(searched, head - first + 1)
                last = first - 1
            if by_id is not None and all(row.sequence != by_id.sequence for row in found):
                found.append(by_id)
            return [orjson.loads(row.body) for row in found]

        graph = tracing.trace(code, find, searched=lambda: searched)
        graph["truncated"] = graph["truncated"] or cut
        return graph


_ON_THE_BOARD: Final = (
    *("goods_code", "goods_name", "batch", "origin_code", "origin_name", "supplier", "supplier_name", "net_mg", "qty"),
    *("result", "items", "check_no", "inspector", "kind", "party"),
)


def _in(sequence: int, ranges: Iterable[Range]) -> bool:
    return any(first <= sequence <= last for first, last in ranges)


def _runs(sequences: Iterable[int]) -> list[Range]:
    """Sequences as ranges of at most a thousand."""
    runs: list[Range] = []
    for sequence in sorted(sequences):
        if runs and runs[-1][1] == sequence - 1 and sequence - runs[-1][0] < _MOST:
            runs[-1] = (runs[-1][0], sequence)
        else:
            runs.append((sequence, sequence))
    return runs
