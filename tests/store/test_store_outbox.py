"""The outbox: verdicts, counts, quarantine, and what of it is on disk when."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent import clock
from edge_agent.model import Refusal
from edge_agent.records.envelope import Draft
from edge_agent.store import Counts, Outbox, Reader, Store

OpenStore = Callable[..., Store]


def refusal(sequence: int, *, retryable: bool = False) -> Refusal:
    return Refusal(sequence=sequence, id=f"id-{sequence}", code="E1", reason="不合格", retryable=retryable)


@pytest.fixture
def store(open_store: OpenStore, make_draft: Callable[..., Draft]) -> Store:
    """A store with records 1 to 20."""
    store = open_store()
    for ticket in [store.submit(make_draft(number)) for number in range(19)]:
        ticket.wait(20)
    return store


def state(outbox: Outbox) -> tuple[int, int, int, int]:
    counts: Counts = outbox.counts()
    assert counts.kept == counts.delivered + counts.rejected + counts.pending
    return counts.kept, counts.delivered, counts.rejected, counts.pending


def test_everything_is_pending_first(store: Store) -> None:
    outbox = store.outbox()
    assert state(outbox) == (20, 0, 0, 20)
    assert (outbox.watermark, outbox.oldest_pending) == (0, 1)
    assert outbox.pending(1, 100) == [(1, 20)]


def test_a_verdict_counts_at_once(store: Store) -> None:
    outbox = store.outbox()
    settled = outbox.settle([(1, 5), (8, 9)], [refusal(7)], clock.now())
    assert (settled.newly_accepted, settled.newly_refused) == (7, 1)
    assert state(outbox) == (20, 7, 1, 12)
    assert (outbox.watermark, outbox.oldest_pending) == (5, 6)
    assert outbox.pending(4, 12) == [(6, 6), (10, 12)]
    again = outbox.settle([(1, 9)], [refusal(7)], clock.now())
    assert (again.newly_accepted, again.newly_refused) == (2, 0)


def test_accepted_wins_whichever_comes_first(store: Store) -> None:
    outbox = store.outbox()
    outbox.settle([], [refusal(3), refusal(4)], clock.now())
    outbox.settle([(3, 3)], [], clock.now())
    outbox.settle([(5, 5)], [refusal(5)], clock.now())
    outbox.settle([], [refusal(3)], clock.now())
    assert state(outbox) == (20, 2, 1, 17)
    assert [each.sequence for each in outbox.quarantine(10)] == [4]


def test_what_cannot_be_is_ignored(store: Store) -> None:
    outbox = store.outbox()
    settled = outbox.settle([(-5, 0), (21, 90), (9, 8)], [refusal(0), refusal(21)], clock.now())
    assert (settled.newly_accepted, settled.newly_refused) == (0, 0)
    outbox.settle([(19, 10**15)], [], clock.now())
    assert state(outbox) == (20, 2, 0, 18)


def test_a_retryable_refusal_stays_pending(store: Store) -> None:
    outbox = store.outbox()
    assert outbox.settle([], [refusal(3, retryable=True)], clock.now()).newly_refused == 0
    assert state(outbox) == (20, 0, 0, 20)


def test_quarantine_tells_why_before_and_after_it_is_on_disk(store: Store, eventually: Callable[..., None]) -> None:
    outbox = store.outbox()
    at = clock.now()
    outbox.settle([], [refusal(n) for n in (3, 4, 5, 9)], at)
    for _ in range(2):
        listed = outbox.quarantine(2, 1)
        assert [each.sequence for each in listed] == [4, 5]
        assert (listed[0].id, listed[0].code, listed[0].reason, listed[0].time_ms) == (
            "id-4",
            "E1",
            "不合格",
            at.wall_ms,
        )
        assert listed[0].state == "rejected"
        eventually(lambda: not outbox.waiting())
    assert outbox.quarantine(10, 4) == []


def test_requeue_makes_pending_again(store: Store) -> None:
    outbox = store.outbox()
    outbox.settle([(1, 2)], [refusal(n) for n in (3, 4, 5, 9)], clock.now())
    assert outbox.requeue([4, 4, 1, 17]) == 1
    assert outbox.pending(1, 6) == [(4, 4), (6, 6)]
    assert outbox.supersede(5)
    assert not outbox.supersede(4)
    assert outbox.requeue() == 2
    assert [(each.sequence, each.state) for each in outbox.quarantine(10)] == [(5, "rejected-superseded")]
    assert state(outbox) == (20, 2, 1, 17)


def test_a_verdict_is_on_disk_a_second_later(store: Store, path: Path, eventually: Callable[..., None]) -> None:
    store.outbox().settle([(1, 4), (6, 7)], [refusal(9)], clock.now())
    with Reader.open(path) as reader:
        eventually(lambda: reader.counts("platform").delivered == 6, timeout=5)
        assert reader.counts("platform") == store.outbox().counts()


def test_a_verdict_needs_nobody_else_to_be_written(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None]
) -> None:
    monkeypatch.setattr(store._retention, "waiting", lambda: False)
    store.outbox().settle([(1, 4)], [], clock.now())
    with Reader.open(path) as reader:
        eventually(lambda: reader.counts("platform").delivered == 4, timeout=5)


def test_a_verdict_that_comes_while_another_is_written_in_vain(store: Store, path: Path, open_store: OpenStore) -> None:
    store.stop()
    connection = sqlite3.connect(path, isolation_level=None)
    outbox = Outbox.load(connection, "platform", reader=store._reader, head=lambda: 20)

    def write(ending: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        outbox.write(connection)
        outbox.settle([(9, 9), (5, 5)], [refusal(12), refusal(13)], clock.now())
        outbox.requeue([13, 17])
        outbox.supersede(16)
        connection.execute(ending)

    outbox.settle([(1, 2), (7, 8)], [refusal(15), refusal(16), refusal(17), refusal(5)], clock.now())
    write("ROLLBACK")
    outbox.rolled_back()
    write("COMMIT")
    outbox.committed()
    connection.close()
    again = open_store().outbox()
    assert state(again) == (20, 6, 3, 11)
    assert again.pending(1, 20) == [(3, 4), (6, 6), (10, 11), (13, 14), (17, 20)]
    assert [(each.sequence, each.state) for each in again.quarantine(9)] == [
        (12, "rejected"),
        (15, "rejected"),
        (16, "rejected-superseded"),
    ]


def test_a_verdict_goes_with_the_next_commit(store: Store, path: Path, make_draft: Callable[..., Draft]) -> None:
    store.outbox().settle([(1, 4)], [], clock.now())
    store.keep(make_draft())
    with Reader.open(path) as reader:
        assert reader.counts("platform").delivered == 4


def test_the_durable_form_is_a_watermark_and_few_ranges(store: Store, path: Path) -> None:
    outbox = store.outbox()
    for pair in [(3, 4), (8, 9), (6, 6), (1, 2), (12, 14), (5, 5), (11, 11)]:
        outbox.settle([pair], [], clock.now())
    store.stop()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT target, watermark FROM outbox").fetchall() == [("platform", 6)]
    assert connection.execute("SELECT first, last FROM outbox_ranges ORDER BY first").fetchall() == [(8, 9), (11, 14)]
    connection.close()


def test_ranges_on_disk_shrink_when_they_meet(store: Store, path: Path, open_store: OpenStore) -> None:
    store.outbox().settle([(3, 4), (8, 9), (12, 12)], [], clock.now())
    store.stop()
    again = open_store()
    again.outbox().settle([(5, 7), (1, 2)], [], clock.now())
    again.stop()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT watermark FROM outbox").fetchall() == [(9,)]
    assert connection.execute("SELECT first, last FROM outbox_ranges").fetchall() == [(12, 12)]
    connection.close()


def test_all_of_it_outlives_a_restart(store: Store, open_store: OpenStore) -> None:
    outbox = store.outbox()
    outbox.settle([(1, 5), (8, 9)], [refusal(7), refusal(12), refusal(13)], clock.now())
    outbox.supersede(12)
    outbox.requeue([13])
    before = (state(outbox), outbox.pending(1, 20), outbox.quarantine(10), outbox.oldest_pending)
    store.stop()
    outbox = open_store().outbox()
    assert (state(outbox), outbox.pending(1, 20), outbox.quarantine(10), outbox.oldest_pending) == before


def test_targets_are_apart(store: Store, open_store: OpenStore) -> None:
    store.outbox("market").settle([(1, 3)], [refusal(4)], clock.now())
    assert state(store.outbox()) == (20, 0, 0, 20)
    store.stop()
    again = open_store()
    assert state(again.outbox("market")) == (20, 3, 1, 16)
    assert again.outbox("market") is again.outbox("market")


def test_a_million_pending_cost_no_memory() -> None:
    import tracemalloc

    outbox = Outbox("platform", reader=None, head=lambda: 1_000_000, watermark=0, new=False)  # type: ignore[arg-type]
    tracemalloc.start()
    assert outbox.pending(1, 10**9) == [(1, 1_000_000)]
    assert outbox.counts().pending == 1_000_000
    for first in range(1, 1_000_001, 500):
        outbox.settle([(first, first + 499)], [], clock.now())
    assert outbox.counts().delivered == 1_000_000
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
