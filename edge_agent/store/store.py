"""The store: where a record is kept before anyone is told that it is saved."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import tzinfo
from pathlib import Path
from typing import Any

import orjson

from edge_agent import clock
from edge_agent.model import Instant
from edge_agent.proof import AnyStatement
from edge_agent.records import ids
from edge_agent.records.bodies import Chain, clock_facts
from edge_agent.records.envelope import CHAIN_TYPE, Draft, draft
from edge_agent.store import damage, proof, schema, succession
from edge_agent.store.attestor import Attestor, DayRoots
from edge_agent.store.catalogues import Catalogues, CatalogueVersion
from edge_agent.store.committer import Committer, Listener
from edge_agent.store.errors import CommitFailed, Damaged, StoreError, StoreUnusable
from edge_agent.store.lock import Lock
from edge_agent.store.notes import Notes
from edge_agent.store.outbox import Outbox
from edge_agent.store.reading import LAST_ROW, SALVAGED_LEFT, Reader, head_of
from edge_agent.store.retention import Reserve, Retention, load_anchor
from edge_agent.store.salvage import last_known
from edge_agent.store.salvaged import SalvagedRecords, done_key
from edge_agent.store.succession import RESUMED, Resumed, Superseded
from edge_agent.store.tickets import Ticket
from edge_agent.store.values import Head, Kept, Limits, Row

PLATFORM = "platform"
"""The target that always exists. Without one that has accepted a record, nothing may be purged."""

_FIRST_COMMIT = 30.0


def _no_pulse() -> None:
    """Nobody watches."""


class Store:
    """One chain of records in one file, its outboxes, and the one thread that writes. Thread-safe.

    Made by `open`, ended by `stop`.
    """

    def __init__(
        self,
        *,
        path: Path,
        source: str,
        connection: sqlite3.Connection,
        lock: Lock,
        limits: Limits,
        pulse: Callable[[], None],
        zone: tzinfo,
    ) -> None:
        self.path = path
        self._lock_file = lock
        self._reader = Reader(path, busy_timeout=limits.busy_timeout)
        self._guard = threading.Lock()
        self._notes = Notes(connection)
        self._catalogues = Catalogues(connection, damage.aside_files(path))
        row = connection.execute(LAST_ROW).fetchone()
        event = None if row is None else damage.event_of(row[1])
        head = head_of(row)
        self._outboxes = {
            target: Outbox.load(connection, target, reader=self._reader, head=self._head_sequence)
            for (target,) in connection.execute("SELECT target FROM outbox ORDER BY target").fetchall()
        }
        self.attestor = Attestor(path=path, connection=connection, zone=zone, head=self._head_place)
        self._days = DayRoots(
            connection=connection,
            attestor=self.attestor,
            head=self._head_place,
            anchor=load_anchor(connection),
            reached=head.sequence,
            hurry=lambda: self._retention.urgent(),
        )
        self._retention = Retention(
            path=path,
            limits=limits,
            connection=connection,
            outboxes=self._all_outboxes,
            head=self._head_sequence,
            anchor=load_anchor(connection),
            passed=lambda: self._days.passed,
            purged=self.attestor.purged,
        )
        done = {key for (key,) in connection.execute("SELECT key FROM meta WHERE value = 'done'")}
        self.salvaged = SalvagedRecords(
            self._reader,
            [file for file in damage.aside_files(path) if done_key(file) not in done],
            left=connection.execute(SALVAGED_LEFT).fetchone()[0],
        )
        self._committer = Committer(
            path=path,
            connection=connection,
            source=source,
            chain=event["chain"] if event else ids.uuid7(clock.now().wall_ms),
            head=head,
            limits=limits,
            space=self._retention,
            riders=[self._notes, self._catalogues, self.attestor, *self._outboxes.values()],
            chores=[self._days, self._retention, self.salvaged],
            pulse=pulse,
        )
        self.attestor.begin(connection, self._committer.chain, self._retention.anchor)
        self.outbox(PLATFORM)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        source: str,
        zone: tzinfo,
        limits: Limits | None = None,
        pulse: Callable[[], None] = _no_pulse,
        on_kept: Listener | None = None,
    ) -> Store:
        """Open the store, or make it; returns when it has proved that it keeps what is written.

        `source` is the CloudEvents source of every record, `zone` the time zone of the chain's first record.
        `pulse` is called at least once a second by the committer for as long as it gets on. `on_kept` is as for
        the method of that name, and hears of a new chain's first record too.
        A damaged file is set aside, a new chain begins that names the old one, and what can be read of the old file
        is brought in little by little (`salvaged`).
        Raises `StoreBusy` where another process has the store, and `StoreUnusable` where the proof fails.
        """
        limits = limits or Limits()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StoreUnusable(
                f"the directory {path.parent} cannot be made: {problem.strerror};"
                " make it and give it to the agent's user"
            ) from problem
        lock = Lock(path)
        with ExitStack() as undo:
            undo.callback(lock.release)
            proof.refuse_network(path.parent)

            def load() -> Store:
                with ExitStack() as undo_connection:
                    connection = _connect(path, limits)
                    undo_connection.callback(connection.close)
                    store = cls(
                        path=path,
                        source=source,
                        connection=connection,
                        lock=lock,
                        limits=limits,
                        pulse=pulse,
                        zone=zone,
                    )
                    undo_connection.pop_all()
                    return store

            store = _load_or_set_aside(path, limits, load)
            undo.pop_all()
        if on_kept is not None:
            store.on_kept(on_kept)
        store._begin(source, zone)
        return store

    def _begin(self, source: str, zone: tzinfo) -> None:
        self._committer.start()
        old = succession.newest_marked(self.path)
        if not self.head.sequence:
            self._begin_chain(source, zone, old[1] if old else None)
        if old is not None:
            resumed = Resumed.loads(self._notes.get(RESUMED))
            if resumed is None or resumed.chain != self.chain:
                self._resume(*old)

    def _begin_chain(self, source: str, zone: tzinfo, old: Superseded | None) -> None:
        at = clock.now()
        first = draft(
            type=CHAIN_TYPE, subject=source.rpartition("/")[2], at=at, zone=zone, data=_chain_data(self.path, at, old)
        )
        try:
            self.keep(first, timeout=_FIRST_COMMIT)
        except (StoreError, TimeoutError) as problem:
            self.stop(_FIRST_COMMIT)
            raise StoreUnusable(f"{self.path}: the first record could not be kept: {problem}") from problem

    def _resume(self, aside: Path, found: Superseded) -> None:
        """Keep again what was kept before the old chain was found to be superseded; a crash in between ends nothing."""
        done = self.head.sequence - 1
        ticket = None
        for number, each in enumerate(succession.kept_since(aside, found)):
            if number >= done:
                ticket = self.submit(each, timeout=_FIRST_COMMIT)
        if ticket is not None:
            ticket.wait(_FIRST_COMMIT)
        chain, sequence, _ = last_known(aside) or (found.chain, 0, "")
        resumed = Resumed(chain=self.chain, sequence=self.head.sequence, old_chain=chain, old_sequence=sequence)
        self.set_note(RESUMED, resumed.dumps())

    # --- records

    @property
    def chain(self) -> str:
        """The id of this chain."""
        return self._committer.chain

    @property
    def head(self) -> Head:
        """The last committed record's place."""
        return self._committer.head

    @property
    def anchor(self) -> Head:
        """The place from which the chain can be verified; (0, 64 zeros) where nothing was purged."""
        return self._retention.anchor

    @property
    def trouble(self) -> str | None:
        """Why records are not being kept, in words for the page and the log; None while all is well."""
        return self._retention.full or self._committer.trouble

    def submit(self, draft: Draft, timeout: float = 5.0) -> Ticket:
        """Hand a draft to the committer. The ticket resolves after the COMMIT that made it durable.

        Raises `StoreFull` where the queue stays full for `timeout` seconds or the disk holds nothing but unsent
        records, and `StoreClosed` after `stop`.
        """
        return self._committer.submit(draft, timeout)

    def keep(self, draft: Draft, timeout: float = 5.0) -> Kept:
        """Submit and wait, each for at most `timeout` seconds. Raises what `submit` and `Ticket.wait` raise."""
        return self.submit(draft, timeout).wait(timeout)

    def on_kept(self, listener: Listener) -> None:
        """Have `listener` called with what each commit kept, after it, on the committer's thread: it must not block."""
        self._committer.listen(listener)

    @property
    def reader(self) -> Reader:
        """Reading beside the committer; closed by `stop`."""
        return self._reader

    def read(self, first: int, *, last: int | None = None, limit: int, max_bytes: int | None = None) -> list[Row]:
        """Kept records in order; see `Reader.read`."""
        return self._reader.read(first, last=last, limit=limit, max_bytes=max_bytes)

    def count(self, first: int, last: int) -> int:
        """How many records of a range are there; see `Reader.count`."""
        return self._reader.count(first, last)

    def find(self, id_or_sequence: str) -> Row | None:
        """The record with this id or sequence; see `Reader.find`."""
        return self._reader.find(id_or_sequence)

    def naming(self, record_id: str, *, after: int) -> list[Row]:
        """The later records that correct this one; see `Reader.naming`."""
        return self._reader.naming(record_id, after=after)

    def containing(self, text: str, *, last: int, first: int, limit: int) -> list[Row]:
        """The newest records that hold this text; see `Reader.containing`."""
        return self._reader.containing(text, last=last, first=first, limit=limit)

    def newest(self, before: int, limit: int) -> list[Row]:
        """The newest records before a sequence, newest first."""
        return self._reader.newest(before, limit)

    # --- what is signed

    def checkpoint(self) -> bytes | None:
        """The signed head of the chain as it is published; None while signing is blocked."""
        return self.attestor.checkpoint()

    def key_changes(self) -> list[bytes]:
        """The signed changes of keys, oldest first."""
        return self._reader.key_changes()

    def signed_by_us(self, statement: AnyStatement) -> bool:
        """Whether one of the keys of this store signed it."""
        return self.attestor.knows(statement)

    @property
    def head_sequence(self) -> int:
        """The last committed record's sequence."""
        return self.head.sequence

    def place_at(self, sequence: int) -> str | None:
        """The hash of a record; None where it is not there."""
        rows = self.read(sequence, last=sequence, limit=1)
        return None if not rows else str(orjson.loads(rows[0].body)["hash"])

    def predecessor(self) -> str | None:
        """The chain that this one says it follows; None where it says none, or its first record was purged."""
        rows = self.read(1, last=1, limit=1)
        name = orjson.loads(rows[0].body)["data"].get("old_chain") if rows else None
        return name if isinstance(name, str) else None

    def supersede(self, found: Superseded) -> None:
        """Others hold more of this chain than this file: sign nothing more, and begin a new chain at the next opening.

        Durable with the next commit, within a second, or with `stop`.
        """
        self.attestor.block(found.reason, **{succession.SUPERSEDED: found.dumps()})

    # --- what else is remembered

    def note(self, key: str) -> str | None:
        """A remembered fact; None where there is none."""
        return self._notes.get(key)

    def set_note(self, key: str, value: str) -> None:
        """Remember a fact; on disk with the next commit or at the latest a second later."""
        self._notes.set(key, value)

    def flush_notes(self, timeout: float) -> None:
        """Have all notes on disk before this returns. Raises `CommitFailed` where that takes longer."""
        self._committer.hurry()
        if not self._notes.until_written(timeout):
            raise CommitFailed(f"{self.path}: a note was not on disk within {timeout} s")

    def newest_catalogue(self, kind: str) -> CatalogueVersion | None:
        """The newest version of the catalogue's goods, parties or prices; None where there never was one."""
        return self._catalogues.newest(kind)

    def keep_catalogue(
        self, kind: str, body: bytes, *, rows: int, source: str, at: Instant, timeout: float = 20.0
    ) -> CatalogueVersion:
        """Keep a new version; returns after its COMMIT. Raises `CommitFailed` where that takes too long."""
        return self._catalogues.put(kind, body, rows=rows, source=source, at=at, timeout=timeout)

    def outbox(self, target: str = PLATFORM) -> Outbox:
        """The outbox of a target; made where it is new."""
        with self._guard:
            outbox = self._outboxes.get(target)
            if outbox is None:
                outbox = Outbox(
                    target, reader=self._reader, head=self._head_sequence, watermark=self.anchor.sequence, new=True
                )
                self._outboxes[target] = outbox
                self._committer.carry(outbox)
            return outbox

    def stop(self, timeout: float = 5.0) -> None:
        """Commit what is queued, resolve all tickets, close, and let the lock go.

        Raises TimeoutError where the committer needs longer; the lock stays held then.
        """
        self._committer.stop(timeout)
        self._reader.close()
        self._committer.close()
        self._lock_file.release()

    def _head_place(self) -> Head:
        return self._committer.head

    def _head_sequence(self) -> int:
        return self._committer.head.sequence

    def _all_outboxes(self) -> list[Outbox]:
        with self._guard:
            return list(self._outboxes.values())


