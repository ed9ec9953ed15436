"""The bounded mailbox through which a station is fed.

When it is full, readings coalesce (only the newest of a device counts), while scans, tags and changes of state
hold their reader back, so that none is lost; how often that happened is counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from edge_agent.model import Command, Observation, Reading
from edge_agent.records.envelope import Draft
from edge_agent.station import Outcome

BOUND: Final = 256


@dataclass(frozen=True, slots=True)
class Request:
    """A command, and where its outcome goes. `before` hears of the records that follow, just before they are kept."""

    command: Command
    outcome: Future[tuple[Outcome, tuple[object, ...]]]
    before: Callable[[Sequence[Draft]], None] | None = None


Item = Observation | Request


class Mailbox:
    """Many readers put, one station takes."""

    def __init__(self, bound: int = BOUND) -> None:
        self._bound = bound
        self._items: deque[Item] = deque()
        self._condition = threading.Condition()
        self._closed = False
        self.coalesced = 0
        self.held_back = 0

    def put(self, item: Item) -> bool:
        """Hand over an item, waiting for room where it must not be lost. False when the mailbox is closed."""
        with self._condition:
            if len(self._items) >= self._bound and not self._closed:
                if isinstance(item, Observation) and isinstance(item.event, Reading):
                    if self._coalesce(item):
                        return True
                else:
                    self.held_back += 1
                self._condition.wait_for(lambda: self._closed or len(self._items) < self._bound)
            if self._closed:
                return False
            self._items.append(item)
            self._condition.notify_all()
            return True

    def _coalesce(self, item: Observation) -> bool:
        for position in range(len(self._items) - 1, -1, -1):
            other = self._items[position]
            if isinstance(other, Observation) and other.device == item.device:
                if not isinstance(other.event, Reading):
                    return False  # a change of state lies between: the order must hold
                self._items[position] = item
                self.coalesced += 1
                return True
        return False

    def take(self, timeout: float) -> Item | None:
        """The oldest item, waiting at most `timeout` seconds; None when there is none."""
        with self._condition:
            if not self._items and not self._closed:
                self._condition.wait(timeout)
            if not self._items:
                return None
            item = self._items.popleft()
            self._condition.notify_all()
            return item

    def close(self) -> None:
        """Take nothing more and let every waiting reader go; what is in the box can still be taken."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
