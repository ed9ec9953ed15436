"""How fast a backlog drains: the relay beside a plain paho loop, against one broker.

The plain loop is what most gateways do: one record a message, QoS 1, window 20, rows of a SQLite table (WAL,
synchronous FULL) deleted after their PUBACK. It is favoured: deletes are committed 1,000 at a time, nobody
subscribes, so that the broker has less to do, and a PUBACK is all it waits for. The relay waits for the
verdict on every record, from a process that looks only at the first and the last sequence of a batch.
"""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final

import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent import clock
from edge_agent.records.envelope import draft
from edge_agent.store import Store, Ticket
from edge_agent.uplink import Identity, LinkSettings, Relay, wire

PLAIN_WINDOW: Final = 20
_DELETES_PER_COMMIT: Final = 1_000
_SEQUENCE: Final = re.compile(rb'"sequence":"(\d{16})"')
_START_TIMEOUT: Final = 20.0
_TIMEOUT: Final = 120.0
_PLAIN_RECORDS: Final = 20_000


def measure(folder: Path, host: str, port: int, records: int, **link: Any) -> dict[str, float]:
    """Keep `records` weighings in a store in `folder`, then drain it, between two runs of the plain loop.

    The plain loop gets copies of at most the first 20,000. `link` are further `LinkSettings`. Returns records
    per second, their ratio, and payload bytes per record on the wire. Raises TimeoutError where a run does not
    end within two minutes.
    """
    store = _filled_store(folder / "drain.db", records)
    try:
        bodies = [row.body for row in store.read(1, limit=_PLAIN_RECORDS)]
        before = plain_loop(bodies, folder / "plain-1.db", host=host, port=port)
        pending = store.outbox().counts().pending
        seconds, wire_bytes = relay_drain(store, LinkSettings(host=host, port=port, **link))
        after = plain_loop(bodies, folder / "plain-2.db", host=host, port=port)
    finally:
        store.stop()
    rate = pending / seconds
    plain = 2 * len(bodies) / (before + after)
    return {
        "records": pending,
        "drain_per_s": round(rate),
        "plain_paho_per_s": round(plain),
        "drain_vs_plain_paho": round(rate / plain, 2),
        "wire_bytes_per_record": round(wire_bytes / pending, 1),
    }


def _filled_store(path: Path, records: int) -> Store:
    """A store with weighings as a stall makes them, about 650 bytes each."""
    store = Store.open(path, source="/bench/drain", zone=UTC)
    tickets: deque[Ticket] = deque()
    at = clock.now()
    for number in range(records):
        data = {
            "device": "scale-1",
            "driver": "xk3190-continuous",
            "captured_by": "device",
            "clock": {"synced": at.synced, "boot": at.boot, "mono_ms": at.mono_ms + 137 * number},
            "flags": [],
            "indication": f"{number % 15_000 / 1000:.3f}",
            "unit": "kg",
            "net_mg": number % 15_000 * 1000,
            "raw": f"022b{number % 15_000:012d}03",
        }
        weighing = draft(type="trace.weighing.v1", subject="stall-7", at=at, zone=UTC, data=data)
        tickets.append(store.submit(weighing, timeout=_TIMEOUT))
        while tickets and tickets[0].done:
            tickets.popleft()
    for ticket in tickets:
        ticket.wait(_TIMEOUT)
    return store


def relay_drain(store: Store, settings: LinkSettings) -> tuple[float, int]:
    """Seconds until every pending record has its verdict, from the relay's start; and payload bytes sent."""
    identity = Identity(site="bench", gateway=f"drain-{time.time_ns()}", source="/bench/drain")
    topics = wire.Topics.of(identity)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, settings.host, settings.port, topics, store.chain)
    platform = context.Process(target=_platform, args=arguments, daemon=True)
    platform.start()
    relay = Relay(store, settings, identity)
    outbox = store.outbox()
    try:
        if not ours.poll(_START_TIMEOUT):
            raise TimeoutError("the verdict process did not come up")
        ours.recv()
        began = time.perf_counter()
        relay.start()
        _wait(lambda: outbox.counts().pending == 0, began + _TIMEOUT, "the relay's drain")
        seconds = time.perf_counter() - began
        ours.send("end")
        payload_bytes: int = ours.recv() if ours.poll(_START_TIMEOUT) else 0
    finally:
        relay.stop()
        platform.kill()
        platform.join()
    return seconds, payload_bytes


