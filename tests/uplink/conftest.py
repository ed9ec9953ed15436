"""Shared parts of the uplink's tests: a small store in memory, a real Mosquitto, a platform stand-in, a proxy."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from real_broker import Mosquitto

from edge_agent.model import Instant, Refusal
from edge_agent.uplink import Identity, LinkSettings, Relay

IDENTITY = Identity(site="market-1", gateway="gw-1", source="/market-1/gw-1")
BASE = "trace/v1/market-1/gw-1"
CHAIN = "chain-1"


# A store in memory


@dataclass(frozen=True)
class Settled:
    newly_accepted: int
    newly_refused: int


@dataclass(frozen=True)
class Counts:
    kept: int
    delivered: int
    rejected: int
    pending: int


class MemoryOutbox:
    """One byte for each sequence: 0 pending, 1 delivered, 2 rejected."""

    def __init__(self) -> None:
        self.states = bytearray()
        self.lock = threading.Lock()
        self.refusals: dict[int, Refusal] = {}
        self.tally = [0, 0, 0]

    def keep(self, count: int) -> None:
        with self.lock:
            self.states.extend(bytes(count))
            self.tally[0] += count

    def _set(self, sequence: int, state: int) -> int:
        if not 1 <= sequence <= len(self.states) or self.states[sequence - 1] == 1:
            return 0
        before = self.states[sequence - 1]
        self.states[sequence - 1] = state
        self.tally[before] -= 1
        self.tally[state] += 1
        return int(before != state)

    def settle(self, accepted: Iterable[tuple[int, int]], refused: Iterable[Refusal], at: Instant) -> Settled:
        with self.lock:
            new = sum(self._set(s, 1) for first, last in accepted for s in range(first, last + 1))
            refused = [refusal for refusal in refused if not refusal.retryable]
            self.refusals.update({refusal.sequence: refusal for refusal in refused})
            bad = sum(self._set(refusal.sequence, 2) for refusal in refused)
            return Settled(new, bad)

    def requeue(self, sequence: int) -> None:
        with self.lock:
            self._set(sequence, 0)

    @property
    def oldest_pending(self) -> int | None:
        with self.lock:
            return self.states.find(0) + 1 or None

    def counts(self) -> Counts:
        with self.lock:
            pending, delivered, rejected = self.tally
            return Counts(len(self.states), delivered, rejected, pending)

    def pending(self, first: int, last: int) -> list[tuple[int, int]]:
        runs = re.compile(rb"\x00+")
        with self.lock:
            found = runs.finditer(self.states, max(0, first - 1), max(0, last))
            return [(run.start() + 1, run.end()) for run in found]


@dataclass(frozen=True)
class MemoryRow:
    sequence: int
    body: bytes


@dataclass(frozen=True)
class MemoryHead:
    sequence: int


@dataclass(frozen=True)
class MemorySalvagedRow:
    chain: str
    sequence: int
    body: bytes


class MemorySalvaged:
    """Records of earlier chains; what has its verdict is gone."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], bytes] = {}
        self.refused: dict[tuple[str, int], str] = {}
        self.asked = 0

    def found(self, chain: str, *sequences: int) -> None:
        for sequence in sequences:
            event = {"chain": chain, "id": f"{chain}-{sequence}", "sequence": f"{sequence:016d}"}
            self.rows[chain, sequence] = json.dumps(event).encode()

    def pending(self, limit: int, *, after: tuple[str, int] = ("", 0)) -> list[MemorySalvagedRow]:
        self.asked += 1
        places = sorted(place for place in self.rows if place > after)[:limit]
        return [MemorySalvagedRow(*place, self.rows[place]) for place in places]

    def settle(self, chain: str, accepted: Iterable[tuple[int, int]], refused: Iterable[Refusal]) -> int:
        gone = [p for p in self.rows if p[0] == chain and any(first <= p[1] <= last for first, last in accepted)]
        bad = [r for r in refused if not r.retryable and (chain, r.sequence) in self.rows]
        self.refused.update({(chain, refusal.sequence): refusal.reason for refusal in bad})
        for place in [*gone, *((chain, refusal.sequence) for refusal in bad)]:
            self.rows.pop(place, None)
        return len(gone) + len(bad)


