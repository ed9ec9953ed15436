"""The lowest lane: records of earlier chains, read back from a file that had to be set aside; sans-I/O.

They go when no other record waits to be published, and after `TURN` messages of the others at the latest, so that
they do not wait for ever; that turn is taken from the live lane, never from the backlog's share. At most `UNDER_WAY`
of their messages are without an answer, so that a new record never finds the line full of old ones. They never make
the connection be renewed: an old chain that the platform does not want to know must not cost the present one anything.

The records stay with the store. Here is only which of them are published; the source is asked for a message's worth
whenever one may go.
"""

from __future__ import annotations

import math
from typing import Final

from edge_agent.model import Verdict
from edge_agent.uplink.loads import Lane, Load
from edge_agent.uplink.ports import Range, Salvaged
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.shipments import Shipment, Shipments, joined
from edge_agent.uplink.wire import MAX_SEQUENCE

TURN: Final = 16
UNDER_WAY: Final = 2
LOOK_EVERY: Final = 5.0
"""Seconds between two looks from the beginning: salvage brings records in little by little, in no order."""
_PART: Final = 8
"""Of all records without a verdict, at most one in so many is a salvaged one."""
_START: Final = ("", 0)


class SalvageLane:
    """Which salvaged records to publish next, and which to send again. Owned by the dispatch."""

    def __init__(self, source: Salvaged, settings: LinkSettings) -> None:
        self._source = source
        self._bound = max(1, settings.unverdicted_max // _PART)
        self._books: dict[str, Shipments] = {}  # replaced, never changed: other threads ask for the sums
        self._cursor = _START  # up to here everything is published or settled
        self._look_at = -math.inf
        self._others = 0  # messages of the other lanes since the last of this one

    @property
    def unverdicted(self) -> int:
        """Records that were published and are not settled."""
        return sum(book.total for book in self._books.values())

    @property
    def unanswered(self) -> int:
        """Messages of which a record has no verdict yet."""
        return sum(book.unanswered for book in self._books.values())

    @property
    def has_its_turn(self) -> bool:
        """Whether the other lanes have had theirs for long enough."""
        return self._others >= TURN

    def recall(self) -> None:
        """The connection is gone: what has no verdict is due again."""
        for book in self._books.values():
            book.recall()

    def expire(self, now: float) -> None:
        """Make due again whatever has waited long enough."""
        for book in self._books.values():
            book.expire(now)

    def retry_now(self) -> None:
        """Send again at once what was refused for now."""
        for book in self._books.values():
            book.retry_now()

    @property
    def due(self) -> float:
        """When the next try of something is due. Looking for more is not in it: it can wait for the next occasion."""
        return min((book.due for book in self._books.values()), default=math.inf)

    def next(self, limit: int, now: float) -> Load | None:
        """At most `limit` records of one chain; None where nothing is to be published now."""
        return self._due_again(limit) or self._unsent(min(limit, self._bound - self.unverdicted), now)

    def another(self) -> None:
        """A message of another lane went out."""
        self._others += 1

    def published(self, load: Load, ranges: tuple[Range, ...], now: float, *, patience: float) -> Shipment:
        """`ranges`, the front part of `load`, went out."""
        self._others = 0
        chain = load.rows[0].chain
        if not load.resent:
            self._cursor = (chain, ranges[-1][1])
        if chain not in self._books:
            self._books = {**self._books, chain: Shipments(chain)}
        return self._books[chain].publish(ranges, load.attempts + 1, now, patience=patience)

    def verdict(self, verdict: Verdict, now: float) -> bool:
        """The platform's word on an earlier chain, after the source has taken it; whether it was waited for."""
        book = self._books.get(verdict.chain)
        return book is not None and book.settle(verdict, waits=lambda _: True, room=0, now=now)

    def _due_again(self, limit: int) -> Load | None:
        for chain, book in self._books.items():
            while (first := book.first_due_again()) is not None:
                rows = [row for row in self._source.pending(limit, after=(chain, first - 1)) if row.chain == chain]
                due = [row for row in rows if book.again.overlapping(row.sequence, row.sequence)]
                settled_to = due[0].sequence - 1 if due else rows[-1].sequence if rows else MAX_SEQUENCE
                if settled_to >= first:
                    book.again.cut(first, settled_to)
                if due:
                    tried = book.again.overlapping(due[0].sequence, due[-1].sequence)
                    return Load(
                        Lane.SALVAGED,
                        joined(row.sequence for row in due),
                        attempts=max(attempts for _, _, attempts in tried),
                        resent=True,
                        rows=tuple(due),
                    )
        return None

    def _unsent(self, limit: int, now: float) -> Load | None:
        if limit < 1 or now < self._look_at:
            return None
        while rows := self._source.pending(limit, after=self._cursor):
            chain = rows[0].chain
            rows = [row for row in rows if row.chain == chain]
            book = self._books.get(chain)
            fresh = [row for row in rows if book is None or not book.holds(row.sequence)]
            if fresh:
                return Load(Lane.SALVAGED, joined(row.sequence for row in fresh), rows=tuple(fresh))
            self._cursor = (chain, rows[-1].sequence)
        self._cursor, self._look_at = _START, now + LOOK_EVERY
        self._books = {chain: book for chain, book in self._books.items() if book.total}
        return None
