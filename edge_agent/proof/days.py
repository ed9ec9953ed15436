"""Which records are a day's, and the Merkle tree over them.

A day is a run of records: it ends where a record of a later date comes. Records are stamped before they queue for
the chain, so the first after midnight may be followed by some from before it; those belong to the new day. A clock
that was set back further than that begins a run of its own, so that one wrong clock does not swallow the days after.
The leaf of a record is the 32 bytes of its hash: a neighbour's leaf tells nothing of the neighbour's trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

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
    """Takes the records of a chain in order and tells when a day has ended.

    `whole` False: the records before are not known, so that nothing can be said of the day that is under way.
    """

    def __init__(self, *, whole: bool = True) -> None:
        self._day = ""
        self._begins: datetime | None = None
        self._first = 0
        self._hash = ""
        self._tree = Tree()
        self._whole = whole

    @property
    def day(self) -> str:
        """The day that is under way; empty while there is none."""
        return self._day

    @property
    def ends(self) -> datetime | None:
        """When no record of this day can come any more but one that waited too long; None while there is none."""
        return None if self._begins is None else self._begins + timedelta(days=1) + LATE

    def add(self, sequence: int, hash_: str, time: str) -> EndedDay | None:
        """Take the next record, with its `time`; returns the day that ended before it, if one did.

        Raises ValueError where the time or the hash is none; nothing has changed then.
        """
        leaf = bytes.fromhex(hash_)
        ended = None
        if not self._belongs(time):
            begins = datetime.fromisoformat(time).replace(hour=0, minute=0, second=0, microsecond=0)
            ended = self.close()
            self._day, self._begins, self._first = time[:10], begins, sequence
        self._tree.append(leaf)
        self._hash = hash_
        return ended

    def miss(self) -> None:
        """A record could not be read: nothing can be said of this day."""
        self._whole = False

    def close(self) -> EndedDay | None:
        """The day is over; returns it, if there was one and all of it is known."""
        ended = None
        if self._tree.size and self._whole:
            ended = EndedDay(
                day=self._day,
                first=self._first,
                last=self._first + self._tree.size - 1,
                hash=self._hash,
                root=self._tree.root(),
            )
        self._whole = self._whole or bool(self._tree.size)
        self._day, self._begins, self._tree = "", None, Tree()
        return ended

    def _belongs(self, time: str) -> bool:
        if time[:10] == self._day:
            return True
        return self._begins is not None and timedelta(0) < self._begins - datetime.fromisoformat(time) <= LATE

    def state(self) -> dict[str, Any]:
        """What `resumed` needs, as JSON holds it."""
        return {
            "day": self._day,
            "begins": None if self._begins is None else self._begins.isoformat(),
            "first": self._first,
            "hash": self._hash,
            "size": self._tree.size,
            "peaks": [each.hex() for each in self._tree.peaks],
            "whole": self._whole,
        }

    @classmethod
    def resumed(cls, state: Mapping[str, Any]) -> Days:
        """As `state` left it. Raises KeyError, TypeError and ValueError for anything else."""
        days = cls(whole=state["whole"])
        days._day, days._first, days._hash = state["day"], state["first"], state["hash"]
        days._begins = None if state["begins"] is None else datetime.fromisoformat(state["begins"])
        days._tree = Tree.resumed(state["size"], [bytes.fromhex(each) for each in state["peaks"]])
        return days