class MemoryStore:
    def __init__(self) -> None:
        self.chain = CHAIN
        self.bodies: list[bytes] = []
        self.box = MemoryOutbox()
        self.salvaged = MemorySalvaged()
        self.notes: dict[str, str] = {}
        self.listeners: list[Callable[[Sequence[Any]], None]] = []
        self.missing: set[int] = set()

    @property
    def head(self) -> MemoryHead:
        return MemoryHead(len(self.bodies))

    def keep(self, count: int = 1, size: int = 200) -> None:
        for _ in range(count):
            event = {"chain": CHAIN, "id": f"id-{len(self.bodies) + 1}", "sequence": f"{len(self.bodies) + 1:016d}"}
            body = json.dumps(event).encode()
            self.bodies.append(body[:-1] + b',"data":"' + b"x" * max(0, size - len(body)) + b'"}')
        self.box.keep(count)
        for listener in self.listeners:
            listener(())

    def read(self, first: int, *, last: int | None, limit: int, max_bytes: int | None) -> list[MemoryRow]:
        rows = []
        used = 0
        for sequence in range(first, min(last or len(self.bodies), first + limit - 1, len(self.bodies)) + 1):
            body = self.bodies[sequence - 1]
            used += len(body)
            if max_bytes is not None and used > max_bytes and rows:
                break
            if sequence not in self.missing:
                rows.append(MemoryRow(sequence, body))
        return rows

    def on_kept(self, listener: Callable[[Sequence[Any]], None]) -> None:
        self.listeners.append(listener)

    def note(self, key: str) -> str | None:
        return self.notes.get(key)

    def set_note(self, key: str, value: str) -> None:
        self.notes[key] = value

    def outbox(self) -> MemoryOutbox:
        return self.box


# Waiting