def _platform(pipe: Pipe, host: str, port: int, topics: wire.Topics, chain: str) -> None:
    """Accept every batch whole. Runs in a process of its own, so that it takes nothing from the relay."""
    total = 0

    def on_message(client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        nonlocal total
        total += len(message.payload)
        plain = wire.unpack(bytes(message.payload))
        if isinstance(plain, wire.Malformed):
            return
        first, last = _SEQUENCE.search(plain), _SEQUENCE.search(plain, plain.rindex(b'"sequence":'))
        if first and last:
            accepted = [[int(first[1]), int(last[1])]]
            client.publish(topics.verdicts, orjson.dumps({"v": 1, "chain": chain, "accepted": accepted}), qos=1)

    client = _client()
    client.on_message = on_message
    client.on_subscribe = lambda *_: pipe.send("ready")
    client.connect(host, port)
    client.subscribe(topics.records, 1)
    client.loop_start()
    pipe.recv()
    pipe.send(total)


def plain_loop(bodies: list[bytes], path: Path, *, host: str, port: int) -> float:
    """Seconds in which a plain paho loop drains a table of these records."""
    table = sqlite3.connect(path, isolation_level=None)
    table.execute("PRAGMA journal_mode = WAL")
    table.execute("PRAGMA synchronous = FULL")
    table.execute("CREATE TABLE records (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    table.execute("BEGIN")
    table.executemany("INSERT INTO records (body) VALUES (?)", ((body,) for body in bodies))
    table.execute("COMMIT")
    places = threading.Semaphore(PLAIN_WINDOW)
    acknowledged: deque[int] = deque()
    under_way: dict[int, int] = {}

    def on_publish(_client: paho.Client, _userdata: Any, mid: int, *_: Any) -> None:
        acknowledged.append(mid)  # no lock of ours: paho holds one of its own here, and `publish` takes it too
        places.release()

    client = _client()
    client.max_inflight_messages = PLAIN_WINDOW
    client.on_publish = on_publish
    client.connect(host, port)
    client.loop_start()
    began = time.perf_counter()
    until = began + _TIMEOUT

    def delete_acknowledged() -> int:
        done = [(under_way.pop(acknowledged.popleft()),) for _ in range(len(acknowledged))]
        table.execute("BEGIN")
        table.executemany("DELETE FROM records WHERE sequence = ?", done)
        table.execute("COMMIT")
        return len(done)

    deleted = 0
    for sequence, body in table.execute("SELECT sequence, body FROM records ORDER BY sequence").fetchall():
        if not places.acquire(timeout=max(0.0, until - time.perf_counter())):
            raise TimeoutError("the plain loop stands still")
        under_way[client.publish("bench/plain", body, qos=1).mid] = sequence
        if len(acknowledged) >= _DELETES_PER_COMMIT:
            deleted += delete_acknowledged()
    _wait(lambda: len(acknowledged) == len(under_way), until, "the plain loop's end")
    deleted += delete_acknowledged()
    seconds = time.perf_counter() - began
    if deleted != len(bodies):
        raise RuntimeError(f"the plain loop deleted {deleted} of {len(bodies)}")
    client.disconnect()
    client.loop_stop()
    table.close()
    return seconds


def _client() -> paho.Client:
    return paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)


def _wait(done: Callable[[], bool], until: float, what: str) -> None:
    while not done():
        if time.perf_counter() > until:
            raise TimeoutError(f"{what} did not come about in time")
        time.sleep(0.002)
