"""A chain that ends although its file is whole, because the platform holds more of it than the file does.

That is what a card restored from an old image, a cloned card, or a card that lied about its flushes looks like. To go
on would give sequences a second time. So the finding is written down (`mark`), and at the next opening the file is set
aside as evidence, a new chain begins that names the place which the platform holds, and what the old file remembers
besides records goes over to the new one. Records that were kept before the finding, and are not part of what the
platform holds, are kept again on the new chain under their old ids; the others stay for the lowest lane, as after a
salvage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from edge_agent.records import canonical
from edge_agent.records.envelope import CHAIN_TYPE, Draft
from edge_agent.store import damage, schema
from edge_agent.store.attestor import BLOCKED, KEY
from edge_agent.store.ranges import Ranges

SUPERSEDED: Final = "superseded"
RESUMED: Final = "resumed"
"""The note that is made in the new file when all that had to be kept again is kept: a `Resumed` as JSON."""
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """Up to where others hold the chain, and since when: what was kept after `time` (RFC 3339) is not part of that.

    `boot` is set where the clock was behind `time`: then what was kept in that boot counts as kept after it. `hash`
    is None where only the sequence is known.
    """

    chain: str
    sequence: int
    hash: str | None
    time: str
    boot: str | None
    reason: str

    def is_later(self, event: dict[str, Any]) -> bool:
        """Whether a record was kept after that. A chain's first record has its place and needs no other."""
        if event["type"] == CHAIN_TYPE:
            return False
        if self.boot is None:
            return datetime.fromisoformat(event["time"]) > datetime.fromisoformat(self.time)
        clocks = event["data"].get("clock")
        return isinstance(clocks, dict) and clocks.get("boot") == self.boot

    def dumps(self) -> str:
        """As the store remembers it."""
        return orjson.dumps(asdict(self)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """On `chain` everything up to `sequence` was known when `old_chain` had reached `old_sequence`."""

    chain: str
    sequence: int
    old_chain: str
    old_sequence: int

    def dumps(self) -> str:
        """As the store remembers it."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def loads(cls, text: str | None) -> Resumed | None:
        """As it was remembered; None where nothing was."""
        return None if text is None else cls(**orjson.loads(text))


def marked(path: Path) -> Superseded | None:
    """What was written down in this file; None in almost every file, and in one that cannot be read."""
    if not path.is_file() or not path.stat().st_size:
        return None
    try:
        connection = schema.connect_reader(path, 1.0)
        try:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (SUPERSEDED,)).fetchone()
        finally:
            connection.close()
        return None if row is None else Superseded(**orjson.loads(row[0]))
    except (*damage.UNREADABLE, orjson.JSONDecodeError, TypeError):
        return None


def newest_marked(path: Path) -> tuple[Path, Superseded] | None:
    """The file that was set aside last, if a finding is written down in it."""
    asides = damage.aside_files(path)
    found = marked(asides[-1]) if asides else None
    return None if found is None else (asides[-1], found)


def carry_over(connection: sqlite3.Connection, path: Path) -> None:
    """Bring what the old file remembers besides records into a new, empty one: notes, keys, the block of signing."""
    old = newest_marked(path)
    if old is None or connection.execute("SELECT 1 FROM records LIMIT 1").fetchone():
        return
    reader = schema.connect_reader(old[0], 1.0)
    try:
        notes = reader.execute("SELECT key, value FROM notes").fetchall()
        keys = reader.execute("SELECT number, id, public, since FROM signing_keys").fetchall()
        changes = reader.execute("SELECT kind, sequence, time, body FROM statements WHERE kind = ?", (KEY,)).fetchall()
        block = reader.execute("SELECT key, value FROM meta WHERE key = ?", (BLOCKED,)).fetchall()
    finally:
        reader.close()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR IGNORE INTO notes VALUES (?, ?)", notes)
    connection.executemany("INSERT OR IGNORE INTO signing_keys VALUES (?, ?, ?, ?)", keys)
    connection.executemany("INSERT OR IGNORE INTO statements VALUES (?, ?, ?, ?)", changes)
    connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", block)
    connection.execute("COMMIT")


def kept_since(aside: Path, found: Superseded) -> Iterator[Draft]:
    """The undelivered records of a file that the platform's copy of its chain cannot hold, as drafts, in order."""
    connection = schema.connect_reader(aside, 1.0)
    try:
        delivered = _delivered(connection)
        after = 0
        while True:
            rows = connection.execute(
                "SELECT sequence, body FROM records WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, _PAGE)
            ).fetchall()
            if not rows:
                return
            for sequence, body in rows:
                event = damage.event_of(body)
                if event is not None and sequence not in delivered and found.is_later(event):
                    yield _draft(event)
            after = rows[-1][0]
    finally:
        connection.close()


def _draft(event: dict[str, Any]) -> Draft:
    return Draft(
        id=event["id"],
        type=event["type"],
        subject=event["subject"],
        time=event["time"],
        data=canonical.dumps(event["data"]),
    )


def _delivered(connection: sqlite3.Connection) -> Ranges:
    watermarks = connection.execute("SELECT watermark FROM outbox").fetchall()
    lowest = min((mark for (mark,) in watermarks), default=0)
    return Ranges([(1, lowest)] if lowest else [])
