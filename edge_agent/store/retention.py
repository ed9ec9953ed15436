"""Room: what may be purged, when, and what to do when there is none.

Only delivered records are ever purged, oldest first, a bounded number at a time. A reserve file holds back enough of
the disk that verdicts can still be written and room be made when everything else is full.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import structlog

from edge_agent import clock
from edge_agent.store.outbox import Outbox
from edge_agent.store.ranges import Ranges
from edge_agent.store.reading import anchor_of
from edge_agent.store.schema import PAGE_SIZE
from edge_agent.store.values import Head, Limits

_log = structlog.get_logger(__name__)

STEP: Final = 500
"""Sequences looked at in one step."""

_LOOK_EVERY: Final = 1.0
_AGE_EVERY: Final = 3600.0
_NEARLY_NOTHING: Final = 64 * PAGE_SIZE
_DAY_MS: Final = 86_400_000


class Reserve:
    """A file of `size` bytes that is given back to the file system when it is full."""

    def __init__(self, store: Path, size: int) -> None:
        self.path = store.with_name(store.name + ".reserve")
        self.size = size
        self.held = self.path.exists()

    def take(self, margin: int) -> bool:
        """Hold the bytes back, if `margin` more are left then. Whether they are held now."""
        if not self.held and shutil.disk_usage(self.path.parent).free >= self.size + margin:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.posix_fallocate(fd, 0, self.size)
                self.held = True
            except OSError:
                self.path.unlink()
            finally:
                os.close(fd)
        return self.held

    def release(self) -> bool:
        """Give the bytes back; whether there were any."""
        held, self.held = self.held, False
        self.path.unlink(missing_ok=True)
        return held


class _Demand(NamedTuple):
    """Why room must be made, and whether there is none at all until it is."""

    reason: str
    full: bool


class Retention:
    """Decides what goes. A chore of the committer, and its word on room.

    `anchor` is the place from which the chain can be verified: every record after it is there; of those up to it
    only the ones that were not delivered when the purge passed. Nothing goes that `passed` does not reach: it counts
    for no day yet. `purged` is told the new anchor, within the transaction.
    """

    def __init__(
        self,
        *,
        path: Path,
        limits: Limits,
        connection: sqlite3.Connection,
        outboxes: Callable[[], Sequence[Outbox]],
        head: Callable[[], int],
        anchor: Head,
        passed: Callable[[], int],
        purged: Callable[[sqlite3.Connection, Head], None],
    ) -> None:
        self._path = path
        self._limits = limits
        self._outboxes = outboxes
        self._head = head
        self._passed = passed
        self._sign = purged
        self._reserve = Reserve(path, limits.reserve_bytes)
        self._reserve.take(_NEARLY_NOTHING)
        self.anchor = anchor
        self._next_anchor = anchor
        # What the purge left standing up to the anchor: refused records and those without a verdict.
        query = "SELECT sequence FROM records WHERE sequence <= ? ORDER BY sequence"
        self._left = Ranges((s, s) for (s,) in connection.execute(query, (self.anchor.sequence,)))
        self._next_left = self._left
        self._purged = 0
        self._more = False
        self._short = not self._reserve.held
        self._next_look = 0.0
        self._next_age = 0.0
        self._full: str | None = None

    @property
    def full(self) -> str | None:
        """Why no record can be taken; None while there is room."""
        return self._full

    def failed(self, problem: sqlite3.Error) -> bool:
        """A commit failed. Where the disk is full, give the reserve back and say yes."""
        out_of_room = getattr(problem, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        if not out_of_room and shutil.disk_usage(self._path.parent).free > _NEARLY_NOTHING:
            return False
        if self._reserve.release():
            _log.error("store.reserve_released", path=str(self._path), bytes=self._limits.reserve_bytes)
        self._short = self._more = True
        return True

    # --- the committer's thread

    def owed(self) -> bool:
        """What is not done before the end is done after the next start."""
        return False

    def urgent(self) -> bool:
        """Whether room is short."""
        return self._short or self._full is not None

    def waiting(self) -> bool:
        """Whether it is time to look, or there was more to purge."""
        return self._more or clock.monotonic() >= self._next_look

    def write(self, connection: sqlite3.Connection) -> None:
        """Look at the room and the age of what is kept, and purge one step if that is due."""
        now = clock.monotonic()
        self._next_look = now + _LOOK_EVERY
        self._more = False
        self._purged = 0
        self._next_anchor, self._next_left = self.anchor, self._left
        demand = self._demand(connection)
        self._short = demand is not None
        if demand is not None:
            self._purge(connection, older_than=None)
            self._more = self._purged > 0
            exhausted = demand.full and not self._more
            self._note_full(f"{self._path}: {demand.reason}, and nothing more is delivered" if exhausted else None)
            return
        self._note_full(None)
        if now >= self._next_age and clock.now().synced:
            self._purge(connection, older_than=clock.now().wall_ms - self._limits.keep_days * _DAY_MS)
            self._more = self._purged > 0
            if not self._more:
                self._next_age = now + _AGE_EVERY

    def _demand(self, connection: sqlite3.Connection) -> _Demand | None:
        """Why room must be made now; None where it need not."""
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (unused,) = connection.execute("PRAGMA freelist_count").fetchone()
        limit = self._limits.max_bytes
        if limit is not None and (pages - unused) * PAGE_SIZE > limit:
            return _Demand(f"the database holds more than max_bytes ({limit})", full=True)
        reserve = self._limits.reserve_bytes
        if self._reserve.take(reserve) or unused * PAGE_SIZE >= reserve:
            return None
        # Unused pages inside the file serve new records as well as unused disk; the last quarter is kept for verdicts.
        return _Demand(
            f"the disk is full (less than reserve_bytes, {reserve}, are left)", full=unused * PAGE_SIZE < reserve // 4
        )

    def _note_full(self, reason: str | None) -> None:
        if reason is not None and self._full is None:
            _log.error("store.full", path=str(self._path), reason=reason)
        elif reason is None and self._full is not None:
            _log.warning("store.room_again", path=str(self._path))
        self._full = reason

    def _purge(self, connection: sqlite3.Connection, *, older_than: int | None) -> None:
        if not self._purge_left(connection, older_than):
            self._purge_next(connection, older_than)

    def _purge_left(self, connection: sqlite3.Connection, older_than: int | None) -> bool:
        """Records that an earlier purge had to leave standing and that are delivered by now."""
        stays = Ranges()
        for outbox in self._outboxes():
            for first, last in self._left:
                for gap in outbox.undelivered(first, last):
                    stays.add(*gap)
        delivered = Ranges(gap for first, last in self._left for gap in stays.gaps(first, last))
        goes = _lowest(delivered, STEP)
        if not goes or (
            older_than is not None and max(self._times(connection, goes), default=older_than) >= older_than
        ):
            return False
        left = Ranges(self._left)
        for first, last in goes:
            self._delete(connection, first, last)
            left.remove(first, last)
        self._next_left = left
        return True

    def _times(self, connection: sqlite3.Connection, ranges: Sequence[tuple[int, int]]) -> Iterator[int]:
        for first, last in ranges:
            for (body,) in connection.execute("SELECT body FROM records WHERE sequence BETWEEN ? AND ?", (first, last)):
                yield _wall_ms(body)

    def _purge_next(self, connection: sqlite3.Connection, older_than: int | None) -> None:
        """The next delivered records after the anchor; the anchor moves past them."""
        first = self._next_delivered(self.anchor.sequence + 1)
        end = min(self._head() - 1, self._passed())
        if first is None or first > end:
            return  # the last record always stays: the head of the chain is read from it
        last = min(first + STEP - 1, end)
        query = "SELECT body FROM records WHERE sequence BETWEEN ? AND ? ORDER BY sequence"
        bodies = [body for (body,) in connection.execute(query, (first, last))]
        if older_than is not None and max(map(_wall_ms, bodies)) >= older_than:
            return
        stays = Ranges()
        for outbox in self._outboxes():
            for gap in outbox.undelivered(first, last):
                stays.add(*gap)
        for begin, end in stays.gaps(first, last):
            self._delete(connection, begin, end)
        self._next_left = Ranges((*self._left, *stays))
        if first > self.anchor.sequence + 1:
            self._next_left.add(self.anchor.sequence + 1, first - 1)
        self._next_anchor = Head(last, str(orjson.loads(bodies[-1])["hash"]))
        connection.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('anchor', ?)",
            (f"{self._next_anchor.sequence} {self._next_anchor.hash}",),
        )
        self._sign(connection, self._next_anchor)

    def _next_delivered(self, first: int) -> int | None:
        """The lowest sequence from `first` on that every target has accepted."""
        while True:
            nexts = [outbox.next_delivered(first) for outbox in self._outboxes()]
            if not nexts or None in nexts:
                return None
            highest = max(each for each in nexts if each is not None)
            if all(each == highest for each in nexts):
                return highest
            first = highest

    def _delete(self, connection: sqlite3.Connection, first: int, last: int) -> None:
        cursor = connection.execute("DELETE FROM records WHERE sequence BETWEEN ? AND ?", (first, last))
        self._purged += cursor.rowcount

    def committed(self) -> None:
        """The step is durable."""
        if self._purged:
            _log.info("store.purged", path=str(self._path), records=self._purged, anchor=self._next_anchor.sequence)
        self.anchor, self._left = self._next_anchor, self._next_left

    def rolled_back(self) -> None:
        """Nothing was purged."""
        self._next_anchor, self._next_left = self.anchor, self._left


def load_anchor(connection: sqlite3.Connection) -> Head:
    """The anchor as it is on disk; the place before the first record where nothing was purged."""
    return anchor_of(connection.execute("SELECT value FROM meta WHERE key = 'anchor'").fetchone())


def _lowest(ranges: Ranges, limit: int) -> list[tuple[int, int]]:
    """The lowest `limit` integers, as ranges."""
    chosen: list[tuple[int, int]] = []
    for first, last in ranges:
        if limit <= 0:
            break
        chosen.append((first, min(last, first + limit - 1)))
        limit -= chosen[-1][1] - first + 1
    return chosen


def _wall_ms(body: bytes) -> int:
    return int(datetime.fromisoformat(orjson.loads(body)["time"]).timestamp() * 1000)
