"""What the page and the command line may see of the running agent: latest values, and a bounded bus of events.

Threads that produce never wait for those that look: a watcher that is too slow loses the oldest events and is
told how many.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

_WATCHER_BOUND: Final = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed: the topic (`station/A12`, `device/scale-1`, `record`, `link`) and its new value."""

    topic: str
    value: Any


class Watcher:
    """One reader of the bus. Events come in order; `lost` counts those dropped because it was too slow.

    `topics` are the beginnings of the topics it hears of; none means all. `wake` is called when something came after
    there was nothing, by the thread that tells it: it must not wait.
    """

    def __init__(self, topics: tuple[str, ...] = (), wake: Callable[[], None] | None = None) -> None:
        self._events: deque[Event] = deque(maxlen=_WATCHER_BOUND)
        self._condition = threading.Condition()
        self._topics = topics
        self._wake = wake
        self.lost = 0

    def put(self, event: Event) -> None:
        """Hand over an event; never waits."""
        if self._topics and not event.topic.startswith(self._topics):
            return
        with self._condition:
            if len(self._events) == _WATCHER_BOUND:
                self.lost += 1
            first = not self._events
            self._events.append(event)
            self._condition.notify()
        if first and self._wake is not None:
            self._wake()

    def take(self, timeout: float) -> list[Event]:
        """All events there are, waiting at most `timeout` seconds for the first."""
        with self._condition:
            if not self._events:
                self._condition.wait(timeout)
            events = list(self._events)
            self._events.clear()
            return events


class Board:
    """Latest values by topic, and the bus."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, Any] = {}
        self._watchers: set[Watcher] = set()

    def post(self, topic: str, value: Any) -> None:
        """Set the latest value of a topic and tell every watcher; an unchanged value is not told again."""
        with self._lock:
            if topic in self._latest and self._latest[topic] == value:
                return
            self._latest[topic] = value
        self.tell(topic, value)

    def tell(self, topic: str, value: Any) -> None:
        """Tell every watcher of something that has no lasting value."""
        with self._lock:
            watchers = tuple(self._watchers)
        event = Event(topic, value)
        for watcher in watchers:
            watcher.put(event)

    def latest(self, prefix: str = "") -> Mapping[str, Any]:
        """The latest values of all topics that begin with `prefix`."""
        with self._lock:
            return {topic: value for topic, value in self._latest.items() if topic.startswith(prefix)}

    @contextmanager
    def watch(self, topics: tuple[str, ...] = (), wake: Callable[[], None] | None = None) -> Iterator[Watcher]:
        """A watcher for as long as the block runs; see `Watcher`."""
        watcher = Watcher(topics, wake)
        with self._lock:
            self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)
