"""A dictionary that forgets its oldest entries, so that nothing a station remembers grows without end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class Bounded(Generic[V]):
    """At most `bound` values by key, in the order in which they were put."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._values: dict[str, V] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[V]:
        return iter(self._values.values())

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> V | None:
        """The value; None where there is none or it was forgotten."""
        return self._values.get(key)

    def put(self, key: str, value: V) -> None:
        """Remember a value as the newest; where there are too many, the oldest is forgotten."""
        self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > self._bound:
            del self._values[next(iter(self._values))]

    def pop(self, key: str) -> V | None:
        """Forget a value; returns it, None where there was none."""
        return self._values.pop(key, None)

    def items(self) -> Iterator[tuple[str, V]]:
        """Keys and values, oldest first."""
        return iter(self._values.items())
