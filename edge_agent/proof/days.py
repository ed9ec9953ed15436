"""Which records are a day's, and the Merkle tree over them.

A day is a run of records: it ends where a record of a later date comes. Records are stamped before they queue for
the chain, so the first after midnight may be followed by some from before it; those belong to the new day. A clock
that was set back further than that begins a run of its own, so that one wrong clock does not swallow the days after.
The leaf of a record is the 32 bytes of its hash: a neighbour's leaf tells nothing of the neighbour's trade.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from edge_agent.proof.merkle import Tree

LATE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedDay:
    """A day to which no record comes any more. `hash` is that of its last record."""

    day: str
    first: int
    last: int
    hash: str
    root: bytes


class Days:
    """Takes the records of a chain in order and tells when a day has ended."""

    def __init__(self) -> None:
        self._day = ""
        self._begins: datetime | None = None
        self._first = 0
        self._hash = ""
        self._tree = Tree()

    def add(self, sequence: int, hash_: str, time: str) -> EndedDay | None:
        """Take the next record, with its `time`; returns the day that ended before it, if one did."""
        ended = None
        if not self._belongs(time):
            ended = self._end()
            self._day = time[:10]
            self._begins = datetime.fromisoformat(time).replace(hour=0, minute=0, second=0, microsecond=0)
            self._first = sequence
            self._tree = Tree()
        self._tree.append(bytes.fromhex(hash_))
        self._hash = hash_
        return ended

    def _belongs(self, time: str) -> bool:
        if time[:10] == self._day:
            return True
        return self._begins is not None and timedelta(0) < self._begins - datetime.fromisoformat(time) <= LATE

    def _end(self) -> EndedDay | None:
        if not self._tree.size:
            return None
        return EndedDay(
            day=self._day,
            first=self._first,
            last=self._first + self._tree.size - 1,
            hash=self._hash,
            root=self._tree.root(),
        )
