"""The books of a box, shared by its stations: brought up from the store at the start, and kept in step after that.

Every station's thread takes a turn at the books for one observation or command: it holds the lock while its station
thinks, and until what follows from it is in the books. So two stations never sell the same last kilogram unflagged,
and no number is issued twice. Nothing is read or written under the lock but a record that somebody else kept.

A station's drafts are booked when they are made, not when they are kept: the store takes them in the end, under the
same id. Whatever else is kept, such as a correction or the platform's stop of sale, is told by the store after its
COMMIT (`kept`) and booked at the next turn.

The lease of running numbers is noted before the first record that carries one of them is handed to the store, which
writes both in one transaction. Balances are noted now and then, so that a start reads the newest records only.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import orjson
import structlog

from edge_agent.catalogue import Catalogue
from edge_agent.records.envelope import Draft
from edge_agent.station.books import FOLDED, PUSHED, Books, Entry
from edge_agent.station.recent_sales import RECENT
from edge_agent.store import RESUMED, Head, Kept, Resumed, Row

BALANCES: Final = "books"
NUMBERS: Final = "trace-codes"
NOTED_EVERY: Final = 2_000
"""Records kept between two notes of the balances."""

_PAGE: Final = 250
_PAGE_BYTES: Final = 1 << 18  # what a start has once held in memory it never gives back
_MOST_UNREAD: Final = 100_000
_NOT_A_RECORD: Final = (KeyError, TypeError, ValueError, AttributeError)
# The canonical form has its keys in order, so that the type stands last: most records need not be parsed.
_ENDS: Final = tuple(f'"type":"{name}"}}'.encode() for name in FOLDED)


_PUSHED_MARK: Final = b'"device_record":"'


class RecordStore(Protocol):
    """What the bookkeeper needs of the store."""

    @property
    def chain(self) -> str:
        """The id of its chain."""

    @property
    def head(self) -> Head:
        """The last committed record's place."""

    def read(self, first: int, *, last: int | None = None, limit: int, max_bytes: int | None = None) -> list[Row]:
        """Kept records in order."""

    def note(self, key: str) -> str | None:
        """A remembered fact."""

    def set_note(self, key: str, value: str) -> None:
        """Remember a fact, with the next commit at the latest."""


