"""The committer: the one thread that writes. It alone gives records their place on the chain.

It commits at once when idle and gathers what arrives while the previous sync runs, so that a lone record waits for
one sync and a burst shares it. A ticket resolves only after its COMMIT (WAL, synchronous=FULL) returned.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from edge_agent import clock
from edge_agent.records.envelope import Draft, Sealed, seal
from edge_agent.store import damage, schema
from edge_agent.store import tickets as ticketing
from edge_agent.store.errors import StoreClosed, StoreFull, StoreUnusable
from edge_agent.store.reading import LAST_ROW, head_of
from edge_agent.store.tickets import Ticket
from edge_agent.store.values import Head, Kept, Limits

TICK: Final = 1.0
"""Seconds between two looks at what is not a record: the longest that a verdict waits to be durable."""

_log = structlog.get_logger(__name__)

Listener = Callable[[Sequence[Kept]], None]


class Work(Protocol):
    """Something besides records that the committer writes. Only the committer's thread calls these."""

    def waiting(self) -> bool:
        """Whether there is something to write now; cheap."""

    def write(self, connection: sqlite3.Connection) -> None:
        """Write it, inside a transaction that the committer began."""

    def committed(self) -> None:
        """The transaction is durable."""

    def rolled_back(self) -> None:
        """The transaction did not happen."""


class Chore(Work, Protocol):
    """Work in bounded steps for quiet moments, in transactions of its own."""

    def urgent(self) -> bool:
        """Whether the next step must not wait for a quiet moment."""

    def owed(self) -> bool:
        """Whether somebody was told of something that is not on disk yet: it is written before the store ends."""


class Space(Protocol):
    """Who knows whether there is room, and can make some."""

    @property
    def full(self) -> str | None:
        """Why no record can be taken; None while there is room."""

    def failed(self, problem: sqlite3.Error) -> bool:
        """A commit failed: whether it was for want of room. What is held in reserve has been given back then."""


# Rows in one INSERT: SQLite lets go of the interpreter's lock once a statement, so that many rows in one statement
# keep a busy producer from taking turns with the committer at every row.
_ONE: Final = "INSERT INTO records (sequence, body) VALUES (?, ?)"
_CHUNKS: Final = tuple((rows, _ONE + ", (?, ?)" * (rows - 1)) for rows in (256, 16, 1))


def insert(connection: sqlite3.Connection, rows: Sequence[Sealed]) -> None:
    """Insert sealed records in as few statements as may be."""
    at = 0
    for size, statement in _CHUNKS:
        while len(rows) - at >= size:
            chunk = rows[at : at + size]
            connection.execute(statement, [value for row in chunk for value in (row.sequence, row.body)])
            at += size


