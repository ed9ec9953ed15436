"""Facts that other parts remember over a restart, such as which MQTT version the broker spoke."""

from __future__ import annotations

import sqlite3
import threading


class Notes:
    """A few texts by key, held in memory. Thread-safe; written with the committer's next commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._lock = threading.Lock()
        self._written = threading.Condition(self._lock)
        self._values: dict[str, str] = dict(connection.execute("SELECT key, value FROM notes"))
        self._changed: set[str] = set()
        self._writing: set[str] = set()

    def get(self, key: str) -> str | None:
        """The value; None where there is none."""
        with self._lock:
            return self._values.get(key)

    def set(self, key: str, value: str) -> None:
        """Remember a value."""
        with self._lock:
            if self._values.get(key) != value:
                self._values[key] = value
                self._changed.add(key)

    def until_written(self, timeout: float) -> bool:
        """Wait until all that was set is on disk; False where that takes longer."""
        with self._lock:
            return self._written.wait_for(lambda: not (self._changed or self._writing), timeout)

    # --- the committer's thread

    def waiting(self) -> bool:
        """Whether a value changed."""
        return bool(self._changed)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what changed."""
        with self._lock:
            self._writing, self._changed = self._changed, set()
            values = [(key, self._values[key]) for key in self._writing]
        connection.executemany(
            "INSERT INTO notes (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            values,
        )

    def committed(self) -> None:
        """It is on disk."""
        with self._lock:
            self._writing = set()
            self._written.notify_all()

    def rolled_back(self) -> None:
        """It is not; it goes with the next commit."""
        with self._lock:
            self._changed |= self._writing
            self._writing = set()
