"""Attachments as they come on `attachments`: a line of JSON, then bytes. Put together, checked by hash, kept.

Written from the description of the wire alone. A file that turns out to be another one is dropped whole.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from typing import Any, Final

import orjson

MAX_FILE: Final = 64 << 20
MAX_PIECE: Final = 256 << 10

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS attachments(
    sha256 TEXT PRIMARY KEY, site TEXT NOT NULL, gateway TEXT NOT NULL, type TEXT NOT NULL, size INTEGER NOT NULL,
    have INTEGER NOT NULL, complete INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pieces(
    sha256 TEXT NOT NULL, offset INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(sha256, offset)) STRICT;
"""

_NAME: Final = re.compile(r"[0-9a-f]{64}")


class BadPiece(ValueError):
    """A message that is no piece of a file."""


class Files:
    """Files in the archive's database; the archive begins and commits."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.executescript(SCHEMA)
        self.complete = int(self._db.execute("SELECT count(*) FROM attachments WHERE complete").fetchone()[0])
        self.pieces = 0
        self.again = 0
        """Bytes that came and were there already."""

    def take(self, payload: bytes, *, site: str, gateway: str) -> tuple[str, dict[str, Any]]:
        """Take one piece; returns the chain it names and the word on its file. Raises `BadPiece`."""
        head, data = _split(payload)
        name, size, offset = head["sha256"], head["size"], head["offset"]
        row = self._db.execute("SELECT size, have, complete FROM attachments WHERE sha256 = ?", (name,)).fetchone()
        if row is None:
            values = (name, site, gateway, head["type"], size)
            self._db.execute("INSERT INTO attachments VALUES(?, ?, ?, ?, ?, 0, 0)", values)
            row = (size, 0, 0)
        known_size, have, complete = row
        if known_size != size:
            return head["chain"], {"sha256": name, "refused": f"it had {known_size} bytes before", "retryable": False}
        self.pieces += 1
        if not complete and data and offset <= have:
            self.again += min(len(data), have - offset)
            self._db.execute("INSERT OR REPLACE INTO pieces VALUES(?, ?, ?)", (name, offset, data))
            have = max(have, offset + len(data))
            self._db.execute("UPDATE attachments SET have = ? WHERE sha256 = ?", (have, name))
        elif data:
            self.again += len(data)
        if not complete and have == size:
            return head["chain"], self._finish(name, size)
        return head["chain"], {"sha256": name, "have": have, "complete": bool(complete)}

    def _finish(self, name: str, size: int) -> dict[str, Any]:
        if hashlib.sha256(self.content(name)).hexdigest() != name:
            self._db.execute("DELETE FROM pieces WHERE sha256 = ?", (name,))
            self._db.execute("DELETE FROM attachments WHERE sha256 = ?", (name,))
            return {"sha256": name, "refused": "the bytes have another hash", "retryable": True}
        self._db.execute("UPDATE attachments SET complete = 1 WHERE sha256 = ?", (name,))
        self.complete += 1
        return {"sha256": name, "have": size, "complete": True}

    def media_type(self, name: str) -> str | None:
        """What a file was said to be; None where nothing came of it."""
        row = self._db.execute("SELECT type FROM attachments WHERE sha256 = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def content(self, name: str) -> bytes:
        """The bytes that are there of a file, from its beginning."""
        whole = bytearray()
        rows = self._db.execute("SELECT offset, data FROM pieces WHERE sha256 = ? ORDER BY offset", (name,))
        for offset, data in rows:
            whole[offset : offset + len(data)] = data  # pieces of two tries may overlap
        return bytes(whole)


def _split(payload: bytes) -> tuple[dict[str, Any], bytes]:
    line, newline, data = payload.partition(b"\n")
    try:
        head = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadPiece("does not begin with a line of JSON") from None
    if not newline or not isinstance(head, dict) or head.get("v") != 1:
        raise BadPiece("is no piece of version 1")
    texts = ("sha256", "type", "chain")
    if not all(isinstance(head.get(name), str) for name in texts) or not _NAME.fullmatch(head["sha256"]):
        raise BadPiece("names no file")
    if not all(type(head.get(name)) is int and 0 <= head[name] <= MAX_FILE for name in ("size", "offset")):
        raise BadPiece("has no size or offset")
    if len(data) > MAX_PIECE or head["offset"] + len(data) > head["size"]:
        raise BadPiece("goes beyond the file")
    return head, data
