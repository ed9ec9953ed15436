"""What is purged and what never is; the anchor; what happens when there is no room."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent import clock
from edge_agent.model import Instant, Refusal
from edge_agent.records.envelope import Draft
from edge_agent.store import Reader, Store, StoreFull
from edge_agent.store.retention import STEP, Retention

OpenStore = Callable[..., Store]
MakeDraft = Callable[..., Draft]
DAY_MS = 86_400_000


def fill(store: Store, drafts: list[Draft]) -> None:
    for ticket in [store.submit(each, timeout=20) for each in drafts]:
        ticket.wait(20)


def sequences(store: Store) -> list[int]:
    found: list[int] = []
    while rows := store.read(found[-1] + 1 if found else 1, limit=1000):
        found += [row.sequence for row in rows]
    return found


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the box's clock some days off."""
    real = clock.now

    def set_it(days: int, *, synced: bool = True) -> None:
        def now() -> Instant:
            return dataclasses.replace(real(), wall_ms=real().wall_ms + days * DAY_MS, synced=synced)

        monkeypatch.setattr(clock, "now", now)

    return set_it


def test_old_and_delivered_goes_the_rest_stays(
    set_clock: Callable[..., None],
    open_store: OpenStore,
    make_draft: MakeDraft,
    eventually: Callable[..., None],
    check_chain: Any,
    path: Path,
) -> None:
    set_clock(-10)
    store = open_store(limits={"keep_days": 5})
    fill(store, [make_draft(n) for n in range(STEP * 2 - 1)])
    set_clock(0)
    fill(store, [make_draft(n) for n in range(200)])
    refused = Refusal(sequence=7, id="x", code="c", reason="r", retryable=False)
    store.outbox().settle([(1, 6), (8, 19), (21, STEP * 2 + 100)], [refused], clock.now())
    counts = store.outbox().counts()
    store.stop()
    store = open_store(limits={"keep_days": 5})
    eventually(lambda: store.anchor.sequence == STEP * 2)
    head, anchor = store.head.sequence, store.anchor
    young = list(range(STEP * 2 + 1, head + 1))
    assert sequences(store) == [7, 20, *young], "rejected and pending records are never deleted"
    assert store.outbox().counts() == counts
    with Reader.open(path) as reader:
        assert reader.anchor() == anchor
    # What was left standing goes when it is delivered after all.
    store.outbox().settle([(7, 7), (20, 20)], [], clock.now())
    store.stop()
    store = open_store(limits={"keep_days": 5})
    assert store.anchor == anchor
    eventually(lambda: sequences(store) == young)
    store.stop()
    assert len(check_chain(path, start=anchor)) == head - anchor.sequence


@pytest.mark.parametrize("young", [True, False], ids=["young", "clock not right"])
def test_age_counts_only_with_a_clock_that_is_right(
    young: bool,
    set_clock: Callable[..., None],
    open_store: OpenStore,
    make_draft: MakeDraft,
    eventually: Callable[..., None],
) -> None:
    set_clock(0)
    store = open_store()
    fill(store, [make_draft(n) for n in range(20)])
    store.outbox().settle([(1, 21)], [], clock.now())
    store.stop()
    if not young:
        set_clock(400, synced=False)
    beats: list[None] = []
    store = open_store(limits={"keep_days": 1}, pulse=lambda: beats.append(None))
    eventually(lambda: len(beats) > 2)
    assert len(sequences(store)) == 21


def fill_up(store: Store, drafts: Callable[[], list[Draft]]) -> None:
    """Add records, slowly enough for the committer to look at the room, until it refuses."""
    while True:
        fill(store, drafts())
        time.sleep(0.02)


def in_use(path: Path) -> int:
    """Bytes of pages that hold something."""
    connection = sqlite3.connect(path)
    try:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    finally:
        connection.close()
    return int((pages - free) * size)


