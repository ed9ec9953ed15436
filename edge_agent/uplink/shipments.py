"""What was published of one chain and is not settled; sans-I/O. Times are monotonic seconds passed in.

A record is outstanding from the moment it is published, or held until its next try; when its time has passed
without a verdict it is due again. Back-off between tries doubles up to `RESEND_MAX`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from edge_agent.model import Verdict
from edge_agent.uplink.ports import Range
from edge_agent.uplink.spans import SpanMap

RESEND_MAX: Final = 300.0
"""Seconds: back-off between sending the same record doubles up to here."""
_RETRY_FIRST: Final = 5.0


@dataclass(eq=False, slots=True)
class Shipment:
    """Records that were published together, or that wait together for their next try (`held`).

    `asked` is set while the message is waited for; `settled` is when the last of its records had its verdict.
    """

    book: Shipments
    ranges: tuple[Range, ...]
    attempts: int
    published: float
    remaining: int
    due: float = math.inf
    held: bool = False
    asked: bool = False
    settled: float = math.inf


class Shipments:
    """The book of one chain: `chain` is its id where it is an earlier one, None for our own."""

    def __init__(self, chain: str | None = None) -> None:
        self.chain = chain
        self.held = 0
        """Records that wait for their next try."""
        self.unanswered = 0
        """Messages of which a record has no verdict yet."""
        self.outstanding: SpanMap[Shipment] = SpanMap()
        self.again: SpanMap[int] = SpanMap()
        """What is due to be sent again, with how often it was sent."""
        self._timers: list[tuple[float, int, Shipment]] = []
        self._timer_ids = 0

    @property
    def total(self) -> int:
        """Records that were published and are not settled."""
        return self.outstanding.total + self.again.total

    @property
    def due(self) -> float:
        """When the next try of something is due; never where nothing waits for one."""
        return self._timers[0][0] if self._timers else math.inf

    def holds(self, sequence: int) -> bool:
        """Whether a record is in one of the shipments."""
        return bool(self.outstanding.overlapping(sequence, sequence) or self.again.overlapping(sequence, sequence))

    def first_due_again(self) -> int | None:
        """The lowest sequence that is due to be sent again."""
        return next((first for first, _, _ in self.again), None)

    def unpublished(self, first: int, last: int) -> Iterable[Range]:
        """The parts of a range that are in none of the shipments."""
        for free in self.outstanding.gaps(first, last):
            yield from self.again.gaps(*free)

    def ship(self, ranges: tuple[Range, ...], attempts: int, now: float) -> Shipment:
        """Take these records in, out of what is due again where they are there."""
        shipment = Shipment(self, ranges, attempts, now, sum(last - first + 1 for first, last in ranges))
        for first, last in ranges:
            self.again.cut(first, last)
            self.outstanding.put(first, last, shipment)
        return shipment

    def publish(self, ranges: tuple[Range, ...], attempts: int, now: float, *, patience: float) -> Shipment:
        """Take in what is published now; without a word it is due again after `patience`, doubled with each try."""
        shipment = self.ship(ranges, attempts, now)
        shipment.asked = True
        self.unanswered += 1
        self.time(shipment, now + doubled(patience, attempts))
        return shipment

    def cut(self, first: int, last: int, now: float) -> list[int]:
        """Take settled records out of wherever they are; the attempts of what was found."""
        found = [tried for _, _, tried in self.again.cut(first, last)]
        for start, stop, shipment in self.outstanding.cut(first, last):
            found.append(shipment.attempts)
            shipment.remaining -= stop - start + 1
            if shipment.held:
                self.held -= stop - start + 1
            if not shipment.remaining:
                shipment.settled = now
                self._answered(shipment)
        return found

    def settle(self, verdict: Verdict, *, waits: Callable[[int], bool], room: int, now: float) -> bool:
        """The platform's word; whether it was about records that are in here.

        What is refused for now is held until its next try. `waits` tells whether a record that is not in here
        still waits for a verdict: such a one is taken in, too, while there are fewer than `room`.
        """
        moved = False
        for first, last in verdict.accepted:
            moved = bool(self.cut(first, last, now)) or moved
        retry: dict[int, int] = {}
        for refusal in verdict.rejected:
            sequence = refusal.sequence
            attempts = self.cut(sequence, sequence, now)
            moved = bool(attempts) or moved
            fits = attempts or self.total + len(retry) < room
            if refusal.retryable and fits and waits(sequence):
                retry.setdefault(sequence, max(attempts, default=1))
        for tries in sorted(set(retry.values())):
            ranges = joined(sequence for sequence, tried in retry.items() if tried == tries)
            self.hold(self.ship(ranges, tries, now), now + doubled(_RETRY_FIRST, tries))
        return moved

    def reclaim(self, shipment: Shipment) -> list[Range]:
        """Take all that remains of a shipment out of what is outstanding."""
        ranges = []
        for first, last in shipment.ranges:
            for start, stop, owner in self.outstanding.overlapping(first, last):
                if owner is shipment:
                    self.outstanding.cut(start, stop)
                    ranges.append((start, stop))
        if shipment.held:
            self.held -= shipment.remaining
        shipment.remaining = 0
        self._answered(shipment)
        return ranges

    def put_back(self, shipment: Shipment) -> None:
        """What was published reached nobody: it does not count as an attempt."""
        self._send_again(shipment, shipment.attempts - 1)

    def recall(self) -> None:
        """The connection is gone: everything is due again."""
        self._timers.clear()
        self.held = self.unanswered = 0
        for first, last, shipment in self.outstanding.clear():
            self.again.put(first, last, shipment.attempts - 1)

    def retry_now(self) -> None:
        """What is held is due at once."""
        for shipment in {id(value): value for _, _, value in self.outstanding if value.held}.values():
            self._send_again(shipment, shipment.attempts)

    def hold(self, shipment: Shipment, until: float) -> None:
        """Keep these records back until then."""
        shipment.held = True
        self.held += shipment.remaining
        self.time(shipment, until)

    def time(self, shipment: Shipment, due: float) -> None:
        """Have what then remains of a shipment sent again."""
        shipment.due = due
        if len(self._timers) > 64 + 2 * self.outstanding.total:
            self._timers = [timer for timer in self._timers if timer[2].remaining and timer[2].due == timer[0]]
            heapq.heapify(self._timers)
        self._timer_ids += 1
        heapq.heappush(self._timers, (due, self._timer_ids, shipment))

    def expire(self, now: float) -> None:
        """Make due again whatever has waited long enough."""
        while self._timers and (self._timers[0][0] <= now or not self._timers[0][2].remaining):
            due, _, shipment = heapq.heappop(self._timers)
            if shipment.remaining and shipment.due == due:
                shipment.settled = now
                self._send_again(shipment, shipment.attempts)

    def _send_again(self, shipment: Shipment, attempts: int) -> None:
        for first, last in self.reclaim(shipment):
            self.again.put(first, last, attempts)

    def _answered(self, shipment: Shipment) -> None:
        """A message is no longer waited for: all its records have a verdict, or are due to be sent again."""
        if shipment.asked:
            shipment.asked = False
            self.unanswered -= 1


def doubled(first: float, attempts: int) -> float:
    """How long to wait after so many tries."""
    return min(RESEND_MAX, first * 2.0 ** min(max(0, attempts - 1), 16))


def joined(sequences: Iterable[int]) -> tuple[Range, ...]:
    """Sequences as ranges."""
    ranges: list[Range] = []
    for sequence in sorted(sequences):
        if ranges and ranges[-1][1] == sequence - 1:
            ranges[-1] = (ranges[-1][0], sequence)
        else:
            ranges.append((sequence, sequence))
    return tuple(ranges)
