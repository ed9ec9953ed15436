"""What the next message may hold, and what a message delivered; values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from edge_agent.uplink.ports import Range, SalvagedRow


class Lane(enum.StrEnum):
    """New records overtake a backlog; the backlog keeps its share; salvaged records come last."""

    LIVE = "live"
    BACKLOG = "backlog"
    SALVAGED = "salvaged"


@dataclass(frozen=True, slots=True)
class Load:
    """What the next message may hold: ranges in order; it may be cut short at any record.

    `attempts` is how often these records were published before and may have arrived; `resent` that they were
    published at all. In the lane of the salvaged, `rows` are the records themselves, all of one earlier chain.
    """

    lane: Lane
    ranges: tuple[Range, ...]
    attempts: int = 0
    resent: bool = False
    rows: tuple[SalvagedRow, ...] = ()

    @property
    def records(self) -> int:
        """How many records these are."""
        return sum(last - first + 1 for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a PUBACK delivered where the broker's word counts; `chain` is None for our own."""

    chain: str | None
    ranges: tuple[Range, ...]