def test_max_bytes_first_purges_then_refuses_loudly_then_recovers(
    open_store: OpenStore, make_draft: MakeDraft, eventually: Callable[..., None], check_chain: Any, path: Path
) -> None:
    limit = 1 << 20
    store = open_store(limits={"max_bytes": limit})
    with pytest.raises(StoreFull, match="max_bytes"):
        fill_up(store, lambda: [make_draft(n, size=300) for n in range(50)])
    kept = list(range(1, store.head.sequence + 1))
    assert "max_bytes" in (store.trouble or "")
    assert sequences(store) == kept, "unsent records are never deleted"
    store.outbox().settle([(1, 3), (5, kept[-1])], [], clock.now())
    eventually(lambda: store.trouble is None)
    assert 4 in sequences(store)
    for _ in range(10):
        fill(store, [make_draft(n, size=300) for n in range(50)])
        store.outbox().settle([(5, store.head.sequence)], [], clock.now())
    eventually(lambda: in_use(path) < limit)  # the file itself stays as large as it once was, with free pages
    head, anchor = store.head.sequence, store.anchor
    assert anchor.sequence > 5
    assert sequences(store)[0] == 4
    assert sequences(store)[-1] == head
    store.stop()
    assert len(check_chain(path, start=anchor)) == head - anchor.sequence


def test_the_head_stays_even_where_all_is_delivered(
    open_store: OpenStore, make_draft: MakeDraft, eventually: Callable[..., None]
) -> None:
    store = open_store()
    fill(store, [make_draft(n) for n in range(30)])
    store.stop()
    store = open_store(limits={"max_bytes": 4096})
    head = store.head
    store.outbox().settle([(1, head.sequence)], [], clock.now())
    eventually(lambda: sequences(store) == [head.sequence])
    chain = store.chain
    store.stop()
    again = open_store()
    assert (again.head, again.chain) == (head, chain)
    assert json.loads(again.read(head.sequence, limit=1)[0].body)["hash"] == head.hash


def test_what_one_target_has_not_accepted_stays(
    open_store: OpenStore, make_draft: MakeDraft, eventually: Callable[..., None]
) -> None:
    store = open_store(limits={"max_bytes": 400_000})
    other = store.outbox("market")
    with pytest.raises(StoreFull):
        fill_up(store, lambda: [make_draft(n, size=300) for n in range(50)])
    head = store.head.sequence
    store.outbox().settle([(1, head)], [], clock.now())
    other.settle([(100, 120)], [], clock.now())
    eventually(lambda: 110 not in sequences(store))
    assert sequences(store) == [*range(1, 100), *range(121, head + 1)]
    assert store.outbox("third").watermark == store.anchor.sequence  # it can only be given what is still there
    other.settle([(1, 99)], [], clock.now())
    eventually(lambda: 1 not in sequences(store))  # passed over at first, and not forgotten


def test_a_purge_never_gets_ahead_of_the_outbox_on_disk(
    open_store: OpenStore, make_draft: MakeDraft, path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    """A verdict comes in the moment before a purge: after a power cut just then, nothing may be missing and pending."""
    store = open_store()
    fill(store, [make_draft(n) for n in range(2000)])
    store.stop()
    real_write, real_committed = Retention.write, Retention.committed
    stores: list[Store] = []
    seen: list[tuple[int, int]] = []

    def write(self: Retention, connection: sqlite3.Connection) -> None:
        if stores:
            stores[0].outbox().settle([(1, stores[0].anchor.sequence + 700)], [], clock.now())
        real_write(self, connection)

    def committed(self: Retention) -> None:
        real_committed(self)
        other = sqlite3.connect(path)
        (kept,) = other.execute("SELECT count(*) FROM records").fetchone()
        (watermark,) = other.execute("SELECT coalesce(max(watermark), 0) FROM outbox").fetchone()
        other.close()
        seen.append((2001 - kept, watermark))

    monkeypatch.setattr(Retention, "write", write)
    monkeypatch.setattr(Retention, "committed", committed)
    stores.append(open_store(limits={"max_bytes": 4096}))
    eventually(lambda: bool(seen) and seen[-1][0] > 1500)
    assert all(missing <= delivered for missing, delivered in seen)
