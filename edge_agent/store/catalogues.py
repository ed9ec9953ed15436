"""The catalogue's versions: each a whole list of goods, parties or prices as it was imported. Kept with the records."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from edge_agent.model import Instant
from edge_agent.store import damage, schema
from edge_agent.store.errors import CommitFailed

KEPT_VERSIONS: Final = 20
"""Versions of each kind that stay; older ones go when a new one comes."""

NEWEST: Final = (
    "SELECT kind, version, time_ms, source, rows, sha256, body FROM catalogue AS c"
    " WHERE version = (SELECT max(version) FROM catalogue WHERE kind = c.kind)"
)


class CatalogueVersion(NamedTuple):
    """One version of one kind: when it was kept, where it came from, how many rows it has, and their bytes."""

    kind: str
    version: int
    time_ms: int
    source: str
    rows: int
    sha256: str
    body: bytes


class Catalogues:
    """The newest version of each kind, and the way to keep another. Thread-safe; written with the next commit."""

    def __init__(self, connection: sqlite3.Connection, asides: Iterable[Path] = ()) -> None:
        self._lock = threading.Lock()
        self._newest = {row[0]: CatalogueVersion._make(row) for row in connection.execute(NEWEST)}
        self._waiting: dict[str, tuple[CatalogueVersion, threading.Event]] = {}
        self._writing: dict[str, tuple[CatalogueVersion, threading.Event]] = {}
        if not self._newest:
            for kind, found in _from_asides(asides).items():
                self._waiting[kind] = (found, threading.Event())
                self._newest[kind] = found

    def newest(self, kind: str) -> CatalogueVersion | None:
        """The newest version that is kept; None where there never was one."""
        with self._lock:
            return self._newest.get(kind)

    def put(self, kind: str, body: bytes, *, rows: int, source: str, at: Instant, timeout: float) -> CatalogueVersion:
        """Keep a new version; returns after its COMMIT. The same bytes again make none.

        Raises `CommitFailed` where it was not kept within `timeout` seconds: then it is forgotten.
        """
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            before = self._newest.get(kind)
            if kind in self._waiting or kind in self._writing:
                raise CommitFailed(f"another import of {kind} is being kept")
            if before is not None and before.sha256 == digest:
                return before
            version = CatalogueVersion(
                kind, before.version + 1 if before else 1, at.wall_ms, source, rows, digest, body
            )
            done = threading.Event()
            self._waiting[kind] = (version, done)
        if done.wait(timeout):
            return version
        with self._lock:
            withdrawn = self._waiting.pop(kind, None) is not None
        if not withdrawn and done.wait(timeout):  # it was being written at that moment
            return version
        raise CommitFailed(f"the {kind} were not kept within {timeout} s; see the store's state")

    # --- the committer's thread

    def waiting(self) -> bool:
        """Whether there is a version to write."""
        return bool(self._waiting)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what waits, and let the oldest versions go."""
        with self._lock:
            self._writing, self._waiting = self._waiting, {}
        for version, _ in self._writing.values():
            connection.execute(
                "INSERT INTO catalogue (kind, version, time_ms, source, rows, sha256, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                version,
            )
            connection.execute(
                "DELETE FROM catalogue WHERE kind = ? AND version <= ?", (version.kind, version.version - KEPT_VERSIONS)
            )

    def committed(self) -> None:
        """It is on disk."""
        with self._lock:
            written, self._writing = self._writing, {}
            self._newest.update({kind: version for kind, (version, _) in written.items()})
        for _, done in written.values():
            done.set()

    def rolled_back(self) -> None:
        """It is not; it goes with the next commit, as long as somebody waits for it."""
        with self._lock:
            self._waiting = self._writing | self._waiting
            self._writing = {}


def _from_asides(asides: Iterable[Path]) -> dict[str, CatalogueVersion]:
    """The newest versions that files which were set aside still hold whole, so that a stall goes on with its goods."""
    found: dict[str, CatalogueVersion] = {}
    for path in asides:
        try:
            connection = schema.connect_reader(path, 1.0)
            try:
                rows = connection.execute(NEWEST).fetchall()
            finally:
                connection.close()
        except damage.UNREADABLE:
            continue
        for version in map(CatalogueVersion._make, rows):
            whole = isinstance(version.body, bytes) and hashlib.sha256(version.body).hexdigest() == version.sha256
            if whole and version.version > (found[version.kind].version if version.kind in found else 0):
                found[version.kind] = version
    return found
