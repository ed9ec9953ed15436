"""Shared by the tests of the store: real files, real connections, drafts as stations make them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import rfc8785

from edge_agent import clock
from edge_agent.records.envelope import GENESIS_HASH, Draft, draft
from edge_agent.store import Limits, Store

ZONE = ZoneInfo("Asia/Shanghai")
SOURCE = "/dongmen/gw-1"
SMALL = {"reserve_bytes": 64 * 1024}


@pytest.fixture
def make_draft() -> Callable[..., Draft]:
    def make(number: int = 0, *, wall_ms: int | None = None, size: int = 40) -> Draft:
        at = clock.now()
        if wall_ms is not None:
            at = type(at)(wall_ms=wall_ms, mono_ms=at.mono_ms, boot=at.boot, synced=at.synced)
        data = {"net_mg": number, "raw": "02" * size, "flags": []}
        return draft(type="trace.weighing.v1", subject="stall-7", at=at, zone=ZONE, data=data)

    return make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def open_store(path: Path) -> Iterator[Callable[..., Store]]:
    """Open a store as often as a test likes; whatever is still open is stopped at the end."""
    opened: list[Store] = []

    def open_it(where: Path = path, **options: Any) -> Store:
        limits = Limits(**({"reserve_bytes": 64 * 1024} | options.pop("limits", {})))
        store = Store.open(where, source=SOURCE, zone=ZONE, limits=limits, **options)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.stop(20)


@pytest.fixture
def check_chain() -> Callable[..., list[dict[str, Any]]]:
    """Read a database file with nothing of ours but SQLite, and check everything a chain promises."""

    def check(path: Path, *, start: tuple[int, str] = (0, GENESIS_HASH)) -> list[dict[str, Any]]:
        connection = sqlite3.connect(path)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            rows = connection.execute(
                "SELECT sequence, body FROM records WHERE sequence > ? ORDER BY sequence", (start[0],)
            ).fetchall()
        finally:
            connection.close()
        sequence, previous = start
        events = []
        for number, body in rows:
            event = json.loads(body)
            assert rfc8785.dumps(event) == body
            assert number == sequence + 1, f"gap after {sequence}"
            assert event["sequence"] == f"{number:016d}"
            assert event["prevhash"] == previous
            bare = {key: value for key, value in event.items() if key != "hash"}
            assert event["hash"] == hashlib.sha256(rfc8785.dumps(bare)).hexdigest()
            sequence, previous = number, event["hash"]
            events.append(event)
        return events

    return check


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait for something that happens on another thread; far longer than it should ever take."""

    def wait(condition: Callable[[], bool], timeout: float = 20.0) -> None:
        until = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < until, "it never happened"
            time.sleep(0.01)

    return wait