def _load_or_set_aside(path: Path, limits: Limits, load: Callable[[], Store]) -> Store:
    """What `load` makes of the file; a damaged file is set aside first, and then `load` finds none."""
    superseded = succession.marked(path)
    reason = damage.examine(path, limits.busy_timeout) if superseded is None else superseded.reason
    try:
        if reason is None:
            try:
                return load()
            except Damaged as problem:
                reason = str(problem)
            except damage.UNREADABLE as problem:
                if not damage.is_damage(problem):
                    raise
                reason = str(problem)
        damage.set_aside(path, reason)
        return load()
    except sqlite3.Error as problem:
        raise StoreUnusable(
            f"{path} cannot be opened: {problem}; the agent's user must be able to write it and its directory"
        ) from problem


def _connect(path: Path, limits: Limits) -> sqlite3.Connection:
    connection = schema.connect_writer(path, limits.busy_timeout)
    try:
        try:
            _ready(connection, path, limits)
        except (sqlite3.OperationalError, StoreUnusable):
            # A disk that filled up while the agent was away: the reserve is there for this.
            if not Reserve(path, limits.reserve_bytes).release():
                raise
            _ready(connection, path, limits)
    except BaseException:
        connection.close()
        raise
    return connection


def _ready(connection: sqlite3.Connection, path: Path, limits: Limits) -> None:
    schema.migrate(connection, path)
    proof.prove(connection, path, limits.busy_timeout)
    succession.carry_over(connection, path)


def _chain_data(path: Path, at: Instant, old: Superseded | None) -> dict[str, Any]:
    """The body of a chain's first record; it names the chain before where a file had to be set aside."""
    if old is not None and old.hash is not None:
        return Chain(
            clock=clock_facts(at),
            reason=old.reason,
            old_chain=old.chain,
            old_sequence=old.sequence,
            old_hash=old.hash,
        ).to_data()
    asides = damage.aside_files(path)
    if not asides:
        return Chain(clock=clock_facts(at)).to_data()
    chain, sequence, value = last_known(asides[-1]) or (None, None, None)
    return Chain(
        clock=clock_facts(at),
        reason=damage.why_set_aside(asides[-1]),
        old_chain=chain,
        old_sequence=sequence,
        old_hash=value,
    ).to_data()
