"""Faults of the disk at every statement of the committer: no ticket lies, no sequence is lost or used twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent import clock
from edge_agent.model import Refusal
from edge_agent.records.envelope import Draft
from edge_agent.store import CommitFailed, Kept, Store, Ticket, committer
from edge_agent.store import tickets as ticketing

OpenStore = Callable[..., Store]
MakeDraft = Callable[..., Draft]
CheckChain = Callable[..., list[dict[str, Any]]]


class Fault:
    """Fails the Nth statement of the write connection, before or after it took effect, once or from then on."""

    def __init__(self) -> None:
        self.at = 0
        self.after = False
        self.sticky = False
        self.count = 0
        self.hits = 0

    def arm(self, at: int, *, after: bool, sticky: bool) -> None:
        self.at, self.after, self.sticky, self.count, self.hits = at, after, sticky, 0, 0

    def disarm(self) -> None:
        self.at = 0

    def met(self) -> bool:
        if not self.at:
            return False
        self.count += 1
        hit = self.count == self.at or (self.sticky and self.count > self.at)
        self.hits += hit
        return hit


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    fault = Fault()

    class Faulty(sqlite3.Connection):
        def _run(self, method: Callable[..., Any], *arguments: Any) -> Any:
            hit = fault.met()
            if hit and not fault.after:
                raise sqlite3.OperationalError("disk I/O error (planted)")
            result = method(*arguments)
            if hit:
                raise sqlite3.OperationalError("disk I/O error (planted, after the fact)")
            return result

        def execute(self, *arguments: Any) -> Any:
            return self._run(super().execute, *arguments)

        def executemany(self, *arguments: Any) -> Any:
            return self._run(super().executemany, *arguments)

    real = sqlite3.connect

    def connect(target: Any, **options: Any) -> sqlite3.Connection:
        return real(target, factory=Faulty, **options) if "mode=rwc" in str(target) else real(target, **options)

    monkeypatch.setattr("edge_agent.store.schema.sqlite3.connect", connect)
    return fault


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "sticky"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_fault_at_every_statement(
    fault: Fault,
    after: bool,
    sticky: bool,
    open_store: OpenStore,
    make_draft: MakeDraft,
    check_chain: CheckChain,
    path: Path,
) -> None:
    store = open_store()
    promised: dict[int, Kept] = {}
    failures = 0
    for at in range(1, 200):
        fault.arm(at, after=after, sticky=sticky)
        settle_to = store.head.sequence
        for number in range(3):
            store.outbox().settle([(1, settle_to - 5 + number)], [refusal(settle_to - number)], clock.now())
            for ticket in [store.submit(make_draft(n)) for n in range(1 + number)]:
                failures += not hold(ticket, promised)
        hits = fault.hits
        fault.disarm()
        hold(store.submit(make_draft()), promised)  # the committer goes on by itself
        assert store.trouble is None
        if not hits:
            break
    else:
        pytest.fail("the faults never ran out")
    assert at > 10
    assert failures >= at - 1
    counts = store.outbox().counts()
    store.stop(20)
    events = check_chain(path)
    assert {n: (events[n - 1]["id"], events[n - 1]["hash"]) for n in promised} == {
        n: (kept.id, kept.hash) for n, kept in promised.items()
    }
    again = open_store()
    assert again.outbox().counts() == counts


def refusal(sequence: int) -> Refusal:
    return Refusal(sequence=sequence, id="i", code="c", reason="r", retryable=False)


def hold(ticket: Ticket, promised: dict[int, Kept]) -> bool:
    """Whether the ticket was good; no sequence may be promised twice."""
    try:
        kept = ticket.wait(20)
    except CommitFailed:
        return False
    assert kept.sequence not in promised
    promised[kept.sequence] = kept
    return True


def test_a_failed_ticket_says_why_and_the_watchdog_hears_nothing(
    fault: Fault, open_store: OpenStore, make_draft: MakeDraft, eventually: Callable[..., None]
) -> None:
    beats: list[None] = []
    store = open_store(pulse=lambda: beats.append(None))
    fault.arm(1, after=False, sticky=True)
    with pytest.raises(CommitFailed, match="disk I/O error"):
        store.keep(make_draft())
    assert "disk I/O error" in (store.trouble or "")
    count = len(beats)
    hits = fault.hits
    eventually(lambda: fault.hits > hits + 2)  # it tries again by itself, about once a second
    assert len(beats) <= count + 1
    fault.disarm()
    eventually(lambda: store.trouble is None and len(beats) > count + 1)


# --- a ticket resolves only after COMMIT


class Gate:
    """Stops the write connection at the door of COMMIT."""

    def __init__(self) -> None:
        self.closed = False
        self.reached = threading.Event()
        self.opened = threading.Event()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()

    class Gated(sqlite3.Connection):
        def execute(self, *arguments: Any) -> Any:
            if gate.closed and arguments[0] == "COMMIT":
                gate.reached.set()
                assert gate.opened.wait(20)
            return super().execute(*arguments)

    real = sqlite3.connect

    def connect(target: Any, **options: Any) -> sqlite3.Connection:
        return real(target, factory=Gated, **options) if "mode=rwc" in str(target) else real(target, **options)

    monkeypatch.setattr("edge_agent.store.schema.sqlite3.connect", connect)
    return gate


def check_that_commit_comes_first(gate: Gate, store: Store, draft: Draft, path: Path) -> None:
    """Hold a commit at its last statement and look from outside."""
    heard: list[Kept] = []
    store.on_kept(heard.extend)
    other = sqlite3.connect(path)
    query = "SELECT count(*) FROM records WHERE sequence = 2"
    gate.closed = True
    try:
        ticket = store.submit(draft)
        assert gate.reached.wait(20)
        assert other.execute(query).fetchone() == (0,)
        assert not ticket.done, "resolved before COMMIT"
        assert not heard, "announced before COMMIT"
        assert store.head.sequence == 1
    finally:
        gate.closed = False
        gate.opened.set()
    assert ticket.wait(20).sequence == 2
    assert other.execute(query).fetchone() == (1,)
    other.close()


def test_a_ticket_resolves_after_commit(gate: Gate, open_store: OpenStore, make_draft: MakeDraft, path: Path) -> None:
    check_that_commit_comes_first(gate, open_store(), make_draft(), path)


def test_the_check_catches_a_committer_that_resolves_early(
    gate: Gate, open_store: OpenStore, make_draft: MakeDraft, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = committer.insert

    def early(connection: sqlite3.Connection, rows: Any) -> None:
        real(connection, rows)
        store._committer._resolve(store._committer._group, rows)

    store = open_store()
    monkeypatch.setattr(committer, "insert", early)
    with pytest.raises(AssertionError, match="before COMMIT"):
        check_that_commit_comes_first(gate, store, make_draft(), path)


def test_when_the_committer_dies_nobody_waits_for_it(
    open_store: OpenStore, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    ended: list[object] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)

    def explode(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(ticketing, "resolve", explode)
    with pytest.raises(CommitFailed, match="has ended"):
        store.keep(make_draft(), timeout=20)
    store._committer._thread.join(20)
    assert ended
