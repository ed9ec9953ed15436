"""A store damaged in the middle: what can be read of the old chain reaches the city once, and the new chain with it."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from edge_agent import clock
from edge_agent.records.envelope import Draft, draft
from edge_agent.store import Store
from hwsim.city import City

Start = Callable[..., Any]
PAGE = 4096


def weighing(number: int) -> Draft:
    data = {"net_mg": number * 1000, "raw": "02" * (20 + number % 200)}
    return draft(type="trace.weighing.v1", subject="A12", at=clock.now(), zone=UTC, data=data)


def open_store(path: Path) -> Store:
    return Store.open(path, source="/market-1/gw-1", zone=UTC)


def fill(store: Store, count: int) -> None:
    for ticket in [store.submit(weighing(number)) for number in range(count)]:
        ticket.wait(30)


class Stall:
    """A store, a broker, the city; and the file of the store, to be hurt while nobody has it open."""

    def __init__(self, folder: Path, broker: Any, relay: Start, wait: Start) -> None:
        self.path = folder / "records.db"
        self.broker, self._relay, self._wait = broker, relay, wait
        self._city_file = folder / "city.db"
        self._city: City | None = None
        self.old: dict[int, bytes] = {}
        self.old_chain = ""

    def begin_city(self, **options: Any) -> City:
        self._city = City(f"127.0.0.1:{self.broker.port}", store=self._city_file, **options).start()
        self._city.wait_connected()
        return self._city

    def deliver(self, store: Store, **options: Any) -> Any:
        """A relay that sends small messages, so that there are many of them."""
        return self._relay(store, self.broker.port, batch_records=25, **options)

    def settled(self, store: Store) -> None:
        self._wait(
            lambda: (
                not store.outbox().counts().pending and not store.salvaged.waiting() and not store.salvaged.pending(1)
            ),
            60.0,
        )

    def fill_and_hurt(self, *, delivered: int, more: int) -> set[int]:
        """Deliver some, keep more without a link, then write noise over pages: the sequences that can still be read."""
        store = open_store(self.path)
        self.old_chain = store.chain
        fill(store, delivered - 1)  # the chain's first record is one of them
        link = self.deliver(store)
        self.settled(store)
        assert link.stop(5.0)
        fill(store, more)
        self.old = dict(store.read(1, limit=delivered + more))
        store.stop(20)
        raw = bytearray(self.path.read_bytes())
        chance = random.Random(5)
        for part in (2, 3, 4):
            body = self.old[delivered + more * part // 6]
            page = raw.index(body) // PAGE * PAGE
            raw[page : page + 3 * PAGE] = chance.randbytes(3 * PAGE)
        self.path.write_bytes(raw)
        assert self.old[delivered + more] in raw, "the last one can be read, so that every loss is a gap"
        return {sequence for sequence, body in self.old.items() if body in raw}

    def at_the_city(self) -> dict[str, list[int]]:
        """Sequences of each chain, one for each record stored."""
        found: dict[str, list[int]] = {}
        with contextlib.closing(sqlite3.connect(self._city_file)) as connection:
            rows = connection.execute(
                "SELECT c.name, r.sequence, r.body FROM records r JOIN chains c ON c.number = r.chain"
                " ORDER BY c.name, r.sequence"
            ).fetchall()
        for chain, sequence, body in rows:
            found.setdefault(chain, []).append(sequence)
            assert chain != self.old_chain or json.loads(body) == json.loads(self.old[sequence])
        return found

    def close(self) -> None:
        if self._city is not None:
            self._city.stop()


@pytest.fixture
def stall(tmp_path: Path, mosquitto: Start, relay: Start, wait: Start) -> Iterator[Stall]:
    made = Stall(tmp_path, mosquitto(), relay, wait)
    yield made
    made.close()


def test_what_can_be_read_of_the_old_chain_arrives_once_and_the_gaps_are_the_lost_pages(
    stall: Stall, wait: Start
) -> None:
    city = stall.begin_city()
    readable = stall.fill_and_hurt(delivered=100, more=800)
    lost = 900 - len(readable | set(range(1, 101)))
    assert 10 < lost < 120, "pages in the middle of what waits were hurt"

    store = open_store(stall.path)
    assert store.chain != stall.old_chain
    fill(store, 20)
    wait(lambda: not store.salvaged.waiting())
    assert store.salvaged.left == len(readable - set(range(1, 101)))
    link = stall.deliver(store)
    fill(store, 40)
    stall.settled(store)
    wait(lambda: store.salvaged.left == 0)

    delivered = stall.at_the_city()
    assert delivered == {stall.old_chain: sorted(readable | set(range(1, 101))), store.chain: [*range(1, 62)]}
    stats = city.stats
    assert (stats.gaps, stats.duplicates, stats.chain_ok, stats.malformed) == (lost, 0, True, 0)
    assert link.stop(5.0)
    store.stop(20)


def test_a_restart_a_killed_broker_and_refusals_lose_none_of_them(stall: Stall, wait: Start) -> None:
    city = stall.begin_city(reject=["sequence=300", "sequence%90:retryable:once"])
    readable = stall.fill_and_hurt(delivered=50, more=600)
    assert {270, 300, 630} <= readable
    expected = (readable | set(range(1, 51))) - {300}

    store = open_store(stall.path)
    link = stall.deliver(store)
    wait(lambda: city.stats.chains == 2 and city.stats.distinct > 150)
    stall.broker.kill()  # without persistence: what it had acknowledged and not passed on is gone
    fill(store, 30)
    stall.broker.start()
    wait(lambda: city.stats.distinct > 300)
    assert link.stop(5.0)
    store.stop(20)
    store = open_store(stall.path)
    new_chain = store.chain
    link = stall.deliver(store)
    stall.settled(store)

    assert stall.at_the_city() == {stall.old_chain: sorted(expected), new_chain: [*range(1, 32)]}
    stats = city.stats
    assert (stats.gaps, stats.rejected, stats.chain_ok) == (650 - len(expected) - 1, 1, True)
    assert link.stop(5.0)
    store.stop(20)
    store = open_store(stall.path)
    assert store.salvaged.left == 0, "refused ones wait for no verdict"
    store.stop(20)
