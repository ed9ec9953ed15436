"""Records of other chains that wait for delivery: of files that were set aside, read in quiet moments, and brought."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from edge_agent.model import Refusal
from edge_agent.store.errors import CommitFailed
from edge_agent.store.ranges import Ranges
from edge_agent.store.reading import Reader
from edge_agent.store.salvage import salvage
from edge_agent.store.values import Salvaged

_log = structlog.get_logger(__name__)

_STEP_ROWS: Final = 500
_INSERT: Final = "INSERT OR IGNORE INTO salvaged (chain, sequence, body) VALUES (?, ?, ?)"
_REFUSE: Final = "UPDATE salvaged SET refused = ? WHERE chain = ? AND sequence = ? AND refused IS NULL"
_DELETE: Final = "DELETE FROM salvaged WHERE chain = ? AND sequence BETWEEN ? AND ?"
_DELETE_WAITING: Final = _DELETE + " AND refused IS NULL"


class _Verdicts:
    """What is settled and not yet written."""

    def __init__(self) -> None:
        self.accepted: dict[str, Ranges] = {}
        self.refused: dict[tuple[str, int], str] = {}

    def __bool__(self) -> bool:
        return bool(self.accepted or self.refused)

    def accept(self, chain: str, first: int, last: int) -> None:
        self.accepted.setdefault(chain, Ranges()).add(first, last)

    def covers(self, row: Salvaged) -> bool:
        return row.sequence in self.accepted.get(row.chain, ()) or (row.chain, row.sequence) in self.refused

    def put_before(self, later: _Verdicts) -> _Verdicts:
        for chain, ranges in later.accepted.items():
            for first, last in ranges:
                self.accept(chain, first, last)
        self.refused |= later.refused
        return self


class _Brought:
    """Records that somebody waits to see kept; `new` says how many were not there before."""

    def __init__(self, rows: Sequence[Salvaged]) -> None:
        self.rows = rows
        self.new = 0
        self.kept = threading.Event()


class SalvagedRecords:
    """The part of earlier chains that could be read back, and what a courier brought, without a verdict. Thread-safe.

    What is accepted leaves the table (the set-aside file keeps it); what is refused stays with the reason and is not
    sent again. A chore of the committer. `left` is how many of them the table holds now.
    """

    def __init__(self, reader: Reader, files: Iterable[Path], *, left: int) -> None:
        self._reader = reader
        self._files = list(files)
        self._found: Iterator[Salvaged | None] | None = None
        self._step: list[Salvaged] = []
        self._ended: Path | None = None
        self._lock = threading.Lock()
        self._brought: list[_Brought] = []
        self._bringing: list[_Brought] = []
        self._verdicts = _Verdicts()
        self._writing = _Verdicts()
        self._left = self._left_after = left

    @property
    def left(self) -> int:
        """How many have no verdict; verdicts count when they are written."""
        return self._left

    def pending(self, limit: int, *, after: tuple[str, int] = ("", 0)) -> list[Salvaged]:
        """At most `limit` records without a verdict, in order of chain and sequence, after the one named.

        The list may be shorter than `limit` although there are more: an empty one is the end.
        """
        while rows := self._reader.salvaged(after=after, limit=limit):
            with self._lock:
                left = [row for row in rows if not self._verdicts.covers(row) and not self._writing.covers(row)]
            if left:
                return left
            after = (rows[-1].chain, rows[-1].sequence)
        return []

    def settle(self, chain: str, accepted: Iterable[tuple[int, int]], refused: Iterable[Refusal]) -> int:
        """Take in a verdict on an earlier chain; returns how many records it settled. Unknown ones are ignored."""
        settled = 0
        for first, last in accepted:
            count = self._reader.count_salvaged(chain, first, last) if first <= last else 0
            if count:
                with self._lock:
                    self._verdicts.accept(chain, first, last)
            settled += count
        for refusal in refused:
            if not refusal.retryable and self._reader.count_salvaged(chain, refusal.sequence, refusal.sequence):
                with self._lock:
                    self._verdicts.refused[chain, refusal.sequence] = f"{refusal.code}: {refusal.reason}"
                settled += 1
        return settled

    def bring_in(self, rows: Sequence[Salvaged], timeout: float) -> int:
        """Keep records of other chains until they are delivered; returns after COMMIT how many were new.

        Raises `CommitFailed` where they were not kept within `timeout` seconds; they may be brought again.
        """
        brought = _Brought(rows)
        with self._lock:
            self._brought.append(brought)
        if brought.kept.wait(timeout):
            return brought.new
        with self._lock:
            if brought in self._brought:
                self._brought.remove(brought)
        raise CommitFailed(f"{len(rows)} records were not kept within {timeout:g} s; see the store's state")

    # --- the committer's thread

    def urgent(self) -> bool:
        """New records come first."""
        return False

    def owed(self) -> bool:
        """Verdicts count from the moment they come, and may come just before the end."""
        return bool(self._verdicts)

    def waiting(self) -> bool:
        """Whether a file is still to be read, or a verdict to be written."""
        return bool(self._files or self._verdicts or self._brought)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write verdicts, and the next records found: a bounded number."""
        with self._lock:
            verdicts, self._verdicts = self._verdicts, _Verdicts()
            self._writing = verdicts
            self._bringing, self._brought = self._brought, []
        if self._files and not self._step and self._ended is None:
            self._read_on(self._files[0])
        refused = [(reason, chain, sequence) for (chain, sequence), reason in verdicts.refused.items()]
        accepted = [(chain, first, last) for chain, ranges in verdicts.accepted.items() for first, last in ranges]
        self._left_after = self._left + _changed(connection, _INSERT, self._step)
        for brought in self._bringing:
            brought.new = _changed(connection, _INSERT, brought.rows)
            self._left_after += brought.new
        self._left_after -= _changed(connection, _REFUSE, refused) + _changed(connection, _DELETE_WAITING, accepted)
        _changed(connection, _DELETE, accepted)  # also what was refused once and is accepted after all
        if self._left_after != self._left:
            statement = "INSERT OR REPLACE INTO meta (key, value) VALUES ('salvaged_left', ?)"
            connection.execute(statement, (str(self._left_after),))
        if self._ended is not None:
            statement = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, 'done')"
            connection.execute(statement, (done_key(self._ended),))

    def _read_on(self, file: Path) -> None:
        if self._found is None:
            self._found = salvage(file)
            _log.warning("store.salvage_began", file=str(file))
        for found in self._found:
            if found is None:
                return
            self._step.append(found)
            if len(self._step) >= _STEP_ROWS:
                return
        self._ended = file

    def committed(self) -> None:
        """This step is safe."""
        with self._lock:
            self._writing = _Verdicts()
            kept, self._bringing = self._bringing, []
        self._left = self._left_after
        for brought in kept:
            brought.kept.set()
        self._step = []
        if self._ended is not None:
            _log.warning("store.salvage_ended", file=str(self._ended))
            self._files.remove(self._ended)
            self._found = self._ended = None

    def rolled_back(self) -> None:
        """This step is kept for the next transaction."""
        with self._lock:
            self._verdicts = self._writing.put_before(self._verdicts)
            self._writing = _Verdicts()
            self._brought = self._bringing + self._brought
            self._bringing = []


def _changed(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    return connection.executemany(statement, rows).rowcount if rows else 0


def done_key(file: Path) -> str:
    """Under what key the store remembers that a file was salvaged to its end."""
    return f"salvaged:{file.name}"
