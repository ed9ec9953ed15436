"""Keeping the figures of the days: a thread that reads each record when it is new, and once more a day later.

How much of a day is delivered follows from the outbox's ranges at the moment of asking; nothing is marked. What is
counted is noted now and then, so that a start reads the newest records only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final

import orjson
import structlog

from edge_agent import clock
from edge_agent.kpi import COUNTED, Tally, corrected_sequence
from edge_agent.store import Kept, Row, Store

NOTE: Final = "figures"

_PAGE: Final = 500
_FURTHEST: Final = 500_000
"""Records looked at where nothing was noted: those before them are left out of the figures."""
_NOTED_EVERY: Final = 300.0
_AGED_EVERY: Final = 60.0
_A_DAY_MS: Final = 86_400_000
_NOT_A_RECORD: Final = (KeyError, TypeError, ValueError)
_ENDS: Final = tuple(f'"type":"{name}"}}'.encode() for name in COUNTED)


class FigureKeeper:
    """The figures of one store. `start` brings its thread."""

    def __init__(self, store: Store, zone: tzinfo, changed: Callable[[], None]) -> None:
        self._store = store
        self._zone = zone
        self._changed = changed
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._tally = Tally()
        self._folded = 0
        self._aged = 0
        self._thread = threading.Thread(target=self._run, name="figures", daemon=True)

    def start(self) -> None:
        """Begin counting."""
        self._load()
        self._store.on_kept(self._kept)
        self._wake.set()
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Note what is counted, and end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)

    def days(self, count: int) -> list[dict[str, Any]]:
        """The figures of the last days, oldest first; the last one is today."""
        today = datetime.fromtimestamp(clock.now().wall_ms / 1000, self._zone).date()
        outbox = self._store.outbox()
        with self._lock:
            known = {figures.day: figures for figures in self._tally.days()}
            found = [known.get(_back(today, n)) for n in reversed(range(count))]
            aged_to = self._aged
        shown = []
        for back, figures in zip(reversed(range(count)), found, strict=True):
            if figures is None:
                shown.append({"day": _back(today, back), **dict.fromkeys(_SHOWN, 0)})
                continue
            undelivered = _size(outbox.undelivered(figures.first, figures.last))
            pending = _size(outbox.pending(figures.first, figures.last))
            span = figures.last - figures.first + 1
            young = max(0, figures.last - max(aged_to, figures.first - 1))
            waits = _size(outbox.undelivered(max(aged_to + 1, figures.first), figures.last)) if young else 0
            shown.append(
                {
                    "day": figures.day,
                    "records": figures.records,
                    "sales": figures.sales,
                    "void": figures.void,
                    "amount_fen": figures.amount_fen,
                    "weight_mg": figures.weight_mg,
                    "linked": figures.linked,
                    "returns": figures.returns,
                    "returned_fen": figures.returned_fen,
                    "delivered": min(figures.records, span - undelivered),
                    "delivered_in_a_day": min(figures.records, figures.aged - figures.late + young - waits),
                    "refused": min(figures.records, undelivered - pending),
                }
            )
        return shown

    # --- the thread

    def _kept(self, _kept: Sequence[Kept]) -> None:
        self._wake.set()

    def _run(self) -> None:
        log = structlog.get_logger()
        noted = clock.monotonic()
        aged = 0.0
        while not self._stop.is_set():
            self._wake.wait(_AGED_EVERY)
            self._wake.clear()
            try:
                while self._fold_page() and not self._stop.wait(0.01):
                    pass
                now = clock.monotonic()
                if now - aged >= _AGED_EVERY:
                    aged = now
                    while self._age_page() and not self._stop.wait(0.01):
                        pass
                if now - noted >= _NOTED_EVERY:
                    noted = now
                    self._note()
            except Exception as problem:  # noqa: BLE001 -- figures are for looking at: their fault stops nothing
                log.error("figures.failed", reason=f"{type(problem).__name__}: {problem}")
                self._stop.wait(5.0)
        self._note()

    def _fold_page(self) -> bool:
        """Count the next records; whether there may be more."""
        rows = self._store.read(self._folded + 1, limit=_PAGE, max_bytes=1 << 18)
        for row in rows:
            self._fold(row)
        if rows:
            self._changed()
        return len(rows) == _PAGE

    def _fold(self, row: Row) -> None:
        try:
            time = _time_of(row.body)
            event = corrected = None
            if row.body.endswith(_ENDS):
                event = orjson.loads(row.body)
                wanted = corrected_sequence(event)
                corrected = None if wanted is None else self._as_it_stood(wanted, event)
            with self._lock:
                self._tally.count(time[:10], row.sequence)
                if event is not None:
                    self._tally.fold(event, corrected)
        except _NOT_A_RECORD as problem:
            structlog.get_logger().error("figures.record_unreadable", sequence=row.sequence, reason=str(problem))
        with self._lock:
            self._folded = row.sequence

    def _as_it_stood(self, sequence: int, correction: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The corrected record, with the amendments that came before this correction."""
        rows = self._store.read(sequence, last=sequence, limit=1)
        if not rows:
            return None
        event: dict[str, Any] = orjson.loads(rows[0].body)
        for row in self._store.naming(event["id"], after=sequence):
            later = orjson.loads(row.body)
            if later["sequence"] < correction["sequence"] and later["type"] == "trace.amend.v1":
                event["data"] = later["data"]["content"]
        return event

    def _age_page(self) -> bool:
        """Judge the next records that are a day old now; whether there may be more."""
        limit = clock.now().wall_ms - _A_DAY_MS
        rows = self._store.read(self._aged + 1, last=self._folded, limit=_PAGE, max_bytes=1 << 18)
        for row in rows:
            try:
                time = _time_of(row.body)
                if datetime.fromisoformat(time).timestamp() * 1000 > limit:
                    return False
            except _NOT_A_RECORD:
                time = ""
            late = bool(self._store.outbox().undelivered(row.sequence, row.sequence))
            with self._lock:
                if time:
                    self._tally.age(time[:10], late=late)
                self._aged = row.sequence
        return len(rows) == _PAGE

    # --- remembering over a restart

    def _load(self) -> None:
        floor = max(0, self._store.head.sequence - _FURTHEST, self._store.anchor.sequence)
        self._folded = self._aged = floor
        text = self._store.note(NOTE)
        if text is None:
            return
        try:
            noted: Mapping[str, Any] = orjson.loads(text)
            if noted["chain"] == self._store.chain and noted["folded"] <= self._store.head.sequence:
                self._tally = Tally(noted["days"])
                self._folded = max(floor, noted["folded"])
                self._aged = max(floor, noted["aged"])
        except _NOT_A_RECORD as problem:
            structlog.get_logger().error("figures.note_unreadable", reason=str(problem))

    def _note(self) -> None:
        with self._lock:
            value = {
                "chain": self._store.chain,
                "folded": self._folded,
                "aged": self._aged,
                "days": self._tally.to_plain(),
            }
        self._store.set_note(NOTE, orjson.dumps(value).decode())


_SHOWN: Final = (
    *("records", "sales", "void", "amount_fen", "weight_mg", "linked", "returns", "returned_fen"),
    *("delivered", "delivered_in_a_day", "refused"),
)


def _back(today: date, days: int) -> str:
    return (today - timedelta(days=days)).isoformat()


def _size(ranges: Sequence[tuple[int, int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)


def _time_of(body: bytes) -> str:
    """The time of a record, from its canonical bytes: its keys are in order, and `time` and `type` come last."""
    at = body.rfind(b'"time":"')
    time = body[at + 8 : at + 37].decode()
    if at < 0 or len(time) != 29:
        raise ValueError("the record has no time")
    return time
