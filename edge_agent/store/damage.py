"""A damaged database: how it is noticed, and how it is set aside so that collecting goes on."""

from __future__ import annotations

import glob
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from edge_agent import clock
from edge_agent.records.canonical import NotCanonical
from edge_agent.records.envelope import hash_of
from edge_agent.store import schema
from edge_agent.store.errors import StoreUnusable

_log = structlog.get_logger(__name__)

# SQLITE_ERROR is what a statement of ours gets where the schema's text was changed: no such table, no such column.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_BAD_READS: Final = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
)
UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged file makes of a query: the sqlite3 module cannot always put the complaint into text."""

_WHOLE_CHECK_BYTES: Final = 64 << 20
_TAIL_ROWS: Final = 2_000


def is_damage(problem: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether the file, not the disk or the statement, is what is wrong."""
    if isinstance(problem, UnicodeDecodeError):
        return True
    code = getattr(problem, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF in _DAMAGE or code in _BAD_READS)


def suspect(path: Path, reason: str) -> None:
    """Leave word that the file looked damaged, so that the next start checks the whole of it."""
    try:
        _suspicion(path).write_text(reason)
    except OSError as problem:
        _log.warning("store.suspicion_not_noted", path=str(path), reason=str(problem))


def _suspicion(path: Path) -> Path:
    return path.with_name(path.name + ".suspect")


def examine(path: Path, busy_timeout: float) -> str | None:
    """Look for damage in bounded time: what is wrong with the file, or None.

    A small file, or one that was suspect when the agent last ran, is checked as a whole. Of a large one the small
    tables and the newest records are: those that are not delivered yet. Raises `StoreUnusable` where the file
    cannot even be opened.
    """
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return None
    if not path.is_file():
        raise StoreUnusable(f"{path} is not a file; name one, which will be made")
    whole = path.stat().st_size <= _WHOLE_CHECK_BYTES or _suspicion(path).exists()
    try:
        connection = schema.connect_reader(path, busy_timeout)
    except sqlite3.Error as problem:
        if is_damage(problem):
            return str(problem)
        raise StoreUnusable(
            f"{path} cannot be opened: {problem}; the agent's user must be able to write it"
        ) from problem
    try:
        found = _check(connection, whole=whole)
    except UNREADABLE as problem:
        if not is_damage(problem):
            raise StoreUnusable(f"{path} cannot be read: {problem}") from problem
        found = str(problem)
    finally:
        connection.close()
    if found is None:
        _suspicion(path).unlink(missing_ok=True)
    return found


def _check(connection: sqlite3.Connection, *, whole: bool) -> str | None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if whole:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            return str(verdict)
    else:
        for table in sorted(tables & {"outbox", "outbox_ranges", "quarantine", "meta", "notes"}):
            verdict = connection.execute("SELECT quick_check FROM pragma_quick_check(?)", (table,)).fetchone()[0]
            if verdict != "ok":
                return f"{table}: {verdict}"
    if tables & schema.OURS and connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0]:
        return _check_tail(connection)
    return None


def _check_tail(connection: sqlite3.Connection) -> str | None:
    """The newest records must be whole and chained, and reach as far as what the platform has accepted."""
    rows = connection.execute("SELECT sequence, body FROM records ORDER BY sequence DESC LIMIT ?", (_TAIL_ROWS,))
    following: dict[str, Any] | None = None
    head = 0
    for sequence, body in rows:
        event = event_of(body)
        if event is None or event.get("sequence") != f"{sequence:016d}":
            return f"record {sequence} is not what was written"
        if following is None:
            head = sequence
        elif int(following["sequence"]) == sequence + 1 and following["prevhash"] != event["hash"]:
            return f"record {sequence + 1} does not continue record {sequence}"
        following = event
    (settled,) = connection.execute(
        "SELECT max(coalesce((SELECT max(watermark) FROM outbox), 0),"
        " coalesce((SELECT max(last) FROM outbox_ranges), 0))"
    ).fetchone()
    return f"records {head + 1} to {settled} were accepted and are gone" if settled > head else None


def event_of(body: bytes) -> dict[str, Any] | None:
    """A record that carries its own right hash; None for anything else."""
    try:
        event = orjson.loads(body)
        return event if isinstance(event, dict) and event.get("hash") == hash_of(event) else None
    except (orjson.JSONDecodeError, NotCanonical):
        return None


def set_aside(path: Path, reason: str) -> Path:
    """Move the damaged file and its log out of the way, as evidence and for salvage. Returns its new name."""
    stamp = datetime.fromtimestamp(clock.now().wall_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.broken-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.broken-{stamp}-{number}")
    # The log first: should the power fail in between, a log without its database is harmless, and the database
    # without its log is found damaged or shorter, and set aside at the next start.
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    _reason_file(aside).write_text(reason)
    _sync_directory(path.parent)
    _suspicion(path).unlink(missing_ok=True)
    _log.error("store.set_aside", path=str(path), to=str(aside), reason=reason)
    return aside


def why_set_aside(aside: Path) -> str:
    """The reason that was given when this file was set aside."""
    try:
        return _reason_file(aside).read_text()
    except OSError:
        return "damaged"


def _reason_file(aside: Path) -> Path:
    return aside.with_name(aside.name + "-reason")


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def aside_files(path: Path) -> list[Path]:
    """The databases that were set aside beside this one, oldest first."""
    found = path.parent.glob(f"{glob.escape(path.name)}.broken-*")
    return sorted(each for each in found if not each.name.endswith(("-wal", "-shm", "-reason")))