class Committer:
    """Owns the write connection and the head of the chain. `start` begins the thread, `stop` ends it."""

    def __init__(
        self,
        *,
        path: Path,
        connection: sqlite3.Connection,
        source: str,
        chain: str,
        head: Head,
        limits: Limits,
        space: Space,
        riders: Sequence[Work],
        chores: Sequence[Chore],
        pulse: Callable[[], None],
    ) -> None:
        self.chain = chain
        self.head = head
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._source = source
        self._limits = limits
        self._space = space
        self._riders = list(riders)
        self._chores = list(chores)
        self._pulse = pulse
        self._listeners: tuple[Listener, ...] = ()
        self._queue: deque[Ticket] = deque()
        self._group: list[Ticket] = []
        self._lock = threading.Lock()
        self._wake = threading.Lock()  # held but for the moment in which the committer is told of work
        self._wake.acquire()
        self._room = threading.Condition(self._lock)
        self._waiting_for_room = 0
        self._idle = False
        self._hurry = False
        self._stopping = False
        self._stop_asked = threading.Event()
        self._trouble: str | None = None
        self._next_chore = 0.0
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    # --- any thread

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def submit(self, draft: Draft, timeout: float) -> Ticket:
        """Queue a draft; see `Store.submit`."""
        if self._space.full is not None:
            raise StoreFull(self._space.full)
        ticket = Ticket(draft)
        with self._lock:
            if len(self._queue) >= self._limits.queue and not self._stopping:
                self._wait_for_room(timeout)
            if self._stopping:
                raise StoreClosed(f"{self._path} takes nothing more: the store is stopped")
            self._queue.append(ticket)
            self._rouse()
        return ticket

    def hurry(self) -> None:
        """Write what the riders have to write now, where nothing else is being written."""
        with self._lock:
            self._hurry = True
            self._rouse()

    def _rouse(self) -> None:
        """Wake the committer where it sleeps. A bare lock: half the price of a condition, and paid for each record."""
        if self._idle:
            self._idle = False
            self._wake.release()

    def _wait_for_room(self, timeout: float) -> None:
        self._waiting_for_room += 1
        try:
            found = self._room.wait_for(lambda: len(self._queue) < self._limits.queue or self._stopping, timeout)
        finally:
            self._waiting_for_room -= 1
        if not found:
            raise StoreFull(
                f"{self._path}: {self._limits.queue} records wait for the disk, and there was no room for another"
                f" within {timeout} s"
            )

    def listen(self, listener: Listener) -> None:
        """Have `listener` called after each commit, on the committer's thread."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def carry(self, rider: Work) -> None:
        """Write this too, with every commit from now on."""
        with self._lock:
            self._riders = [*self._riders, rider]

    @property
    def trouble(self) -> str | None:
        """Why the last commit failed; None while commits succeed."""
        return self._trouble

    def stop(self, timeout: float) -> None:
        """Commit what is queued and end. Raises TimeoutError where that takes longer."""
        with self._lock:
            self._stopping = True
            self._stop_asked.set()
            self._rouse()
            self._room.notify_all()
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"{self._path}: the committer is still at work after {timeout} s")

    def close(self) -> None:
        """Close the write connection after `stop`. The last connection to close brings the log into the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- the committer's thread

    def _run(self) -> None:
        try:
            while (group := self._take()) is not None:
                if group:
                    self._commit(group)
                self._do_chores(idle=not group)
                if self._trouble is None or self._space.full is not None:
                    self._pulse()
            self._write_riders()
            for chore in self._chores:
                if chore.owed():
                    self._transact([], [chore])
        finally:
            self._abandon()

    def _take(self) -> list[Ticket] | None:
        """The next group; empty when a tick went by without one; None when the store stops and all is committed."""
        limits = self._limits
        with self._lock:
            sleep = not (self._queue or self._stopping or self._hurry or self._hurried())
            self._hurry = False
            self._idle = sleep
        if sleep:
            self._wake.acquire(timeout=TICK)
        if limits.gather_ms and self._queue:
            self._stop_asked.wait(limits.gather_ms / 1000)
        with self._lock:
            if self._idle:
                self._idle = False  # the tick ended the sleep
            elif sleep:
                self._wake.acquire(blocking=False)  # or it was roused in the moment in which the tick came
            if not self._queue:
                return None if self._stopping else []
            group: list[Ticket] = []
            size = 0
            while self._queue and len(group) < limits.group and size < limits.group_bytes:
                ticket = self._queue.popleft()
                group.append(ticket)
                size += len(ticket.draft.data)
            if self._waiting_for_room:
                self._room.notify_all()
            return group

    def _hurried(self) -> bool:
        """Whether a chore has another step to do; not while commits fail, or the loop would spin."""
        return self._trouble is None and any(chore.waiting() for chore in self._chores)

    def _commit(self, group: list[Ticket]) -> None:
        self._group = group  # should this thread end by an error, `_abandon` still fails their tickets
        try:
            self._open()  # before sealing: an opened connection tells anew where the head is
        except (sqlite3.Error, StoreUnusable) as problem:
            self._undo(problem)
            ticketing.fail(group, f"the database cannot be opened: {problem}")
            return
        tickets, sealed = self._seal(group)
        if not self._transact(sealed, self._riders):
            ticketing.fail(tickets, f"the commit failed: {self._trouble}")
            return
        self._resolve(tickets, sealed)

    def _seal(self, group: list[Ticket]) -> tuple[list[Ticket], list[Sealed]]:
        """Give each draft its place after the head. A draft that cannot be written down fails alone."""
        sequence, prevhash = self.head
        tickets: list[Ticket] = []
        rows: list[Sealed] = []
        for ticket in group:
            try:
                row = seal(
                    ticket.draft, source=self._source, chain=self.chain, sequence=sequence + 1, prevhash=prevhash
                )
            except (TypeError, ValueError, AttributeError) as problem:
                ticketing.fail([ticket], f"the draft cannot be sealed: {problem}")
                continue
            sequence, prevhash = row.sequence, row.hash
            tickets.append(ticket)
            rows.append(row)
        return tickets, rows

    def _resolve(self, tickets: list[Ticket], sealed: list[Sealed]) -> None:
        chain = self.chain
        kept = [
            Kept(row.sequence, ticket.draft.id, ticket.draft.type, ticket.draft.subject, row.hash, chain)
            for ticket, row in zip(tickets, sealed, strict=True)
        ]
        ticketing.resolve(tickets, kept)
        for listener in self._listeners:
            listener(kept)

    def _do_chores(self, *, idle: bool) -> None:
        """What is not a record: changed outboxes when a tick went by without a commit, then one step of each chore.

        A box that is never idle gives chores a step a second.
        """
        now = clock.monotonic()
        due = idle or now >= self._next_chore
        if idle and (self._trouble is not None or any(rider.waiting() for rider in self._riders)):
            self._write_riders()
        for chore in self._chores:
            if (due or chore.urgent()) and chore.waiting():
                # Outboxes after the chore: what it purges as delivered is then on disk as delivered, too.
                self._transact([], [chore, *self._riders])
        if due:
            self._next_chore = now + TICK

    def _write_riders(self) -> None:
        """Write what changed; after a failure write in any case, to learn whether the disk is well again."""
        self._transact([], self._riders)

    def _transact(self, sealed: Sequence[Sealed], works: Sequence[Work]) -> bool:
        """One transaction; False, with `trouble` set, where it failed. Tried again once where room could be made."""
        if not (sealed or self._trouble or any(work.waiting() for work in works)):
            return True
        taken: list[Work] = []
        for attempt in (1, 2):
            taken = []
            try:
                connection = self._open()
                if sealed and sealed[0].sequence != self.head.sequence + 1:
                    raise sqlite3.IntegrityError("the head moved while the database was opened again")
                connection.execute("BEGIN IMMEDIATE")
                insert(connection, sealed)
                for work in works:
                    if work.waiting():
                        taken.append(work)
                        work.write(connection)
                if self._trouble is not None:
                    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('well', ?)", (self._trouble,))
                connection.execute("COMMIT")
            except (sqlite3.Error, StoreUnusable) as problem:
                for work in taken:
                    work.rolled_back()
                self._undo(problem)
                if isinstance(problem, sqlite3.Error) and self._space.failed(problem) and attempt == 1:
                    continue
                return False
            break
        if sealed:
            self.head = Head(sealed[-1].sequence, sealed[-1].hash)
        for work in taken:
            work.committed()
        if self._trouble is not None:
            _log.info("store.well_again", path=str(self._path), after=self._trouble)
            self._trouble = None
        return True

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = schema.connect_writer(self._path, self._limits.busy_timeout)
            self._reread(self._connection)
        return self._connection

    def _undo(self, problem: sqlite3.Error | StoreUnusable) -> None:
        """Roll back and take the head from the file again, so that the next sequence is right whatever happened."""
        if self._trouble is None:
            _log.error("store.commit_failed", path=str(self._path), reason=str(problem))
        self._trouble = str(problem)
        if isinstance(problem, sqlite3.Error) and damage.is_damage(problem):
            damage.suspect(self._path, str(problem))
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._reread(connection)
        except sqlite3.Error:
            self._connection = None
            connection.close()

    def _reread(self, connection: sqlite3.Connection) -> None:
        self.head = head_of(connection.execute(LAST_ROW).fetchone())

    def _abandon(self) -> None:
        """The thread ends: nobody shall wait for it, even where it ends by an error."""
        with self._lock:
            self._stopping = True
            left = [ticket for ticket in (*self._group, *self._queue) if not ticket.done]
            self._queue.clear()
            self._room.notify_all()
        ticketing.fail(left, "the committer has ended")
