"""The thread of one station: it alone owns the state machine and hands the records that follow to the store."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog

from edge_agent import clock
from edge_agent.board import Board
from edge_agent.health import Health
from edge_agent.model import Command, Observation, PushedSale, Scan
from edge_agent.office.bookkeeper import Bookkeeper
from edge_agent.records.envelope import Draft
from edge_agent.station import Outcome, Refused, Station, Watching
from edge_agent.store import CommitFailed, Kept, StoreClosed, StoreFull, Ticket
from edge_agent.supervisor.mailbox import Mailbox, Request

_TURN: Final = 0.25
_LONGEST_SCAN: Final = 4_096


class RecordKeeper(Protocol):
    """What a station's thread needs of the store."""

    def submit(self, draft: Draft, timeout: float = 5.0) -> Ticket:
        """Queue a draft for the next commit."""


@dataclass(slots=True)
class _Owed:
    """A sale whose device waits to hear that it is kept, and the records that have to be kept before."""

    device: str
    sale: PushedSale
    missing: set[str]


@dataclass(slots=True)
class _Unconfirmed:
    draft: Draft
    ticket: Ticket


class StationRunner:
    """The thread of one station."""

    def __init__(
        self,
        station_id: str,
        make: Callable[[], Station],
        keeper: RecordKeeper,
        bookkeeper: Bookkeeper,
        board: Board,
        health: Health,
        settled: Callable[[str, PushedSale], None] = lambda _device, _sale: None,
    ) -> None:
        self.station_id = station_id
        self._settled = settled
        self._owed: deque[_Owed] = deque()
        self._make = make
        self._keeper = keeper
        self._bookkeeper = bookkeeper
        self._board = board
        self._beat = health.part(f"station {station_id}", patience=30.0)
        self._forget = partial(health.forget, f"station {station_id}")
        self._log = structlog.get_logger().bind(station=station_id)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"station-{station_id}", daemon=True)
        self._unconfirmed: deque[_Unconfirmed] = deque()
        self._alarmed = False
        self.mailbox = Mailbox()

    def start(self) -> None:
        """Start working."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more; what is in the mailbox is still worked off. `join` waits for it."""
        self.mailbox.close()
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False when the thread still runs."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def command(
        self, command: Command, timeout: float, before: Callable[[Sequence[Draft]], None] | None = None
    ) -> tuple[Outcome, tuple[Kept, ...]]:
        """Have a command carried out and its records kept; `before` is called with them when they are about to be.

        Raises TimeoutError when that takes longer than `timeout` seconds, CommitFailed when a record could not be
        kept, StoreClosed when the agent is stopping.
        """
        until = clock.monotonic() + timeout
        request = Request(command, Future(), before)
        if not self.mailbox.put(request):
            raise StoreClosed("the agent is stopping")
        outcome, tickets = request.outcome.result(timeout)
        kept = tuple(t.wait(max(0.0, until - clock.monotonic())) for t in tickets if isinstance(t, Ticket))
        return outcome, kept

    def _run(self) -> None:
        station = self._make()
        while True:
            self._beat()
            item = self.mailbox.take(_TURN)
            over = item is None and self._stop.is_set()
            try:
                if isinstance(item, Request):
                    self._carry_out(station, item)
                elif item is not None:
                    self._observe(station, item)
                elif isinstance(station, Watching):
                    self._tick(station, over=over)
            except Exception:  # noqa: BLE001 -- the one supervising loop: one observation must not end the station
                self._log.exception("station.crashed")
                station = self._make()
            self._confirm()
            if over:
                break
        self._forget()

    def _tick(self, station: Watching, *, over: bool) -> None:
        """Nothing was observed for a while: what is not seen any more is gone, and at the end everything is."""
        with self._bookkeeper.turn():
            drafts = station.close(clock.now()) if over else station.tick(clock.now())
            self._bookkeeper.post(drafts)
            view = station.view if drafts else None
        for draft in drafts:
            self._submit(draft)
        if view is not None:
            self._board.post(f"station/{self.station_id}", view)

    def _observe(self, station: Station, observation: Observation) -> None:
        with self._bookkeeper.turn():
            drafts = station.observe(observation)
            self._bookkeeper.post(drafts)
            view = station.view
        for draft in drafts:
            self._submit(draft)
        if isinstance(observation.event, PushedSale):
            # Nothing to keep: it is recorded already, or about to be; then what is on its way comes first.
            ids = {d.id for d in drafts} or {entry.draft.id for entry in self._unconfirmed}
            self._owed.append(_Owed(observation.device, observation.event, ids))
        self._board.post(f"station/{self.station_id}", view)

    def _carry_out(self, station: Station, request: Request) -> None:
        try:
            with self._bookkeeper.turn():
                outcome = _outcome(station, request.command)
                self._bookkeeper.post(outcome.drafts)
                view = station.view
            self._board.post(f"station/{self.station_id}", view)
            if request.before is not None and outcome.drafts:
                request.before(outcome.drafts)
            tickets = tuple(self._submit(draft) for draft in outcome.drafts)
        except Exception as problem:  # whoever waits for the answer must hear of it too
            request.outcome.set_exception(problem)
            raise
        request.outcome.set_result((outcome, tickets))

    def _submit(self, draft: Draft) -> Ticket:
        """Hand a draft to the store, however long that takes: nothing observed is dropped while the agent lives."""
        while True:
            try:
                ticket = self._keeper.submit(draft, timeout=1.0)
            except StoreFull as problem:
                self._alarm(str(problem))
                self._beat()
                if self._stop.is_set():
                    self._log.error("record.not_kept", id=draft.id, type=draft.type, reason=str(problem))
                    raise
                continue
            self._unconfirmed.append(_Unconfirmed(draft, ticket))
            return ticket

    def _confirm(self) -> None:
        """Submit again what the store could not commit; the same id makes it the same record."""
        again = []
        while self._unconfirmed and self._unconfirmed[0].ticket.done:
            entry = self._unconfirmed.popleft()
            try:
                entry.ticket.wait(0)
            except CommitFailed as problem:
                self._alarm(str(problem))
                again.append(entry.draft)
            else:
                for owed in self._owed:
                    owed.missing.discard(entry.draft.id)
                if self._alarmed:
                    self._alarmed = False
                    self._board.post("alarm/store", None)
        while self._owed and not self._owed[0].missing:
            owed = self._owed.popleft()
            self._settled(owed.device, owed.sale)
        for draft in again:
            if self._stop.is_set():
                self._log.error("record.not_kept", id=draft.id, type=draft.type, reason="stopping")
            else:
                self._stop.wait(0.2)
                self._submit(draft)

    def _alarm(self, reason: str) -> None:
        if not self._alarmed:
            self._alarmed = True
            self._log.error("store.refuses", reason=reason)
        self._board.post("alarm/store", reason)


def _outcome(station: Station, command: Command) -> Outcome:
    """What a command leads to. `scan` is a code that reached a page, from a scanner that types or from a person:
    it goes the way of any other scan, as one of the device `page`.
    """
    if command.name != "scan":
        return station.command(command)
    text, symbology = command.arguments.get("text"), command.arguments.get("symbology")
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_SCAN or not isinstance(symbology, str | None):
        return Outcome(refused=Refused(code="bad-scan"))
    raw = text.encode("utf-8", "surrogatepass")
    clean = raw.decode("utf-8", "replace")
    scan = Scan(text=clean, raw=raw, symbology=symbology, lossy=clean != text)
    drafts = station.observe(Observation(device="page", driver="page", at=command.at, event=scan))
    detail = station.view.detail
    unknown = detail.get("not_goods") or detail.get("not_understood")
    return Outcome(drafts=tuple(drafts), refused=Refused(code="not-goods") if unknown else None)