class Bookkeeper:
    """Keeps one `Books` for all stations of a box. Thread-safe; `open` comes first."""

    def __init__(self, store: RecordStore) -> None:
        self.books = Books()
        self._store = store
        self._log = structlog.get_logger()
        self._turn = threading.Lock()
        self._guard = threading.Lock()  # for what the committer's thread touches
        self._pending: set[str] = set()  # booked and not yet kept
        self._unread: deque[int] = deque()  # kept and not yet booked
        self._read_again = False
        self._seen = 0
        self._noted = 0

    def open(self) -> None:
        """Bring the books up to the head of the store, page by page."""
        with self._turn:
            text = self._store.note(NUMBERS)
            if text is not None:
                self.books.numbers.load(orjson.loads(text))
            self._noted = self._load_balances()
            self._read_from(self._noted)

    def close(self, timeout: float) -> None:
        """Note the balances, if all that was booked is kept.

        Where a station holds on to its turn for longer than `timeout` seconds nothing is noted: the next start reads
        the records instead.
        """
        if not self._turn.acquire(timeout=timeout):
            self._log.warning("books.not_noted", reason="a station holds its turn")
            return
        try:
            self._catch_up()
            self._note_balances()
        finally:
            self._turn.release()

    @contextmanager
    def turn(self) -> Iterator[Books]:
        """A station's turn: nobody else touches the books until it ends."""
        with self._turn:
            if self._unread or self._read_again:
                self._catch_up()
            yield self.books

    def use_catalogue(self, catalogue: Catalogue) -> None:
        """What every station looks goods and prices up in from its next turn on."""
        with self._turn:
            self.books.catalogue = catalogue

    def post(self, drafts: Sequence[Draft]) -> None:
        """Book what a station made, before it is handed to the store; only within a turn."""
        if self._seen - self._noted >= NOTED_EVERY:
            self._note_balances()  # before these drafts: with them, something booked would not be kept
        for draft in drafts:
            if draft.type in FOLDED:
                with self._guard:
                    self._pending.add(draft.id)
                self._fold(Entry.of_draft(draft))
        changed = self.books.numbers.notes()
        if changed:
            known = orjson.loads(self._store.note(NUMBERS) or "{}")
            self._store.set_note(NUMBERS, orjson.dumps(known | changed).decode())

    def kept(self, kept: Sequence[Kept]) -> None:
        """Take what was committed; called by the committer, and never waits for a station."""
        with self._guard:
            for each in kept:
                if each.id in self._pending:
                    self._pending.remove(each.id)
                elif each.type in FOLDED:
                    if len(self._unread) == _MOST_UNREAD:
                        self._read_again = True
                        self._unread.clear()
                    self._unread.append(each.sequence)
            self._seen = max(self._seen, kept[-1].sequence) if kept else self._seen

    # --- within a turn

    def _load_balances(self) -> int:
        """Take the balances that were noted; returns the sequence up to which they hold, 0 where there are none."""
        text = self._store.note(BALANCES)
        if text is None:
            return 0
        try:
            noted: dict[str, Any] = orjson.loads(text)
            booked = self._booked(noted["chain"], int(noted["sequence"]))
            if booked:
                self.books.load(noted)
            return booked
        except _NOT_A_RECORD as problem:
            self._log.error("books.note_unreadable", reason=f"{type(problem).__name__}: {problem}")
            self.books.clear()
            return 0

    def _booked(self, chain: str, sequence: int) -> int:
        """Up to which sequence of our chain balances of that place hold; 0 where they do not."""
        if chain == self._store.chain:
            return sequence
        resumed = Resumed.loads(self._store.note(RESUMED))
        same = resumed is not None and resumed.chain == self._store.chain
        if resumed is not None and same and (resumed.old_chain, resumed.old_sequence) == (chain, sequence):
            return resumed.sequence  # the chain goes on in another one, and nothing was kept in between
        return 0

    def _read_from(self, booked: int) -> None:
        """Book every record after `booked`, up to the head; those shortly before it are remembered only.

        Where scales push their sales, those are remembered from further back: they may come again after days.
        """
        head = self._store.head.sequence
        recent = booked - 2 * RECENT
        first = max(1, min(recent, booked - PUSHED) if self.books.hears_pushed else recent)
        while first <= head:
            rows = self._store.read(first, last=head, limit=_PAGE, max_bytes=_PAGE_BYTES)
            if not rows:
                break
            for row in rows:
                if row.body.endswith(_ENDS) and (row.sequence >= recent or _PUSHED_MARK in row.body):
                    self._book(row, only_remember=row.sequence <= booked)
            first = rows[-1].sequence + 1
        with self._guard:
            self._seen = max(self._seen, head)
            self._unread = deque(sequence for sequence in self._unread if sequence > head)

    def _catch_up(self) -> None:
        """Book what others kept."""
        with self._guard:
            unread, self._unread = self._unread, deque()
            again, self._read_again = self._read_again, False
            pending = set(self._pending)
        if again and not pending:
            self.books.clear()
            self._read_from(0)
            return
        with self._guard:
            self._read_again = self._read_again or again
        for sequence in unread:
            for row in self._store.read(sequence, last=sequence, limit=1):
                self._book(row)

    def _book(self, row: Row, *, only_remember: bool = False) -> None:
        try:
            entry = Entry.of_body(row.body)
            if only_remember:
                self.books.remember(entry)
            else:
                self._fold(entry)
        except _NOT_A_RECORD as problem:
            self._complain(row.sequence, problem)

    def _fold(self, entry: Entry) -> None:
        try:
            wanted = self.books.wanted(entry)
            corrected = None
            if wanted is not None and entry.data["corrected_chain"] == self._store.chain:
                rows = self._store.read(wanted, last=wanted, limit=1)
                corrected = Entry.of_body(rows[0].body) if rows else None
            self.books.fold(entry, corrected)
        except _NOT_A_RECORD as problem:
            self._complain(entry.id, problem)

    def _complain(self, record: int | str, problem: Exception) -> None:
        """A record that the books cannot read is none of theirs: balances go on without it."""
        self._log.error("books.record_unreadable", record=record, reason=f"{type(problem).__name__}: {problem}")

    def _note_balances(self) -> None:
        """Note the balances as of the last record; not while what is booked and what is kept differ."""
        with self._guard:
            if self._pending or self._unread or self._read_again:
                return
            seen = self._seen
        plain = self.books.snapshot() | {"chain": self._store.chain, "sequence": seen}
        self._store.set_note(BALANCES, orjson.dumps(plain).decode())
        self._noted = seen
