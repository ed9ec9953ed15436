"""Keeping records: sequence, chain, tickets, bounds, reading, the lock."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.records.envelope import Draft
from edge_agent.store import Kept, Reader, Store, StoreBusy, StoreClosed, StoreFull, StoreUnusable, Ticket
from edge_agent.store.lock import Lock

OpenStore = Callable[..., Store]
MakeDraft = Callable[..., Draft]
CheckChain = Callable[..., list[dict[str, Any]]]


def test_a_new_store_begins_a_chain(open_store: OpenStore, check_chain: CheckChain, path: Path) -> None:
    store = open_store()
    (first,) = check_chain(path)
    assert first["type"] == "trace.chain.v1"
    assert first["chain"] == store.chain
    assert first["source"] == "/dongmen/gw-1"
    assert first["data"]["old_chain"] is None
    assert store.head == (1, first["hash"])
    assert store.anchor == (0, "0" * 64)


def test_keep_says_where_the_record_is(
    open_store: OpenStore, make_draft: MakeDraft, check_chain: CheckChain, path: Path
) -> None:
    store = open_store()
    draft = make_draft(5)
    kept = store.keep(draft)
    event = check_chain(path)[1]
    assert kept == Kept(2, draft.id, "trace.weighing.v1", "stall-7", event["hash"], store.chain)
    assert (event["id"], event["data"]["net_mg"]) == (draft.id, 5)
    assert store.head == (2, kept.hash)


def test_order_of_one_submitter_is_order_of_the_chain(
    open_store: OpenStore, make_draft: MakeDraft, check_chain: CheckChain, path: Path
) -> None:
    store = open_store()
    tickets = [store.submit(make_draft(number)) for number in range(1500)]
    assert [ticket.wait(20).sequence for ticket in tickets] == list(range(2, 1502))
    assert [event["data"]["net_mg"] for event in check_chain(path)[1:]] == list(range(1500))


def test_many_threads_share_commits_and_the_chain_stays_whole(
    open_store: OpenStore, make_draft: MakeDraft, check_chain: CheckChain, path: Path
) -> None:
    store = open_store()
    groups: list[int] = []
    store.on_kept(lambda kept: groups.append(len(kept)))
    sequences: list[int] = []

    def work() -> None:
        sequences.extend([store.keep(make_draft(n), timeout=20).sequence for n in range(100)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(sequences) == list(range(2, 802))
    store.stop(20)
    assert sum(groups) == 800
    assert len(check_chain(path)) == 801


def test_reopened_it_goes_on_with_the_same_chain(
    open_store: OpenStore, make_draft: MakeDraft, check_chain: CheckChain, path: Path
) -> None:
    store = open_store()
    store.keep(make_draft())
    chain, head = store.chain, store.head
    store.stop()
    again = open_store()
    assert (again.chain, again.head) == (chain, head)
    assert again.keep(make_draft()).sequence == 3
    assert len(check_chain(path)) == 3


def test_stop_commits_what_is_queued(open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store()
    tickets = [store.submit(make_draft(number)) for number in range(3000)]
    store.stop(20)
    assert all(ticket.done for ticket in tickets)
    assert tickets[-1].wait(0).sequence == 3001
    with pytest.raises(StoreClosed):
        store.submit(make_draft())
    with pytest.raises(StoreClosed):
        store.read(1, limit=1)


def test_stop_ends_a_submitter_that_waits_for_room(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    store = open_store(limits={"queue": 1})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # holds the committer back
    store.submit(make_draft())
    outcome: list[object] = []

    def fill() -> None:
        try:
            while True:
                store.submit(make_draft(), timeout=30)
        except StoreClosed as closed:
            outcome.append(closed)

    thread = threading.Thread(target=fill)
    thread.start()
    stopper = threading.Thread(target=store.stop, args=(20,))
    stopper.start()
    thread.join(10)
    assert outcome
    other.execute("ROLLBACK")
    other.close()
    stopper.join(20)


def test_the_queue_is_bounded(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    store = open_store(limits={"queue": 20, "group": 10, "busy_timeout": 30.0})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tickets: list[Ticket] = []
    with pytest.raises(StoreFull, match="20 records wait"):
        tickets.extend(store.submit(make_draft(), timeout=0.2) for _ in range(1000))
    assert 20 <= len(tickets) <= 30  # the queue, and the group that the committer has taken
    assert not any(ticket.done for ticket in tickets)
    with pytest.raises(TimeoutError):
        tickets[0].wait(0.01)
    other.execute("ROLLBACK")
    other.close()
    assert [ticket.wait(20).sequence for ticket in tickets] == list(range(2, len(tickets) + 2))


def test_a_ticket_may_be_waited_for_by_many(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    store = open_store(limits={"busy_timeout": 30.0})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ticket = store.submit(make_draft())
    got: list[Kept] = []
    threads = [threading.Thread(target=lambda: got.append(ticket.wait(20))) for _ in range(5)]
    for thread in threads:
        thread.start()
    other.execute("ROLLBACK")
    other.close()
    for thread in threads:
        thread.join(20)
    assert len(got) == 5
    assert len(set(got)) == 1


def test_a_draft_that_cannot_be_written_fails_alone(
    open_store: OpenStore, make_draft: MakeDraft, check_chain: CheckChain, path: Path
) -> None:
    store = open_store()
    good, bad = make_draft(1), make_draft(2)
    broken = Draft(id=bad.id, type=bad.type, subject="\ud800", time=bad.time, data=bad.data)
    tickets = [store.submit(each) for each in (good, broken, make_draft(3))]
    assert tickets[0].wait(20).sequence == 2
    with pytest.raises(Exception, match="cannot be sealed"):
        tickets[1].wait(20)
    assert tickets[2].wait(20).sequence == 3
    assert len(check_chain(path)) == 3


def test_the_gather_window_puts_lone_records_together(open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store(limits={"gather_ms": 300})
    groups: list[int] = []
    store.on_kept(lambda kept: groups.append(len(kept)))
    tickets = [store.submit(make_draft(n)) for n in range(5)]
    for ticket in tickets:
        ticket.wait(20)
    assert len(groups) < 5


def test_a_commit_writes_about_one_page(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    store = open_store()
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size
    for number in range(200):
        store.keep(make_draft(number))
    frames = (wal.stat().st_size - size) / (4096 + 24)
    # A record fills about an eighth of a page; a new page also changes its parent and the file's first page.
    assert frames <= 200 * 1.5


def test_the_pulse_beats_while_idle(open_store: OpenStore, eventually: Callable[..., None]) -> None:
    beats: list[None] = []
    open_store(pulse=lambda: beats.append(None))
    count = len(beats)
    eventually(lambda: len(beats) >= count + 2)


# --- reading


def test_read_is_paged_and_bounded(open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store()
    for ticket in [store.submit(make_draft(n)) for n in range(50)]:
        ticket.wait(20)
    assert [row.sequence for row in store.read(3, limit=4)] == [3, 4, 5, 6]
    assert [row.sequence for row in store.read(3, last=4, limit=10)] == [3, 4]
    assert [row.sequence for row in store.read(50, limit=10)] == [50, 51]
    assert store.read(52, limit=10) == []
    size = len(store.read(10, limit=1)[0].body)
    assert len(store.read(10, limit=20, max_bytes=size * 3 + 10)) == 3
    assert len(store.read(10, limit=20, max_bytes=1)) == 1  # or one large record would stop everything


def test_find_by_id_and_by_sequence(open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store()
    drafts = [make_draft(n) for n in range(300)]
    for ticket in [store.submit(each) for each in reversed(drafts)]:  # as far out of order as can be
        ticket.wait(20)
    for number in (0, 150, 299):
        row = store.find(drafts[number].id)
        assert row is not None
        assert json.loads(row.body)["data"]["net_mg"] == number
    assert store.find("0000000000000007") == store.read(7, limit=1)[0]
    assert store.find(drafts[3].id.upper()) == store.find(drafts[3].id)
    assert store.find("99999") is None
    assert store.find("9" * 40) is None
    assert store.find("018f0000-0000-7000-8000-000000000000") is None


def test_find_where_the_clock_ran_back(open_store: OpenStore, make_draft: MakeDraft, monkeypatch: Any) -> None:
    store = open_store()
    monkeypatch.setattr("edge_agent.store.reading._NEAR", 5)
    from edge_agent.records import ids

    late = [make_draft(n) for n in range(60)]
    monkeypatch.setattr(ids, "_last", 0)
    early = [make_draft(100 + n, wall_ms=1_000_000 + n) for n in range(60)]
    for ticket in [store.submit(each) for each in (*late, *early)]:
        ticket.wait(20)
    for each in (*late[::20], *early[::20]):
        row = store.find(each.id)
        assert row is not None
        assert json.loads(row.body)["id"] == each.id


def test_readers_come_and_go_with_their_threads(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    store = open_store()
    store.keep(make_draft())
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        thread = threading.Thread(target=store.read, args=(1,), kwargs={"limit": 1})
        thread.start()
        thread.join(10)
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 6


def test_a_reader_never_holds_up_the_committer(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    store = open_store()
    for ticket in [store.submit(make_draft(n)) for n in range(100)]:
        ticket.wait(20)
    stuck = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    stuck.execute("BEGIN")
    assert stuck.execute("SELECT count(*) FROM records").fetchone() == (101,)
    for ticket in [store.submit(make_draft(n)) for n in range(2000)]:
        ticket.wait(20)
    assert stuck.execute("SELECT count(*) FROM records").fetchone() == (101,)
    stuck.close()
    assert store.head.sequence == 2101


def test_a_reader_beside_a_running_store_and_after_it(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    store = open_store()
    kept = store.keep(make_draft())
    for _ in range(2):
        with Reader.open(path) as reader:
            assert reader.head() == (2, kept.hash)
            assert reader.chain() == store.chain
            assert reader.counts("platform").kept == 2
            assert [row.sequence for row in reader.read(1, limit=9)] == [1, 2]
            found = reader.find(kept.id)
            assert found is not None
        store.stop()
    with pytest.raises(StoreClosed):
        reader.head()


def test_a_reader_refuses_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable):
        Reader.open(tmp_path / "nothing.db")
    (tmp_path / "text.db").write_text("not a database, and long enough to be looked at")
    with pytest.raises(StoreUnusable):
        Reader.open(tmp_path / "text.db")


def test_notes_outlive_a_restart(open_store: OpenStore) -> None:
    store = open_store()
    assert store.note("mqtt.version") is None
    store.set_note("mqtt.version", "5")
    assert store.note("mqtt.version") == "5"
    store.set_note("mqtt.version", "3.1.1")
    store.stop()
    assert open_store().note("mqtt.version") == "3.1.1"


# --- one process per store


def test_a_second_process_is_told_who_has_the_store(open_store: OpenStore, path: Path) -> None:
    open_store()
    code = (
        "import sys, zoneinfo, pathlib\n"
        "from edge_agent.store import Store, StoreBusy\n"
        "try:\n"
        "    Store.open(pathlib.Path(sys.argv[1]), source='/s/g', zone=zoneinfo.ZoneInfo('UTC'))\n"
        "except StoreBusy as busy:\n"
        "    print(busy.pid, busy)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.startswith(f"{os.getpid()} ")
    assert f"process {os.getpid()}" in run.stdout


def test_the_lock_goes_with_the_process_and_with_stop(open_store: OpenStore, path: Path) -> None:
    lock = Lock(path)
    with pytest.raises(StoreBusy):
        open_store()
    lock.release()
    open_store().stop()
    open_store()
