"""Real counterparts: a Mosquitto of one's own, a terminal's other end, records as an agent would seal them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_broker import Mosquitto

SITE, GATEWAY = "market-7", "gw-1"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.kill()


class Terminal:
    """The host's end of a pty, with no line settings applied."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def write(self, data: bytes) -> None:
        os.write(self.fd, data)

    def read_until(self, holds: Callable[[bytes], bool], timeout: float = 10.0) -> bytes:
        """Read until `holds` is true of all that came."""
        got = b""
        deadline = time.monotonic() + timeout
        while not holds(got):
            left = deadline - time.monotonic()
            assert left > 0, f"only {got!r} came"
            if select.select([self.fd], [], [], left)[0]:
                got += os.read(self.fd, 4096)
        return got

    def close(self) -> None:
        os.close(self.fd)


@pytest.fixture
def terminal() -> Iterator[Callable[[str], Terminal]]:
    opened: list[Terminal] = []

    def make(port: str) -> Terminal:
        opened.append(Terminal(port.removeprefix("serial:")))
        return opened[-1]

    yield make
    for each in opened:
        with contextlib.suppress(OSError):
            each.close()


def canonical(event: dict[str, Any]) -> bytes:
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Chain:
    """Makes records by the description of the wire, with the standard library alone."""

    def __init__(self, name: str = "c1", *, site: str = SITE, gateway: str = GATEWAY) -> None:
        self.name, self.source = name, f"/{site}/{gateway}"
        self.records: list[dict[str, Any]] = []
        self._number = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)

    def add(self, count: int = 1, **changes: Any) -> list[dict[str, Any]]:
        """Seal more records; `changes` overlay the event before its hash is taken."""
        for _ in range(count):
            sequence = len(self.records) + 1
            event = {
                "specversion": "1.0",
                "id": f"01930000-0000-7000-8000-{self._number:08x}{sequence % 65536:04x}",
                "source": self.source,
                "subject": "stall-12",
                "type": "trace.chain.v1" if sequence == 1 else "trace.weighing.v1",
                "time": "2026-11-23T09:15:02.412+08:00",
                "datacontenttype": "application/json",
                "chain": self.name,
                "sequence": f"{sequence:016d}",
                "prevhash": self.records[-1]["hash"] if self.records else "0" * 64,
                "data": {"device": "scale-1", "net_mg": 1_230_000, "goods_name": "上海青", "flags": []},
                **changes,
            }
            event["hash"] = hashlib.sha256(canonical(event)).hexdigest()
            self.records.append(event)
        return self.records[-count:]


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def new_chain() -> Callable[..., Chain]:
    return Chain
