"""Payment codes and personal numbers that a scanner reads are nowhere afterwards: not in the store's files, not in the
log, not on the wire. The whole agent, a real broker, a scanner on a socket, stations of every kind that scans."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from real_broker import Mosquitto

from edge_agent import clock, logs
from edge_agent.agent import Agent
from edge_agent.codes.check_digits import resident_character
from edge_agent.preparing import prepare

MODES = ("log", "sale", "intake", "inspection", "transfer", "transform", "filling")
CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
[store]
path = "{folder}/records.db"
[uplink]
host = "127.0.0.1"
port = {broker}
tls = false
[[device]]
id = "scanner"
driver = "serial-scanner"
port = "tcp:127.0.0.1:{scanner}"
"""
STATION = '[[station]]\nid = "{mode}"\nmode = "{mode}"\ndevices = ["scanner"]\nparty = "3706025690012"\n'
PLAIN = "6901234567892"
PERSONS = 12
ALIKE = 8
"""So many digits in a row of a private number must stand nowhere; fewer are found in any times and ids."""


def secrets(chance: random.Random) -> list[str]:
    def digits(count: int) -> str:
        return "".join(chance.choices("0123456789", k=count))

    def resident() -> str:
        body = f"370602{chance.randrange(1950, 2010)}0{chance.randrange(1, 10)}1{chance.randrange(10)}{digits(3)}"
        return body + resident_character(body)

    found = [resident() for _ in range(6)]
    found += [f"1{chance.choice('3456789')}{digits(9)}" for _ in range(6)]
    found += [f"13{digits(16)}" for _ in range(4)] + [f"28{digits(16)}" for _ in range(4)]
    found += [f"62{digits(17)}", f"01{digits(17)}"]
    return found


def scans(private: list[str]) -> list[str]:
    """Private numbers as scanners read them: bare, inside links and texts where those of persons are met, and two
    scans in one text, as they come where the box was busy."""
    around = ("{}", "{}", "tel:{}", "https://example.com/u?id={}", "姓名:张三;电话:{}")
    persons = [around[n % len(around)].format(secret) for n, secret in enumerate(private[:PERSONS])]
    texts = [*persons, *private[PERSONS:], *(f"{PLAIN}\r{secret}" for secret in private[::4])]
    return [*texts, "wxp://f2f0AbCdEfGhIjKlMnOpQrSt", "https://qr.alipay.com/fkx01234abcdefgh"]


@pytest.fixture
def scanner() -> Iterator[socket.socket]:
    """A scanner that listens; whoever connects gets what the test sends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener


class Wire:
    """Everything that goes over the broker."""

    def __init__(self, port: int) -> None:
        self.seen: list[bytes] = []
        self.ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda _c, _u, m: self.seen.append(m.topic.encode() + b" " + m.payload)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("#", qos=1)
        self.client.loop_start()
        assert self.ready.wait(20)

    def stop(self) -> bytes:
        self.client.disconnect()
        self.client.loop_stop()
        return b"\n".join(self.seen)


def found_in(haystack: bytes, secret: str) -> str | None:
    """The part of a secret that stands in some bytes, as text or as the hexadecimal form of it."""
    for start in range(len(secret) - ALIKE + 1):
        part = secret[start : start + ALIKE]
        if part.encode() in haystack or part.encode().hex().encode() in haystack.lower():
            return part
    return None


def scans_kept(agent: Agent) -> int:
    """How many scans the station `log` has kept."""
    return sum(b'"trace.scan.v1"' in row.body for row in agent.store.read(1, limit=1000))


def wait_for(what: Any, why: str) -> None:
    until = clock.monotonic() + 30
    while not what():
        assert clock.monotonic() < until, why
        threading.Event().wait(0.02)


def test_private_numbers_are_nowhere(tmp_path: Path, scanner: socket.socket, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug")
    broker = Mosquitto(tmp_path).start()
    folder = tmp_path / "box"
    folder.mkdir()
    config = CONFIG.format(folder=folder, broker=broker.port, scanner=scanner.getsockname()[1])
    (folder / "agent.toml").write_text(config + "".join(STATION.format(mode=mode) for mode in MODES))
    private = secrets(random.Random(20261126))
    texts = scans(private)
    wire = Wire(broker.port)
    agent = Agent(*prepare(folder / "agent.toml"))
    views: list[str] = []
    try:
        agent.start()
        line, _ = scanner.accept()
        with line:
            for number, text in enumerate((*texts, PLAIN), 1):
                line.sendall(text.encode() + b"\r")
                wait_for(lambda n=number: scans_kept(agent) >= n, f"scan {number} did not arrive")
            # The plain number at the end says that everything before it was understood.
            wait_for(lambda: agent.views()["sale"].detail["goods_code"] == PLAIN, f"{agent.views()['sale']}")
            head = agent.store.head.sequence
            agent.command("sale", "confirm", {"qty": 1})
            wait_for(lambda: any(PLAIN.encode() in each for each in list(wire.seen)), "it was not published")
            views.append(repr(agent.views()) + repr(agent.status()) + repr(agent.info()))
            wait_for(lambda: agent.store.head.sequence >= head, "the records were not kept")
            scanned = [
                orjson.loads(row.body)["data"]
                for row in agent.store.read(1, limit=1000)
                if b'"trace.scan.v1"' in row.body
            ]
    finally:
        agent.stop()
        broker.kill()
    published = wire.stop()
    # The test is worth something only where the scans were really kept, sent and logged.
    assert len(scanned) == len(texts) + 1
    assert sum("private_masked" in each["flags"] for each in scanned) == len(texts)
    assert PLAIN.encode() in published
    log = capfd.readouterr()
    told = (log.out + log.err + "".join(views)).encode()
    assert b"record.kept" in told
    kept = b"".join(
        file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".toml"
    )
    assert PLAIN.encode() in kept
    for name, haystack in (("store", kept), ("log", told), ("wire", published)):
        leaks = {secret: part for secret in private if (part := found_in(haystack, secret)) is not None}
        assert leaks == {}, name
        assert b"f2f0AbCdEf" not in haystack
        assert b"fkx01234abc" not in haystack
