"""What a device's thread makes of a port that floods, freezes or is shared, and what it keeps of what was said."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers import bundle
from edge_agent.board import Board
from edge_agent.driver import READ_LIMIT, DriverSpec, PortUrl
from edge_agent.health import Health
from edge_agent.model import DeviceState, Observation, Reading, StateChange
from edge_agent.registry import Origin, Registry
from edge_agent.supervisor import DeviceRunner
from edge_agent.supervisor.mailbox import Mailbox
from edge_agent.supervisor.ring import RING_BYTES, Ring

WITHIN = 20.0
FROZEN = """\
id = "counted"
title = "t"
source = "invented here"
stale_after = 0.3
[framing]
kind = "lines"
end = "0D 0A"
[[forms]]
pattern = 'N(?P<counter>[0-9]{4}) (?P<weight>[0-9]+\\.[0-9]{3}) (?P<unit>kg)'
[units]
kg = "kg"
[[vectors]]
hex = "4E 30 30 30 31 20 31 2E 32 33 36 20 6B 67 0D 0A"
events = ["1.236 kg unknown -"]
"""


class Line:
    """A terminal whose far end a test writes to."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.master, data) :]

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


class Room:
    """Device threads, and what each of them said."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.registry.add(bundle(), Origin(name="built in"))
        self.board = Board()
        self.runners: list[DeviceRunner] = []
        self.lines: list[Line] = []

    def device(self, driver: str, name: str = "scale-1") -> tuple[DeviceRunner, Mailbox, Line]:
        spec: DriverSpec = self.registry.drivers[driver]
        line = Line()
        mailbox = Mailbox()
        url = PortUrl("serial", line.path)

        def session() -> Any:
            return self.registry.session(self.registry.make_transport(url, spec), self.registry.make_codec(driver, {}))

        runner = DeviceRunner(name, spec, session, [mailbox], self.board, Health())
        self.runners.append(runner)
        self.lines.append(line)
        runner.start()
        deadline = time.monotonic() + WITHIN
        while f"device/{name}" not in self.board.latest():  # opening throws away what waited in the port
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return runner, mailbox, line

    def close(self) -> None:
        for runner in self.runners:
            runner.stop()
        for runner in self.runners:
            assert runner.join(WITHIN)
        for line in self.lines:
            line.close()


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room()
    yield made
    made.close()


def events(mailbox: Mailbox, until: Callable[[list[Any]], bool]) -> list[Any]:
    """What was delivered, until it is what a test waits for."""
    seen: list[Any] = []
    deadline = time.monotonic() + WITHIN
    while not until(seen):
        assert time.monotonic() < deadline, seen[-3:]
        item = mailbox.take(0.1)
        if isinstance(item, Observation):
            seen.append(item.event)
    return seen


def states(seen: list[Any]) -> list[DeviceState]:
    return [event.state for event in seen if isinstance(event, StateChange)]


def test_a_frame_that_lost_a_digit_is_refused_by_its_width_and_said_so(room: Room) -> None:
    runner, mailbox, line = room.device("st-gs")
    for text in ("  0.000", " 12.340"):
        line.write(f"ST,GS,+{text}kg\r\n".encode() * 25)
    line.write(b"ST,GS,+ 1.340kg\r\nST,GS,+ 12.340kg\r\n")
    seen = events(mailbox, lambda seen: len([e for e in seen if isinstance(e, Reading)]) == 51)
    assert {event.weight for event in seen if isinstance(event, Reading)} == {"0.000", "12.340"}
    assert runner.counters.reasons == {"width": 1}


def test_a_counter_that_stands_still_is_no_device(room: Room, tmp_path: Path) -> None:
    (tmp_path / "counted.toml").write_text(FROZEN)
    room.registry.load_tables(tmp_path)
    assert room.registry.faults == []
    runner, mailbox, line = room.device("counted")
    stop = threading.Event()
    number = [1]

    def stream() -> None:
        while not stop.wait(0.02):
            line.write(b"N%04d 1.236 kg\r\n" % number[0])

    writer = threading.Thread(target=stream)
    writer.start()
    try:
        seen = events(mailbox, lambda seen: DeviceState.STALE in states(seen))
        assert states(seen) == [DeviceState.CONNECTED, DeviceState.STALE]
        before = runner.counters.readings
        while runner.counters.readings < before + 20:
            time.sleep(0.02)
        while (item := mailbox.take(0.0)) is not None:
            assert isinstance(item, Observation)
            assert not isinstance(item.event, Reading)
        number[0] = 2
        seen = events(mailbox, lambda seen: any(isinstance(event, Reading) for event in seen))
        assert states(seen) == [DeviceState.CONNECTED]
    finally:
        stop.set()
        writer.join()


def test_the_same_weight_for_ever_is_a_device(room: Room) -> None:
    """Most scales have no counter: an unchanging weight is goods that lie there."""
    _, mailbox, line = room.device("st-gs")
    line.write(b"ST,GS,+  1.236kg\r\n" * 200)
    seen = events(mailbox, lambda seen: sum(isinstance(event, Reading) for event in seen) >= 200)
    assert states(seen) == [DeviceState.CONNECTED]


def test_garbage_on_one_port_takes_nothing_from_the_others(room: Room) -> None:
    """Counted, not timed: every frame of the quiet port arrives, and the loud one gets so many turns and no more."""
    loud, _, flooded = room.device("st-gs", "loud")
    _, mailbox, quiet = room.device("st-gs", "quiet")
    stop = threading.Event()
    os.set_blocking(flooded.master, False)
    garbage = bytes(range(128, 256)) * 32

    def flood() -> None:
        while not stop.is_set():
            try:
                os.write(flooded.master, garbage)
            except BlockingIOError:
                stop.wait(0.001)

    writer = threading.Thread(target=flood)
    writer.start()
    try:
        began = time.monotonic()
        for number in range(40):
            quiet.write(b"ST,GS,+%7.3fkg\r\n" % (number / 1000))
            time.sleep(0.05)
        seen = events(mailbox, lambda seen: sum(isinstance(event, Reading) for event in seen) >= 40)
        took = time.monotonic() - began
    finally:
        stop.set()
        writer.join()
    assert [e.weight for e in seen if isinstance(e, Reading)] == [f"{n / 1000:.3f}" for n in range(40)]
    refused = sum(len(piece.data) for piece in loud.ring.pieces())
    assert refused >= READ_LIMIT
    assert loud.counters.rejected > 100
    # One read brings at most READ_LIMIT bytes, which this dialect rejects in pieces of 64, and a pause follows it.
    assert loud.counters.rejected <= (took / 0.02 + 30) * (READ_LIMIT / 64)
    assert room.board.latest("device/loud")["device/loud"]["state"] == "bad-data"
    assert room.board.latest("device/quiet")["device/quiet"]["state"] == "connected"


def test_a_second_program_on_the_port_is_told_on_the_board(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.supervisor.device._TROUBLE_EVERY", 0.1)
    monkeypatch.setattr("drivers.transports.sharing.FRESH", 0.0)
    _, _, line = room.device("st-gs")
    code = f"import os, sys; f = os.open({line.path!r}, os.O_RDWR | os.O_NOCTTY); sys.stdin.read()"
    thief = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)

    def told() -> str | None:
        trouble: str | None = room.board.latest("device/scale-1")["device/scale-1"].get("trouble")
        return trouble

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    try:
        if os.geteuid() == 0:  # root may open what is taken exclusively; others are refused by the kernel
            wait(lambda: f"({thief.pid})" in (told() or ""))
        else:
            assert thief.wait(WITHIN) != 0
    finally:
        assert thief.stdin is not None
        thief.stdin.close()
        thief.wait(WITHIN)
    wait(lambda: told() is None)


def test_the_ring_keeps_the_newest_bytes_and_no_more() -> None:
    ring = Ring()
    for number in range(10_000):
        ring.add("rx", b"%05d" % number * 10, number / 10)
    pieces = ring.pieces()
    assert sum(len(piece.data) for piece in pieces) <= RING_BYTES
    assert pieces[-1].data.startswith(b"09999")
    assert [piece.at for piece in pieces] == sorted(piece.at for piece in pieces)
    ring.add("rx", bytes(2 * RING_BYTES), 1e9)
    assert len(ring.pieces()) == 1
    small = Ring()
    for _ in range(100_000):
        small.add("tx", b"W", 1.0)
    assert len(small.pieces()) == 4_096
