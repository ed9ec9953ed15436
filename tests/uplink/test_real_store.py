"""The relay on the real store: what is kept while the broker comes and goes is at the platform once, and on disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

from edge_agent import clock
from edge_agent.bench import drain
from edge_agent.records.envelope import Draft, draft
from edge_agent.store import Store

Start = Callable[..., Any]


def weighing() -> Draft:
    return draft(type="trace.weighing.v1", subject="s", at=clock.now(), zone=UTC, data={"net_mg": 1000})


def test_kept_delivered_and_refused_survive_a_restart(
    mosquitto: Start, platform: Start, relay: Start, wait: Start, tmp_path: Path
) -> None:
    broker = mosquitto()
    path = tmp_path / "store.db"
    store = Store.open(path, source="/market-1/gw-1", zone=UTC)
    city = platform(broker.port, chain=store.chain, reject=lambda n: ("bad-batch", False) if n == 7 else None)
    for _ in range(20):
        store.keep(weighing())
    link = relay(store, broker.port)
    wait(lambda: store.outbox().counts().pending == 0)
    broker.kill()
    for _ in range(20):
        store.keep(weighing())
    broker.start()
    wait(lambda: store.outbox().counts().pending == 0)
    assert link.stop(5)
    store.stop()

    store = Store.open(path, source="/market-1/gw-1", zone=UTC)
    counts = store.outbox().counts()
    assert (counts.kept, counts.delivered, counts.rejected, counts.pending) == (41, 40, 1, 0)
    assert [refused.code for refused in store.outbox().quarantine(10)] == ["bad-batch"]
    assert store.note(f"uplink.mqtt_version 127.0.0.1:{broker.port}") == "5"
    assert set(city.stored) == set(range(1, 42)) - {7}
    city.reject = lambda _: None
    link = relay(store, broker.port)
    assert store.outbox().requeue() == 1
    wait(lambda: 7 in city.stored)
    wait(lambda: store.outbox().counts().delivered == 41)
    assert link.stop(5)
    store.stop()


def test_the_drain_benchmark_measures(mosquitto: Start, tmp_path: Path) -> None:
    figures = drain.measure(tmp_path, "127.0.0.1", mosquitto().port, 1_000)
    assert figures["records"] == 1_001
    assert 0 < figures["wire_bytes_per_record"] < 650
    assert figures["drain_vs_plain_paho"] > 0
