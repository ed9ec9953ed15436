"""A map from ranges of integers to values: sorted, disjoint, inclusive; sans-I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class SpanMap(Generic[T]):
    """Ranges of sequences, each with a value. Neighbours with equal values are one span."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._values: list[T] = []
        self.total = 0
        """How many integers are covered."""

    def __iter__(self) -> Iterator[tuple[int, int, T]]:
        return zip(self._firsts, self._lasts, self._values, strict=True)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def put(self, first: int, last: int, value: T) -> None:
        """Cover `first` to `last`. Raises ValueError where any of it is covered already."""
        at = bisect_right(self._firsts, first)
        if first > last or (at and self._lasts[at - 1] >= first):
            raise ValueError(f"{first}-{last} is no free range")
        if at < len(self._firsts) and self._firsts[at] <= last:
            raise ValueError(f"{first}-{last} is no free range")
        self.total += last - first + 1
        if at < len(self._firsts) and self._firsts[at] == last + 1 and self._values[at] == value:
            last = self._lasts[at]
            del self._firsts[at], self._lasts[at], self._values[at]
        if at and self._lasts[at - 1] == first - 1 and self._values[at - 1] == value:
            self._lasts[at - 1] = last
            return
        self._firsts.insert(at, first)
        self._lasts.insert(at, last)
        self._values.insert(at, value)

    def overlapping(self, first: int, last: int) -> list[tuple[int, int, T]]:
        """What covers `first` to `last`, clipped to it."""
        pieces = []
        for at in range(self._at(first), len(self._firsts)):
            if self._firsts[at] > last:
                break
            pieces.append((max(first, self._firsts[at]), min(last, self._lasts[at]), self._values[at]))
        return pieces

    def cut(self, first: int, last: int) -> list[tuple[int, int, T]]:
        """Uncover `first` to `last` and return what covered it."""
        pieces = self.overlapping(first, last)
        if not pieces:
            return pieces
        start = self._at(first)
        stop = start + len(pieces)
        left = [(self._firsts[start], first - 1, self._values[start])] if self._firsts[start] < first else []
        right = [(last + 1, self._lasts[stop - 1], self._values[stop - 1])] if self._lasts[stop - 1] > last else []
        rest = left + right
        self._firsts[start:stop] = [piece[0] for piece in rest]
        self._lasts[start:stop] = [piece[1] for piece in rest]
        self._values[start:stop] = [piece[2] for piece in rest]
        self.total -= sum(piece[1] - piece[0] + 1 for piece in pieces)
        return pieces

    def gaps(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of `first` to `last` that are not covered."""
        free = []
        for start, stop, _ in self.overlapping(first, last):
            if first < start:
                free.append((first, start - 1))
            first = stop + 1
        if first <= last:
            free.append((first, last))
        return free

    def clear(self) -> list[tuple[int, int, T]]:
        """Uncover everything and return what there was."""
        pieces = list(self)
        self._firsts, self._lasts, self._values, self.total = [], [], [], 0
        return pieces

    def _at(self, number: int) -> int:
        """The position of the span that holds `number`, else of the next one."""
        at = bisect_right(self._firsts, number)
        return at - 1 if at and self._lasts[at - 1] >= number else at
