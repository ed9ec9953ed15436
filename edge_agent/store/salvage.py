"""Reading back what a damaged database file still holds.

A record is its own proof: it carries the hash of its canonical form. So rows that SQLite can no longer reach are
carved out of the bytes of the file and of its log, and nothing is taken for a record that was not one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from edge_agent.store import damage, schema, succession
from edge_agent.store.ranges import Ranges
from edge_agent.store.reading import LAST_ROW
from edge_agent.store.values import MIB, Salvaged

_BLOCK: Final = 4 * MIB
_OVERLAP: Final = 64 << 10  # longer than any record that lies in one piece: SQLite splits what exceeds a page
_TAIL: Final = 16 * MIB
_PAGE_ROWS: Final = 200
_MAX_SKIPS: Final = 200
_START: Final = b'{"chain":"'
_END: Final = re.compile(
    rb'"hash":"(?P<hash>[0-9a-f]{64})",'
    rb'(?P<rest>"id":"[^"]{1,64}","prevhash":"[0-9a-f]{64}","sequence":"(?P<sequence>[0-9]{16})",'
    rb'"source":"(?:[^"\\]|\\.){0,1024}","specversion":"1\.0","subject":"(?:[^"\\]|\\.){0,1024}",'
    rb'"time":"[^"]{1,64}","type":"[^"]{1,128}"\})'
)


def salvage(path: Path) -> Iterator[Salvaged | None]:
    """Every record that can still be read from a database file and its log, once each, in no order.

    Yields None now and then where nothing was found for a while, so that the caller can pause. Records that the old
    outbox still shows as delivered are left out: the file itself keeps them. So are those of a superseded chain that
    were kept again on the next one.
    """
    seen: dict[str, Ranges] = {}
    chain, delivered = _delivered(path)
    superseded = succession.marked(path)
    for found in _every(path):
        if found is not None:
            if superseded is not None and superseded.is_later(orjson.loads(found.body)):
                continue  # kept again on the chain that took this one's place
            known = seen.setdefault(found.chain, Ranges())
            if not known.add(found.sequence, found.sequence):
                continue
            if found.chain == chain and found.sequence in delivered:
                continue
        yield found


def last_known(path: Path) -> tuple[str, int, str] | None:
    """Chain, sequence and hash of the last record that a quick look finds: by query, in the log, at the file's end.

    Chain ids rise with time, so where there are several the last one counts.
    """
    found: list[tuple[str, int, str]] = []
    try:
        connection = schema.connect_reader(path, 1.0)
        try:
            row = connection.execute(LAST_ROW).fetchone()
        finally:
            connection.close()
        if row is not None and (event := damage.event_of(row[1])) is not None:
            found.append((event["chain"], row[0], event["hash"]))
    except damage.UNREADABLE:
        found.clear()  # what the query cannot reach, the bytes may tell
    for suffix in ("", "-wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            carved = carve(file, start=max(0, file.stat().st_size - _TAIL))
            found += [(each.chain, each.sequence, _hash(each)) for each in carved if each is not None]
    return max(found, default=None)


def _hash(salvaged: Salvaged) -> str:
    return str(orjson.loads(salvaged.body)["hash"])


def _every(path: Path) -> Iterator[Salvaged | None]:
    yield from _by_query(path)
    for suffix in ("", "-wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            yield from carve(file)


def _by_query(path: Path) -> Iterator[Salvaged | None]:
    """Records by SQL, jumping over what cannot be read in growing strides."""
    try:
        connection = schema.connect_reader(path, 1.0)
    except damage.UNREADABLE:
        return
    query = "SELECT sequence, body FROM records WHERE sequence > ? ORDER BY sequence LIMIT ?"
    sequence, stride, skips = 0, 1, 0
    try:
        while skips < _MAX_SKIPS:
            try:
                rows = connection.execute(query, (sequence, _PAGE_ROWS if stride == 1 else 1)).fetchall()
            except damage.UNREADABLE:
                sequence, stride, skips = sequence + stride, min(stride * 2, 1 << 20), skips + 1
                yield None
                continue
            if not rows:
                return
            for _, body in rows:
                event = damage.event_of(body) if isinstance(body, bytes) else None
                if event is not None:
                    yield Salvaged(event["chain"], int(event["sequence"]), body)
            sequence, stride = rows[-1][0], 1
    finally:
        connection.close()


def _delivered(path: Path) -> tuple[str | None, Ranges]:
    """The file's own chain, and what every target had accepted of it, as far as that can be read.

    Where it cannot, nothing counts as delivered: to send a record again does no harm, to leave one out does.
    """
    nothing: tuple[str | None, Ranges] = (None, Ranges())
    try:
        connection = schema.connect_reader(path, 1.0)
    except damage.UNREADABLE:
        return nothing
    try:
        event = damage.event_of(connection.execute("SELECT body FROM records LIMIT 1").fetchone()[0])
        targets = connection.execute("SELECT target, watermark FROM outbox").fetchall()
        if event is None or len(targets) != 1:
            return nothing
        ((target, watermark),) = targets
        ranges = connection.execute("SELECT first, last FROM outbox_ranges WHERE target = ?", (target,)).fetchall()
        return event["chain"], Ranges([(1, watermark), *ranges] if watermark else ranges)
    except (*damage.UNREADABLE, TypeError):
        return nothing
    finally:
        connection.close()


def carve(file: Path, *, start: int = 0) -> Iterator[Salvaged | None]:
    """Records found in the bytes of a file from `start` on, each proved by its hash. Yields None after each block.

    Blocks that the disk cannot read are passed over.
    """
    fd = os.open(file, os.O_RDONLY)
    try:
        block = b""
        for offset in range(start, os.fstat(fd).st_size, _BLOCK):
            try:
                block = block[-_OVERLAP:] + os.pread(fd, _BLOCK, offset)
            except OSError:
                block = b""
            yield from _carve_block(block)
            yield None
    finally:
        os.close(fd)


def _carve_block(block: bytes) -> Iterator[Salvaged]:
    for match in _END.finditer(block):
        begin = match.start()
        floor = max(0, begin - _OVERLAP)
        while (begin := block.rfind(_START, floor, begin)) >= 0:
            digest = hashlib.sha256(block[begin : match.start()])
            digest.update(match["rest"])
            if digest.hexdigest().encode() == match["hash"]:
                body = block[begin : match.end()]
                chain = body[len(_START) : body.index(b'"', len(_START))].decode(errors="replace")
                yield Salvaged(chain, int(match["sequence"]), body)
                break
