"""Reading what is kept, beside the committer and never in its way."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import orjson

from edge_agent.records.envelope import GENESIS_HASH
from edge_agent.store import schema
from edge_agent.store.catalogues import CatalogueVersion
from edge_agent.store.errors import Damaged, StoreClosed, StoreUnusable
from edge_agent.store.ranges import Ranges
from edge_agent.store.values import Counts, Head, Refused, Row, Salvaged, SigningKey

_NEAR: Final = 12_000  # ids are drawn before the queue, so they lie at most a queue and a group out of order
_STEP: Final = 5_000  # sequences looked through at a time where all that is found is handed on
_FAR: Final = 50_000  # sequences looked through at a time where the order of ids does not help


class _Handle:
    """One thread's connection. It is closed when the thread ends or when the store is closed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.close = weakref.finalize(self, connection.close)


class Reader:
    """Read-only access to a store's file, whether an agent runs or not. It takes no lock.

    Every thread gets a connection of its own. No read lasts longer than one bounded page of rows, so that the
    write-ahead log can always be brought in. Methods raise `StoreClosed` after `close`.
    """

    def __init__(self, path: Path, *, busy_timeout: float = 5.0) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._mine = threading.local()
        self._guard = threading.Lock()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> Reader:
        """A reader on a store that exists. Raises `StoreUnusable` where it does not, or is something else."""
        reader = cls(path)
        try:
            reader.head()
        except sqlite3.Error as problem:
            reader.close()
            raise StoreUnusable(f"{path} cannot be read as a store: {problem}") from problem
        return reader

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads; a read that is under way ends first."""
        with self._guard:
            self._closed = True
            handles = list(self._handles)
        for handle in handles:
            with handle.lock:
                handle.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        handle: _Handle | None = getattr(self._mine, "handle", None)
        if handle is None:
            handle = self._new_handle()
        with handle.lock:
            if self._closed:
                raise StoreClosed(f"{self.path} is closed")
            yield handle.connection

    def _new_handle(self) -> _Handle:
        with self._guard:
            if self._closed:
                raise StoreClosed(f"{self.path} is closed")
            handle = _Handle(schema.connect_reader(self.path, self._busy_timeout))
            self._handles.add(handle)
        self._mine.handle = handle
        return handle

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._connection() as connection:
            return connection.execute(query, values).fetchall()

    def _one(self, query: str, *values: Any) -> Any:
        with self._connection() as connection:
            cursor = connection.execute(query, values)
            try:
                return cursor.fetchone()
            finally:
                cursor.close()  # or the read transaction would stay open

    def read(self, first: int, *, last: int | None = None, limit: int, max_bytes: int | None = None) -> list[Row]:
        """Records from `first` to `last` in order, at most `limit`, at most `max_bytes` of bodies but at least one."""
        with self._connection() as connection:
            cursor = connection.execute(
                "SELECT sequence, body FROM records WHERE sequence >= ? AND sequence <= ? ORDER BY sequence LIMIT ?",
                (first, 2**63 - 1 if last is None else last, limit),
            )
            try:
                if max_bytes is None:
                    return list(map(Row._make, cursor))
                rows: list[Row] = []
                size = 0
                for row in map(Row._make, cursor):
                    size += len(row.body)
                    if rows and size > max_bytes:
                        break
                    rows.append(row)
                return rows
            finally:
                cursor.close()

    def count(self, first: int, last: int) -> int:
        """How many records from `first` to `last` are there."""
        return int(self._one("SELECT count(*) FROM records WHERE sequence BETWEEN ? AND ?", first, last)[0])

    def head(self) -> Head:
        """The last record's place; (0, 64 zeros) while there is none."""
        return head_of(self._one(LAST_ROW))

    def chain(self) -> str | None:
        """The id of this chain; None while there is no record."""
        row = self._one(LAST_ROW)
        return str(orjson.loads(row[1])["chain"]) if row else None

    def anchor(self) -> Head:
        """From where the chain can be verified: the place of the last record before which some were purged."""
        row = self._one("SELECT value FROM meta WHERE key = 'anchor'")
        return anchor_of(row)

    def statements(self) -> list[bytes]:
        """What was signed, in the order of the chain."""
        return [row[0] for row in self._all("SELECT body FROM statements ORDER BY sequence, kind, time")]

    def key_changes(self) -> list[bytes]:
        """The signed changes of keys, oldest first."""
        return [row[0] for row in self._all("SELECT body FROM statements WHERE kind = 'key' ORDER BY time")]

    def signing_keys(self) -> list[SigningKey]:
        """The public keys that signed, the present one last; as text, for they may be anything in a damaged file."""
        return list(map(SigningKey._make, self._all("SELECT id, public, since FROM signing_keys ORDER BY number")))

    def signing_blocked(self) -> str | None:
        """Why nothing is signed; None while all is well."""
        row = self._one("SELECT value FROM meta WHERE key = 'signing_blocked'")
        return None if row is None else str(row[0])

    def reached(self) -> int:
        """The highest sequence that some target has given its word on: the chain is at least that long."""
        query = (
            "SELECT max(coalesce((SELECT max(watermark) FROM outbox), 0),"
            " coalesce((SELECT max(last) FROM outbox_ranges), 0), coalesce((SELECT max(sequence) FROM quarantine), 0))"
        )
        return int(self._one(query)[0])

    def undelivered(self, last: int) -> list[tuple[int, int]]:
        """The sequences up to `last` that some target has not accepted, as far as it is on disk, as ranges."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                marks = connection.execute("SELECT target, watermark FROM outbox").fetchall()
                above = connection.execute("SELECT target, first, last FROM outbox_ranges").fetchall()
            finally:
                connection.execute("ROLLBACK")
        missing = Ranges()
        for target, watermark in marks:
            accepted = Ranges([(1, watermark)] if watermark else [])
            for name, first, end in above:
                if name == target:
                    accepted.add(first, end)
            for gap in accepted.gaps(1, last):
                missing.add(*gap)
        return list(missing)

    def note(self, key: str) -> str | None:
        """A remembered fact; None where there is none."""
        row = self._one("SELECT value FROM notes WHERE key = ?", key)
        return None if row is None else str(row[0])

    def catalogue(self, kind: str, version: int | None = None) -> CatalogueVersion | None:
        """A version of the catalogue's goods, parties or prices, the newest for None; None where there is none."""
        row = (
            self._one(f"{CATALOGUE} WHERE kind = ? ORDER BY version DESC LIMIT 1", kind)
            if version is None
            else (self._one(f"{CATALOGUE} WHERE kind = ? AND version = ?", kind, version))
        )
        return None if row is None else CatalogueVersion._make(row)

    def catalogue_versions(self) -> list[CatalogueVersion]:
        """Every version that is kept, without their bodies; newest first."""
        query = "SELECT kind, version, time_ms, source, rows, sha256, x'' FROM catalogue ORDER BY kind, version DESC"
        return list(map(CatalogueVersion._make, self._all(query)))

    def counts(self, target: str) -> Counts:
        """How the records stand towards a target, as far as it is on disk."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                kept = head_of(connection.execute(LAST_ROW).fetchone()).sequence
                row = connection.execute("SELECT watermark FROM outbox WHERE target = ?", (target,)).fetchone()
                above = connection.execute(
                    "SELECT coalesce(sum(last - first + 1), 0) FROM outbox_ranges WHERE target = ?", (target,)
                ).fetchone()
                refused = connection.execute("SELECT count(*) FROM quarantine WHERE target = ?", (target,)).fetchone()
            finally:
                connection.execute("ROLLBACK")
        delivered = (row[0] if row else 0) + above[0]
        return Counts(kept=kept, delivered=delivered, rejected=refused[0], pending=kept - delivered - refused[0])

    def pending(self, target: str) -> Ranges:
        """The records without a final verdict, as far as it is on disk: a second behind, so some may have one."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                head = head_of(connection.execute(LAST_ROW).fetchone()).sequence
                row = connection.execute("SELECT watermark FROM outbox WHERE target = ?", (target,)).fetchone()
                settled = Ranges([(1, row[0])] if row and row[0] else [])
                for query in (
                    "SELECT first, last FROM outbox_ranges WHERE target = ?",
                    "SELECT sequence, sequence FROM quarantine WHERE target = ?",
                ):
                    for first, last in connection.execute(query, (target,)):
                        settled.add(first, last)
            finally:
                connection.execute("ROLLBACK")
        return Ranges(settled.gaps(1, head))

    def quarantine(self, target: str, *, first: int = 1, last: int = 2**63 - 1, limit: int) -> list[Refused]:
        """Refused records from `first` to `last` in order, at most `limit`, as far as they are on disk."""
        rows = self._all(
            "SELECT sequence, id, code, reason, time_ms, state FROM quarantine"
            " WHERE target = ? AND sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?",
            *(target, first, last, limit),
        )
        names = ("sequence", "id", "code", "reason", "time_ms", "state")
        return [Refused(**dict(zip(names, row, strict=True))) for row in rows]

    def salvaged(self, *, after: tuple[str, int], limit: int) -> list[Salvaged]:
        """Records of earlier chains without a verdict, in order of chain and sequence, after the one named."""
        rows = self._all(
            "SELECT chain, sequence, body FROM salvaged WHERE refused IS NULL AND (chain, sequence) > (?, ?)"
            " ORDER BY chain, sequence LIMIT ?",
            *(*after, limit),
        )
        return list(map(Salvaged._make, rows))

    def salvaged_left(self) -> int:
        """How many records of earlier chains have no verdict, as far as it is on disk."""
        return int(self._one(SALVAGED_LEFT)[0])

    def count_salvaged(self, chain: str, first: int, last: int) -> int:
        """How many records of an earlier chain, from `first` to `last`, have no verdict."""
        query = "SELECT count(*) FROM salvaged WHERE refused IS NULL AND chain = ? AND sequence BETWEEN ? AND ?"
        return int(self._one(query, chain, first, last)[0])

    def find(self, id_or_sequence: str) -> Row | None:
        """The record with this id or sequence; None where there is none.

        There is no index on ids. UUIDv7 ids rise with the sequence but for a few places, so a binary search comes
        close; where the box's clock ran back between two starts, everything is looked through.
        """
        if id_or_sequence.isascii() and id_or_sequence.isdigit():
            rows = self.read(int(id_or_sequence), last=int(id_or_sequence), limit=1) if len(id_or_sequence) < 19 else []
            return rows[0] if rows else None
        wanted = id_or_sequence.lower()
        low, high = self._one("SELECT min(sequence), max(sequence) FROM records")
        if low is None:
            return None
        guess = self._search(wanted, low, high)
        near = self._scan(wanted, guess - _NEAR, guess + _NEAR)
        if near is not None:
            return near
        for first in range(low, high + 1, _FAR):
            row = self._scan(wanted, first, first + _FAR - 1)
            if row is not None:
                return row
        return None

    def naming(self, record_id: str, *, after: int) -> list[Row]:
        """The records after a sequence that correct this one, in order. Everything after it is looked through."""
        name = b'"corrects":"%b"' % record_id.encode(errors="replace")
        found: list[Row] = []
        last = self.head().sequence
        for first in range(after + 1, last + 1, _FAR):
            found += self._in_range(first, min(first + _FAR - 1, last), name)
        return found

    def containing(self, text: str, *, last: int, first: int, limit: int) -> list[Row]:
        """The newest records from `first` to `last` that hold this text as a whole JSON string, newest first.

        Every body in the range is looked through, so the caller bounds the range.
        """
        return self._in_range(first, last, b'"%b"' % orjson.dumps(text)[1:-1], newest=limit)

    def newest(self, before: int, limit: int) -> list[Row]:
        """The newest records before a sequence, newest first."""
        query = "SELECT sequence, body FROM records WHERE sequence < ? ORDER BY sequence DESC LIMIT ?"
        return list(map(Row._make, self._all(query, before, limit)))

    def holding(self, text: bytes, *, last: int) -> Iterator[Row]:
        """The records up to a sequence whose bytes hold a text, in order. Everything is looked through, in steps."""
        for first in range(self.anchor().sequence + 1, last + 1, _STEP):
            yield from self._in_range(first, min(first + _STEP - 1, last), text)

    def _in_range(self, first: int, last: int, text: bytes, *, newest: int | None = None) -> list[Row]:
        """The records of a range whose bytes hold a text, in order; or so many of the newest, newest first.

        There is no index: each body is looked through.
        """
        query = "SELECT sequence, body FROM records WHERE sequence BETWEEN ? AND ? AND instr(body, ?) ORDER BY sequence"
        if newest is None:
            return list(map(Row._make, self._all(query, first, last, text)))
        return list(map(Row._make, self._all(query + " DESC LIMIT ?", first, last, text, newest)))

    def _search(self, wanted: str, low: int, high: int) -> int:
        while low < high:
            middle = (low + high) // 2
            row = self._one("SELECT body FROM records WHERE sequence >= ? ORDER BY sequence LIMIT 1", middle)
            if row is None or orjson.loads(row[0])["id"] >= wanted:
                high = middle
            else:
                low = middle + 1
        return low

    def _scan(self, wanted: str, first: int, last: int) -> Row | None:
        rows = self._all(
            "SELECT sequence, body FROM records WHERE sequence BETWEEN ? AND ? AND instr(body, ?) ORDER BY sequence",
            *(first, last, wanted.encode(errors="replace")),
        )
        return next((Row._make(row) for row in rows if orjson.loads(row[1])["id"] == wanted), None)


SALVAGED_LEFT: Final = "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'salvaged_left'), 0)"
"""How many salvaged records have no verdict. The number is kept: to count a million rows takes seconds."""
CATALOGUE: Final = "SELECT kind, version, time_ms, source, rows, sha256, body FROM catalogue"
LAST_ROW: Final = "SELECT sequence, body FROM records ORDER BY sequence DESC LIMIT 1"


def head_of(row: tuple[int, bytes] | None) -> Head:
    """The place of the last row, read from its body."""
    return Head(row[0], str(orjson.loads(row[1])["hash"])) if row else Head(0, GENESIS_HASH)


def anchor_of(row: tuple[str] | None) -> Head:
    """The anchor as it is written in `meta`: sequence and hash with a space between."""
    if row is None:
        return Head(0, GENESIS_HASH)
    sequence, _, value = row[0].partition(" ")
    if not sequence.isdigit() or len(value) != len(GENESIS_HASH):
        raise Damaged(f"the anchor {row[0]!r} is not what was written")
    return Head(int(sequence), value)