def wait_for(what: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Wait until `what` is true. The time only bounds a failure."""
    until = time.monotonic() + timeout
    while True:
        value = what()
        if value or time.monotonic() > until:
            assert value, "what was waited for did not come about"
            return value
        time.sleep(0.01)


@pytest.fixture
def wait() -> Callable[..., Any]:
    return wait_for


# A real broker


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Start a broker with extra configuration lines; all are killed in the end."""
    started: list[Mosquitto] = []

    def start(lines: Sequence[str] = (), listener: Sequence[str] = ()) -> Mosquitto:
        started.append(Mosquitto(tmp_path, lines, listener).start())
        return started[-1]

    yield start
    for broker in started:
        broker.kill()


# The platform


@dataclass
class Platform:
    """Takes records, stores each once by sequence and answers with verdicts. Connected to the broker directly."""

    port: int
    reject: Callable[[int], tuple[str, bool] | None] = lambda _: None
    silent: bool = False
    chain: str = CHAIN
    stored: dict[int, str] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    duplicates: int = 0
    content_types: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.up = threading.Event()
        self.seen: list[tuple[str, bytes, bool]] = []
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="platform", protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.on_connect = lambda client, *_: client.subscribe([(f"{BASE}/#", 1)])
        self.client.on_subscribe = lambda *_: self.up.set()
        self.client.on_disconnect = lambda *_: self.up.clear()
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", self.port, clean_start=False, properties=properties)
        self.client.loop_start()
        assert self.up.wait(10)

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        with self.lock:
            self.seen.append((message.topic, message.payload, message.retain))
        if message.topic != f"{BASE}/records":
            return
        self.content_types.add(getattr(message.properties, "ContentType", ""))
        from edge_agent.uplink import wire

        records = json.loads(wire.unpack(message.payload))  # type: ignore[arg-type]
        if not self.silent:
            self.answer(records)

    def answer(self, records: list[dict[str, Any]]) -> None:
        accepted, rejected = [], []
        with self.lock:
            self.sizes.append(len(records))
            for record in records:
                sequence = int(record["sequence"])
                refusal = self.reject(sequence)
                if refusal is not None:
                    rejected.append(
                        {
                            "sequence": sequence,
                            "id": record["id"],
                            "code": refusal[0],
                            "reason": "no",
                            "retryable": refusal[1],
                        }
                    )
                    continue
                if sequence in self.stored:
                    self.duplicates += 1
                else:
                    self.stored[sequence] = record["id"]
                    self.order.append(sequence)
                accepted.append([sequence, sequence])
        self.say({"v": 1, "chain": self.chain, "time": "t", "accepted": accepted, "rejected": rejected})

    def say(self, verdict: Any) -> None:
        payload = verdict if isinstance(verdict, bytes) else json.dumps(verdict).encode()
        self.client.publish(f"{BASE}/verdicts", payload, qos=1)

    def state(self, payload: Any) -> None:
        self.client.publish("trace/v1/market-1/platform/state", json.dumps(payload).encode(), qos=1, retain=True)

    def messages(self, leaf: str) -> list[tuple[bytes, bool]]:
        with self.lock:
            return [(payload, retain) for topic, payload, retain in self.seen if topic == f"{BASE}/{leaf}"]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def platform() -> Iterator[Callable[..., Platform]]:
    started: list[Platform] = []

    def start(port: int, **options: Any) -> Platform:
        started.append(Platform(port, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


# A proxy


class Proxy:
    """A TCP proxy that sees whole MQTT packets: eats PUBACKs, goes half-open, counts what is under way."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.eat: Callable[[], bool] = lambda: False
        self.frozen = threading.Event()
        self.connections = 0
        self.eaten = 0
        self.under_way: set[int] = set()
        self.most_under_way = 0
        self.lock = threading.Lock()
        self.socks: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                self.under_way = set()
                try:
                    broker = socket.create_connection(("127.0.0.1", self.target), 5)
                except OSError:
                    client.close()
                    continue
                broker.settimeout(None)
                self.socks += [client, broker]
                for pair in ((client, broker, self._up), (broker, client, self._down)):
                    self.threads.append(threading.Thread(target=self._pump, args=pair, daemon=True))
                    self.threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, look: Callable[[int, bytes], bool]) -> None:
        data = b""
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                data += chunk
                while (size := packet_size(data)) and len(data) >= size:
                    packet, data = data[:size], data[size:]
                    if self.frozen.is_set():
                        continue
                    if look(packet[0], packet):
                        sink.sendall(packet)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _up(self, kind: int, packet: bytes) -> bool:
        if kind & 0xF6 == 0x32:  # PUBLISH, QoS 1
            with self.lock:
                self.under_way.add(_mid(packet))
                self.most_under_way = max(self.most_under_way, len(self.under_way))
        return True

    def _down(self, kind: int, packet: bytes) -> bool:
        if kind & 0xF0 != 0x40:  # PUBACK
            return True
        with self.lock:
            self.under_way.discard(int.from_bytes(packet[2:4], "big"))
        if self.eat():
            self.eaten += 1
            return False
        return True

    def close(self) -> None:
        for sock in [self.listener, *self.socks]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self.threads:
            thread.join(5)


def packet_size(data: bytes) -> int:
    """The length of the MQTT packet that begins `data`, 0 where its header is not complete."""
    size, shift = 0, 0
    for at, byte in enumerate(data[1:5], start=2):
        size |= (byte & 127) << shift
        if byte < 128:
            return at + size
        shift += 7
    return 0


def _mid(packet: bytes) -> int:
    at = next(i for i in range(1, 5) if packet[i] < 128) + 1
    topic = int.from_bytes(packet[at : at + 2], "big")
    return int.from_bytes(packet[at + 2 + topic : at + 4 + topic], "big")


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    started: list[Proxy] = []

    def start(target: int) -> Proxy:
        started.append(Proxy(target))
        return started[-1]

    yield start
    for one in started:
        one.close()


# The relay


@pytest.fixture(scope="session")
def make_outbox() -> type[MemoryOutbox]:
    return MemoryOutbox


@pytest.fixture(scope="session")
def make_stores() -> Callable[[], tuple[MemoryOutbox, MemorySalvaged]]:
    """An outbox, and the salvaged records beside it."""
    return lambda: (MemoryOutbox(), MemorySalvaged())


@pytest.fixture(scope="session")
def make_salvaged() -> type[MemorySalvaged]:
    return MemorySalvaged


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def relay() -> Iterator[Callable[..., Relay]]:
    started: list[Relay] = []

    def start(store: Any, port: int, *, begin: bool = True, **options: Any) -> Relay:
        extra = {name: options.pop(name) for name in ("info", "pulse") if name in options}
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "progress_timeout": 1.0,
            "verdict_timeout": 0.5,
            "connect_timeout": 1.0,
            "reconnect_max": 0.2,
        }
        started.append(Relay(store, LinkSettings(port=port, **{**settings, **options}), IDENTITY, **extra))
        if begin:
            started[-1].start()
        return started[-1]

    yield start
    for one in started:
        assert one.stop(5.0)
