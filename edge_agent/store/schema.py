"""Connections to the database file, and bringing its schema up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from edge_agent.store.errors import Damaged, StoreUnusable

PAGE_SIZE: Final = 4096
WAL_PAGES: Final = 1_000
"""Pages in the write-ahead log before it is checkpointed: about 4 MB, small enough to be quick to recover."""

_READER_CACHE: Final = 256
"""KiB of pages that one reading thread keeps: it reads on and on, and seldom the same page again."""
_WRITER_CACHE: Final = 512
"""KiB of pages that the writer keeps; it appends, and reads back in order."""
_WAL_BYTES: Final = 16 << 20
_FULL: Final = 2
OURS: Final = frozenset(
    {
        *("_sqlite_migrations", "records", "outbox", "outbox_ranges", "quarantine", "salvaged", "meta", "notes"),
        *("catalogue", "statements", "signing_keys"),
    }
)
"""A file with one of these tables is a store; one with other tables only is not."""


def connect_writer(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """The one connection that writes. Raises sqlite3.Error; `StoreUnusable` where WAL or FULL is not to be had.

    The log file is kept at its size after a checkpoint (up to `journal_size_limit`): overwriting it spares the file
    system a metadata write at every sync.
    """
    connection = _connect(f"{path.absolute().as_uri()}?mode=rwc", busy_timeout)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
        if mode != "wal" or level != _FULL:
            raise StoreUnusable(
                f"{path}: the journal mode is {mode!r} and synchronous {level}, but must be 'wal' and {_FULL} (FULL);"
                " put the store on a local file system such as ext4"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """A connection that cannot write. It may be closed by another thread. Raises sqlite3.Error."""
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro", busy_timeout)
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE}")
    return connection


def _connect(uri: str, busy_timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False)


MIGRATIONS: Final = frozenset({"0001_first", "0002_catalogue", "0003_proof"})
"""The names of all of `edge_agent.store.migrations`."""


def _applied(connection: sqlite3.Connection, tables: set[str]) -> set[str]:
    """The migrations that a store says it has had."""
    if "_sqlite_migrations" not in tables:
        return set()
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'store'")
    return {name for (name,) in rows}


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what is pending.

    Raises `StoreUnusable` for a newer schema and for another program's file,
    `Damaged` for one that was a store.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables >= OURS and _applied(connection, tables) == MIGRATIONS:
        return
    # Imported here: it costs 150 ms and 4 MB, and only a store that is new or old needs it.
    from sqlite_utils import Database

    from edge_agent.store.migrations import migrations

    if tables and not tables & OURS:
        raise StoreUnusable(
            f"{path} is another program's database (tables {', '.join(sorted(tables))}); name a new file"
        )
    database = Database(connection)
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    applied = {migration.name for migration in migrations.applied(database)}
    if newer := applied - known:
        if known - applied:  # a newer version knows all of ours
            raise Damaged(f"the schema says {', '.join(sorted(applied))}")
        raise StoreUnusable(
            f"{path} was written by a newer version of the agent (schema {max(newer)}); install that version or newer"
        )
    migrations.apply(database)
