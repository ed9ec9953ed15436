"""Records of the box itself: absences, steps of the clock, purges, silent devices. On the real store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent import clock
from edge_agent.agent import Agent
from edge_agent.model import Instant
from edge_agent.office.watchman import Watchman
from edge_agent.preparing import prepare
from edge_agent.records.bodies import BODIES
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import draft
from edge_agent.store import Head, Limits, Store

ZONE = ZoneInfo("Asia/Shanghai")


class Clocks:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.wall = clock.now().wall_ms
        self.mono = 1_000_000
        self.boot = "boot-1"
        self.synced = True

    def __call__(self) -> Instant:
        return Instant(wall_ms=self.wall, mono_ms=self.mono, boot=self.boot, synced=self.synced)

    def pass_(self, milliseconds: int) -> None:
        self.wall += milliseconds
        self.mono += milliseconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "records.db", source="/s/g", zone=ZONE, limits=Limits(reserve_bytes=64 * 1024))
    yield store
    store.stop(20)


def of(store: Store, name: str) -> list[dict[str, Any]]:
    """The bodies of a type; each is what its schema says."""
    found = []
    for row in store.read(1, limit=5000):
        event = orjson.loads(row.body)
        if event["type"] == f"trace.{name}.v1":
            assert body_problems(BODIES[event["type"]], event["data"]) == []
            found.append(event["data"])
    return found


def watchman(store: Store, clocks: Clocks, states: Callable[[], dict[str, str]] = dict) -> Watchman:
    made = Watchman(store, "g", ZONE, states=states, now=clocks)
    made.arrive()
    return made


def test_a_step_of_the_clock_leaves_its_offset_and_a_drift_does_not(store: Store, clocks: Clocks) -> None:
    watch = watchman(store, clocks)
    for _ in range(50):  # a clock that goes wrong by 2 % is slewed, not set
        clocks.pass_(1000)
        clocks.wall += 20
        watch.look()
    assert of(store, "clock_offset") == []
    clocks.synced = False
    clocks.pass_(1000)
    watch.look()
    clocks.wall += 3_600_000
    clocks.pass_(1000)
    clocks.synced = True
    watch.look()
    watch.look()
    (offset,) = of(store, "clock_offset")
    assert (offset["offset_ms"], offset["boot"], offset["source"]) == (3_600_000, "boot-1", "network time")
    assert offset["until_mono_ms"] == clocks.mono


def test_a_step_while_the_agent_did_not_run_is_seen_in_the_same_boot_only(store: Store, clocks: Clocks) -> None:
    watch = watchman(store, clocks)
    watch._note(clocks())
    clocks.wall -= 90_000
    clocks.pass_(5_000)
    watchman(store, clocks)
    assert [each["offset_ms"] for each in of(store, "clock_offset")] == [-90_000]
    clocks.boot, clocks.mono = "boot-2", 10
    clocks.wall += 500_000
    watchman(store, clocks)
    assert len(of(store, "clock_offset")) == 1  # times of another boot hang on nothing


def test_an_absence_is_a_gap_and_says_how_it_ended(store: Store, clocks: Clocks) -> None:
    keep = draft(type="trace.weighing.v1", subject="s", at=clocks(), zone=ZONE, data={"net_mg": 1})
    store.keep(keep)
    watch = watchman(store, clocks)
    assert of(store, "gap") == []
    watch._note(clocks())
    clocks.pass_(60_000)
    second = watchman(store, clocks)
    (gap,) = of(store, "gap")
    assert "crash or power cut" in gap["reason"]
    assert gap["until"] > gap["since"]
    second._note(clocks(), ended=True)
    clocks.pass_(5_000)
    watchman(store, clocks)
    assert len(of(store, "gap")) == 1  # shorter than is worth a record
    second._note(clocks(), ended=True)
    clocks.pass_(3_600_000)
    watchman(store, clocks)
    assert "was stopped" in of(store, "gap")[1]["reason"]
    clocks.boot = "boot-2"
    clocks.wall -= 86_400_000  # no clock battery
    watchman(store, clocks)
    last = of(store, "gap")[2]
    assert (last["until"], "clock stands before" in last["reason"]) == (None, True)


def test_a_device_that_was_not_heard_for_a_minute_is_a_gap(store: Store, clocks: Clocks) -> None:
    states = {"scale-1": "connected", "scanner-1": "lost"}
    watch = watchman(store, clocks, lambda: dict(states))
    states["scale-1"] = "stale"
    watch.look()
    clocks.pass_(59_000)
    states["scale-1"] = "connected"
    watch.look()
    assert of(store, "gap") == []
    states["scale-1"] = "lost"
    watch.look()
    clocks.pass_(60_000)
    states.update({"scale-1": "connected", "scanner-1": "connected"})
    watch.look()
    gaps = {gap["devices"][0]: gap["reason"] for gap in of(store, "gap")}
    assert gaps == {
        "scale-1": "the device was not heard: lost",
        "scanner-1": "the device was not heard: lost",
    }


def test_a_purge_leaves_what_is_gone_and_where_the_chain_begins(tmp_path: Path, clocks: Clocks) -> None:
    limits = Limits(reserve_bytes=64 * 1024, max_bytes=400_000)
    store = Store.open(tmp_path / "records.db", source="/s/g", zone=ZONE, limits=limits)
    watch = watchman(store, clocks)
    for number in range(1_500):
        data = {"net_mg": number, "raw": "00" * 200}
        store.submit(draft(type="trace.weighing.v1", subject="s", at=clocks(), zone=ZONE, data=data))
        if number % 100 == 99:
            head = store.head.sequence
            store.outbox().settle([(1, head)], [], clocks())
    deadline = clock.monotonic() + 20
    while store.anchor.sequence == 0:
        assert clock.monotonic() < deadline, "nothing was purged"
        time.sleep(0.05)
        store.outbox().settle([(1, store.head.sequence)], [], clocks())
    watch.look()
    first = of(store, "purge")[0]
    assert (first["first_sequence"], first["records"]) == (1, first["last_sequence"])
    assert len(first["anchor_hash"]) == 64
    watch.look()
    store.stop(20)


def test_what_the_store_does_not_take_now_is_kept_later(clocks: Clocks, store: Store) -> None:
    class Full:
        """A store that takes nothing for a while."""

        def __init__(self) -> None:
            self.full = True

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def keep(self, made: Any, timeout: float = 5.0) -> Any:
            if self.full:
                raise TimeoutError("full")
            return store.keep(made, timeout)

        @property
        def anchor(self) -> Head:
            return store.anchor

    full = Full()
    watch = Watchman(full, "g", ZONE, now=clocks)  # type: ignore[arg-type]
    watch.arrive()
    for _ in range(150):
        clocks.wall += 5_000
        watch.look()
    assert of(store, "clock_offset") == []
    full.full = False
    watch.look()
    assert len(of(store, "clock_offset")) == 100  # bounded: the oldest went


CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
[store]
path = "{folder}/records.db"
[[device]]
id = "s"
driver = "st-gs"
port = "memory:s"
[[station]]
id = "A12"
mode = "sale"
devices = ["s"]
"""


def test_the_agent_keeps_patrols_and_watches_itself(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(CONFIG.format(folder=tmp_path))
    agent = Agent(*prepare(tmp_path / "agent.toml"))
    agent.start()
    assert agent.command("A12", "patrol", {"result": "problem"}, "07").refused == "no-findings"
    assert agent.command("A12", "patrol", {}, "07").refused == "no-result"
    assert agent.command("A12", "patrol", {"result": "fine"}, "07").refused == "bad-patrol"
    found = {"target": "scale-1", "result": "problem", "findings": "铅封破损", "due": "2026-12-01"}
    assert agent.command("A12", "patrol", found, "07").refused is None
    (patrol,) = of(agent.store, "patrol")
    assert (patrol["target"], patrol["operator"], patrol["flags"][-1]) == ("scale-1", "07", "manual")
    assert agent.store.note("watchman") is not None
    agent.stop()
    agent = Agent(*prepare(tmp_path / "agent.toml"))
    agent.start()
    assert of(agent.store, "gap") == []  # a quick restart is none
    agent.stop()
