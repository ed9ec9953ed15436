"""The outbox: what a target has accepted, what it refused, and what is pending, for every sequence of the chain.

The state lives in memory as ranges and changes at once; the committer writes the changes inside its next commit.
What is lost with a crash in between is only sent once more.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from edge_agent.model import Instant, Refusal
from edge_agent.store.ranges import Ranges
from edge_agent.store.reading import Reader
from edge_agent.store.values import Counts, Refused, Settled

_UNWRITTEN_MAX: Final = 50_000
"""Refusals held in memory until they are written. Those beyond it stay pending, are sent again and refused again."""


class _Changes:
    """What differs from the disk: range starts to look at; refusals to delete, to write, to mark as superseded."""

    def __init__(self) -> None:
        self.starts: set[int] = set()
        self.cleared = Ranges()
        self.refused: dict[int, Refused] = {}
        self.superseded = Ranges()

    def __bool__(self) -> bool:
        return bool(self.starts or self.cleared or self.refused or self.superseded)

    def clear(self, first: int, last: int) -> None:
        self.cleared.add(first, last)
        self.superseded.remove(first, last)
        for sequence in [each for each in self.refused if first <= each <= last]:
            del self.refused[sequence]

    def put_before(self, later: _Changes) -> _Changes:
        """These changes, which were not written after all, followed by later ones."""
        for first, last in later.cleared:
            self.clear(first, last)
        self.starts |= later.starts
        self.refused |= later.refused
        for first, last in later.superseded:
            self.superseded.add(first, last)
        return self


class Outbox:
    """The state of every record towards one target. Thread-safe.

    Every sequence from 1 to the head is delivered, rejected (in quarantine) or pending.
    """

    def __init__(self, target: str, *, reader: Reader, head: Callable[[], int], watermark: int, new: bool) -> None:
        self.target = target
        self._reader = reader
        self._head = head
        self._lock = threading.Lock()
        self._accepted = Ranges()
        self._refused = Ranges()
        self._settled = Ranges()  # accepted or refused
        self._superseded = Ranges()  # those of the refused that a correction replaces
        self._changes = _Changes()
        self._writing = _Changes()
        if watermark:
            self._accepted.add(1, watermark)
            self._settled.add(1, watermark)
        if new:
            self._changes.starts.add(1)

    @classmethod
    def load(cls, connection: sqlite3.Connection, target: str, *, reader: Reader, head: Callable[[], int]) -> Outbox:
        """The outbox as it is on disk."""
        (watermark,) = connection.execute("SELECT watermark FROM outbox WHERE target = ?", (target,)).fetchone()
        outbox = cls(target, reader=reader, head=head, watermark=watermark, new=False)
        query = "SELECT first, last FROM outbox_ranges WHERE target = ? ORDER BY first"
        for first, last in connection.execute(query, (target,)):
            outbox._accepted.add(first, last)
            outbox._settled.add(first, last)
        query = "SELECT sequence, state FROM quarantine WHERE target = ? ORDER BY sequence"
        for sequence, state in connection.execute(query, (target,)):
            outbox._refused.add(sequence, sequence)
            outbox._settled.add(sequence, sequence)
            if state == "rejected-superseded":
                outbox._superseded.add(sequence, sequence)
        return outbox

    def settle(self, accepted: Iterable[tuple[int, int]], refused: Iterable[Refusal], at: Instant) -> Settled:
        """Take in a verdict: at once in memory, on disk with the next commit or at the latest a second later.

        Accepted wins over rejected, whichever comes first. Retryable refusals leave the record pending.
        Sequences below 1 or beyond the head are ignored.
        """
        newly_accepted = newly_refused = 0
        with self._lock:
            head = self._head()
            for first, last in accepted:
                first, last = max(first, 1), min(last, head)
                if first <= last:
                    newly_accepted += self._accept(first, last)
            for refusal in refused:
                if 1 <= refusal.sequence <= head and not refusal.retryable:
                    newly_refused += self._refuse(refusal, at)
        return Settled(newly_accepted=newly_accepted, newly_refused=newly_refused)

    def _accept(self, first: int, last: int) -> int:
        before = self._accepted.touching(first, last)
        added = self._accepted.add(first, last)
        if added:
            self._changes.starts.update(start for start, _ in before)
            self._changes.starts.add(min([first, *(start for start, _ in before)]))
            self._settled.add(first, last)
            self._clear(list(self._refused.within(first, last)))
        return added

    def _refuse(self, refusal: Refusal, at: Instant) -> int:
        sequence = refusal.sequence
        if sequence in self._settled or len(self._changes.refused) + len(self._writing.refused) >= _UNWRITTEN_MAX:
            return 0
        self._refused.add(sequence, sequence)
        self._settled.add(sequence, sequence)
        self._changes.refused[sequence] = Refused(
            sequence=sequence, id=refusal.id, code=refusal.code, reason=refusal.reason, time_ms=at.wall_ms
        )
        return 1

    def _clear(self, ranges: Iterable[tuple[int, int]]) -> None:
        for first, last in ranges:
            self._refused.remove(first, last)
            self._superseded.remove(first, last)
            self._changes.clear(first, last)

    def counts(self) -> Counts:
        """How the records stand; kept = delivered + rejected + pending."""
        with self._lock:
            kept, delivered, rejected = self._head(), self._accepted.total, self._refused.total
        return Counts(kept=kept, delivered=delivered, rejected=rejected, pending=kept - delivered - rejected)

    @property
    def watermark(self) -> int:
        """Everything up to this sequence is accepted."""
        with self._lock:
            return self._accepted.covered_through()

    @property
    def oldest_pending(self) -> int | None:
        """The lowest sequence without a final verdict; None where nothing is pending."""
        with self._lock:
            oldest = self._settled.covered_through() + 1
            return oldest if oldest <= self._head() else None

    def pending(self, first: int, last: int) -> list[tuple[int, int]]:
        """The ranges from `first` to `last`, up to the head, that are neither delivered nor in quarantine."""
        with self._lock:
            return list(self._settled.gaps(max(first, 1), min(last, self._head())))

    def undelivered(self, first: int, last: int) -> list[tuple[int, int]]:
        """The ranges from `first` to `last` that are not accepted: those that must not be purged."""
        with self._lock:
            return list(self._accepted.gaps(first, last))

    def next_delivered(self, first: int) -> int | None:
        """The lowest accepted sequence that is at least `first`."""
        with self._lock:
            return self._accepted.next_from(first)

    def quarantine(self, limit: int, offset: int = 0) -> list[Refused]:
        """Refused records in order of their sequence, `limit` of them after the first `offset`."""
        with self._lock:
            wanted = Ranges(_slice(self._refused, offset, limit))
        return self._described(wanted)

    def refused(self, first: int, last: int) -> list[Refused]:
        """The refused records from `first` to `last`, in order."""
        with self._lock:
            wanted = Ranges(self._refused.within(first, last))
        return self._described(wanted)

    def _described(self, wanted: Ranges) -> list[Refused]:
        with self._lock:
            fresh = {s: r for s, r in (self._writing.refused | self._changes.refused).items() if s in wanted}
            superseded = Ranges(pair for first, last in wanted for pair in self._superseded.within(first, last))
        found = {
            refused.sequence: refused
            for first, last in wanted
            for refused in self._reader.quarantine(self.target, first=first, last=last, limit=last - first + 1)
        } | fresh
        return [
            replace(found[sequence], state="rejected-superseded" if sequence in superseded else "rejected")
            for sequence in sorted(found)
        ]

    def requeue(self, sequences: Sequence[int] | None = None) -> int:
        """Make refused records pending again: those named, or all but the superseded. Returns how many."""
        with self._lock:
            if sequences is None:
                chosen = [gap for first, last in self._refused for gap in self._superseded.gaps(first, last)]
            else:
                chosen = [(each, each) for each in set(sequences) if each in self._refused]
            for first, last in chosen:
                self._settled.remove(first, last)
            self._clear(chosen)
        return sum(last - first + 1 for first, last in chosen)

    def supersede(self, sequence: int) -> bool:
        """A correction takes the place of this refused record; whether it was in quarantine."""
        with self._lock:
            if sequence not in self._refused:
                return False
            self._superseded.add(sequence, sequence)
            self._changes.superseded.add(sequence, sequence)
        return True

    def waiting(self) -> bool:
        """Whether there is something to write with the next commit."""
        return bool(self._changes)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the changes; called by the committer inside a transaction."""
        with self._lock:
            changes, self._changes = self._changes, _Changes()
            self._writing = changes
            watermark = self._accepted.covered_through()
            ends = {start: self._accepted.covered_through(start) for start in changes.starts if start > watermark}
            kept = [(self.target, s, end) for s, end in ends.items() if end >= s and s - 1 not in self._accepted]
        gone = changes.starts - {first for _, first, _ in kept}
        if changes.starts:
            connection.execute(
                "INSERT INTO outbox (target, watermark) VALUES (?, ?)"
                " ON CONFLICT (target) DO UPDATE SET watermark = excluded.watermark",
                (self.target, watermark),
            )
        connection.executemany(
            "DELETE FROM outbox_ranges WHERE target = ? AND first = ?", [(self.target, start) for start in gone]
        )
        connection.executemany(
            "INSERT INTO outbox_ranges (target, first, last) VALUES (?, ?, ?)"
            " ON CONFLICT (target, first) DO UPDATE SET last = excluded.last",
            kept,
        )
        connection.executemany(
            "DELETE FROM quarantine WHERE target = ? AND sequence BETWEEN ? AND ?",
            [(self.target, first, last) for first, last in changes.cleared],
        )
        connection.executemany(
            "INSERT INTO quarantine (target, sequence, id, code, reason, time_ms, state) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (target, sequence) DO UPDATE SET state = excluded.state",
            [(self.target, r.sequence, r.id, r.code, r.reason, r.time_ms, r.state) for r in changes.refused.values()],
        )
        connection.executemany(
            "UPDATE quarantine SET state = 'rejected-superseded' WHERE target = ? AND sequence BETWEEN ? AND ?",
            [(self.target, first, last) for first, last in changes.superseded],
        )

    def committed(self) -> None:
        """What was written is durable."""
        with self._lock:
            self._writing = _Changes()

    def rolled_back(self) -> None:
        """What was written is not on disk; it goes with the next commit."""
        with self._lock:
            self._changes = self._writing.put_before(self._changes)
            self._writing = _Changes()


def _slice(ranges: Ranges, offset: int, limit: int) -> list[tuple[int, int]]:
    """`limit` integers after the first `offset`, as ranges."""
    chosen: list[tuple[int, int]] = []
    for first, last in ranges:
        length = last - first + 1
        if offset >= length:
            offset -= length
            continue
        if limit <= 0:
            break
        begin = first + offset
        end = min(last, begin + limit - 1)
        chosen.append((begin, end))
        limit -= end - begin + 1
        offset = 0
    return chosen
