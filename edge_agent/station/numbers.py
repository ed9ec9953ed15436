"""Running numbers of trace codes: leased to each station in small ranges, and never issued twice.

A trace code (追溯码) is the 13 digits of the seller's code and a running number of 7 digits. A lease's end is
remembered before or with the first record that carries one of its numbers (see `notes`), so that a restart begins
after it: the rest of the lease is dropped.

A store that was restored from an old image, and the store of a box that took another's place, know less than was
issued. Leases therefore also follow the clock: 10,000 numbers a day, counted from a fixed day, and a lease never
begins below the number of the moment. Whatever the lost box issued lies below it, as long as a seller issues no more
than 10,000 numbers a day; the numbers come round after 1,000 days. A store that has issued none for a seller waits
for a synchronised clock, or for the number to begin with that a person gives: until then sales carry no trace code.
Boxes that work for one seller at the same time take turns at the ranges (`Share`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_agent.model import Instant

A_DAY: Final = 10_000
LEASE: Final = 20
_ROUND: Final = 10_000_000
_PARTY_DIGITS: Final = 13
_BEGAN_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Share:
    """Which of the ranges this box takes: the `place`-th of every `of`."""

    place: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.place <= self.of <= 100:
            raise ValueError(f"{self.place}/{self.of} is no share")

    @classmethod
    def parse(cls, text: str) -> Share:
        """A share written as `2/3`. Raises ValueError."""
        place, _, of = text.partition("/")
        return cls(int(place), int(of))


class Numbers:
    """The running numbers of all sellers of one box. Not thread-safe: whoever shares it takes turns."""

    def __init__(self) -> None:
        self._free: dict[str, int] = {}
        self._leases: dict[tuple[str, str], range] = {}
        self._changed: dict[str, int] = {}

    def load(self, free: Mapping[str, int]) -> None:
        """Begin after what was leased before: the first free number of each seller, as `notes` told it."""
        self._free = dict(free)
        self._leases.clear()
        self._changed.clear()

    def take(
        self, party: str | None, station: str, at: Instant, *, share: Share, begin: int | None = None
    ) -> str | None:
        """The next trace code of a seller at a station; None where none can be issued.

        `begin` is the number to begin with where this box has issued none.
        """
        if party is None or len(party) != _PARTY_DIGITS or not (party.isascii() and party.isdigit()):
            return None
        left = self._leases.get((party, station), range(0))
        if not left:
            lease = self._lease(party, at, share, begin)
            if lease is None:
                return None
            left = lease
        self._leases[party, station] = left[1:]
        return f"{party}{left[0] % _ROUND:07d}"

    def _lease(self, party: str, at: Instant, share: Share, begin: int | None) -> range | None:
        free = self._free.get(party, begin)
        if free is None and not at.synced:
            return None
        # A clock that is not right says nothing; where it is, it lifts numbers above what an older image knew.
        lowest = max(free or 0, _by_clock(at) if at.synced else 0)
        block = -(-lowest // LEASE)
        block += (share.place - 1 - block) % share.of
        self._free[party] = self._changed[party] = (block + 1) * LEASE
        return range(block * LEASE, (block + 1) * LEASE)

    def notes(self) -> dict[str, int]:
        """The first free number of each seller that changed since this was asked last.

        The caller remembers them durably before, or in one transaction with, the records made since.
        """
        changed, self._changed = self._changed, {}
        return changed


def _by_clock(at: Instant) -> int:
    return max(0, at.wall_ms - _BEGAN_MS) * A_DAY // _DAY_MS
