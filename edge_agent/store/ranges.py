"""Sets of integers as sorted, disjoint, inclusive ranges: a million delivered records are one pair of numbers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of integers. No two ranges overlap or touch: (1, 2) and (3, 4) are kept as (1, 4).

    Finding costs O(log n) in the number of ranges, changing O(n) moves of machine words at worst. Not
    thread-safe; the owner guards it.
    """

    __slots__ = ("_firsts", "_lasts", "_total")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._total = 0
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> int:
        """Put every integer from `first` to `last` in; return how many were not in before."""
        if first > last:
            raise ValueError(f"a range runs upwards, not from {first} to {last}")
        low = bisect_left(self._lasts, first - 1)  # the leftmost range that overlaps or touches
        high = bisect_right(self._firsts, last + 1)  # one past the rightmost
        held = sum(self._lasts[i] - self._firsts[i] + 1 for i in range(low, high))
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        added = last - first + 1 - held
        self._total += added
        return added

    def remove(self, first: int, last: int) -> int:
        """Take every integer from `first` to `last` out; return how many were in."""
        if first > last:
            raise ValueError(f"a range runs upwards, not from {first} to {last}")
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        if low >= high:
            return 0
        held = sum(self._lasts[i] - self._firsts[i] + 1 for i in range(low, high))
        left = [(self._firsts[low], first - 1)] if self._firsts[low] < first else []
        right = [(last + 1, self._lasts[high - 1])] if self._lasts[high - 1] > last else []
        remaining = left + right
        self._firsts[low:high] = [pair[0] for pair in remaining]
        self._lasts[low:high] = [pair[1] for pair in remaining]
        removed = held - sum(b - a + 1 for a, b in remaining)
        self._total -= removed
        return removed

    def __contains__(self, value: int) -> bool:
        at = bisect_left(self._lasts, value)
        return at < len(self._firsts) and self._firsts[at] <= value

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges in order."""
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """The number of ranges, not of integers: see `total`."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranges):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Ranges({list(self)!r})"

    @property
    def total(self) -> int:
        """How many integers are in."""
        return self._total

    def covered_through(self, start: int = 1) -> int:
        """The last integer of the unbroken run that begins at `start`; `start - 1` where `start` is not in."""
        at = bisect_left(self._lasts, start)
        if at < len(self._firsts) and self._firsts[at] <= start:
            return self._lasts[at]
        return start - 1

    def next_from(self, start: int) -> int | None:
        """The lowest integer in the set that is at least `start`."""
        at = bisect_left(self._lasts, start)
        return max(start, self._firsts[at]) if at < len(self._firsts) else None

    def touching(self, first: int, last: int) -> list[tuple[int, int]]:
        """The whole ranges that overlap `first` to `last` or touch it: those that `add` would merge."""
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        return list(zip(self._firsts[low:high], self._lasts[low:high], strict=True))

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The parts of the set from `first` to `last`, as ranges in order."""
        at = bisect_left(self._lasts, first)
        while at < len(self._firsts) and self._firsts[at] <= last:
            yield max(first, self._firsts[at]), min(last, self._lasts[at])
            at += 1

    def gaps(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The ranges from `first` to `last` that are not in the set, in order."""
        for begin, end in self.within(first, last):
            if begin > first:
                yield first, begin - 1
            first = end + 1
        if first <= last:
            yield first, last
