"""What SQLite does by itself: the yardstick for the committer. Not used by the agent."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from edge_agent import clock
from edge_agent.store import schema


def executemany_per_s(path: Path, bodies: Sequence[bytes], *, per_commit: int = 1_000) -> float:
    """Rows a second of a bare `executemany` into a new file at `path`, WAL and synchronous=FULL like the store's."""
    connection = schema.connect_writer(path, 5.0)
    try:
        connection.execute("CREATE TABLE records (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
        began = clock.monotonic()
        for first in range(0, len(bodies), per_commit):
            rows = list(enumerate(bodies[first : first + per_commit], first + 1))
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO records (sequence, body) VALUES (?, ?)", rows)
            connection.execute("COMMIT")
        return len(bodies) / (clock.monotonic() - began)
    finally:
        connection.close()


def sqlite_version() -> str:
    """The version of the SQLite library, to be told beside the figures."""
    return sqlite3.sqlite_version
