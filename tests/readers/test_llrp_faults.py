"""A network reader and the ways in which its network and the reader itself fail, one after the other, on real sockets.

Between agent and reader stands a proxy that can let a connection stand open with nothing passing. Each fault is seen to
be hit, told to the operator in words, and over in the end: the reader reads again, and each tag is one record.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers import bundle
from drivers.rfid._llrp_messages import (
    ADD_ACCESSSPEC,
    ENABLE_ACCESSSPEC,
    access_spec,
    message,
    write_operation,
)
from drivers.session import DeviceSession
from edge_agent.driver import Busy, Disconnected, PortUrl
from edge_agent.model import DeviceEvent, Status, TagRead
from hwsim.chaos import ChaosProxy
from hwsim.faults import KINDS, Fault, Kind, Line
from hwsim.rfid.field import Field, make_tags
from hwsim.rfid.llrp import LlrpReader
from tests.faults.conftest import AgentProcess
from tests.readers.gate import gate_config

PATIENCE = 60.0
CLOSE_CONNECTION = 14
TAGS = 12
LLRP = {spec.id: spec for spec in bundle().drivers}["llrp"]
TCP = {spec.scheme: spec for spec in bundle().transports}["tcp"]


@pytest.fixture
def reader() -> Iterator[LlrpReader]:
    with LlrpReader(Field(make_tags(TAGS, antennas=4), missed=0.3, noise_db=3.0, rate=200.0)) as reader:
        yield reader


@pytest.fixture
def network(reader: LlrpReader) -> Iterator[ChaosProxy]:
    host, port = reader.name.removeprefix("tcp:").split(":")
    with ChaosProxy(to=(host, int(port))) as proxy:
        yield proxy


def opened(port: str, **options: object) -> DeviceSession:
    url = PortUrl.parse(port)
    reading = DeviceSession(TCP.make(url, {}), LLRP.make({"keepalive_s": 1, **options}))
    reading.open()
    return reading


def read_until(reading: DeviceSession, enough: Callable[[list[DeviceEvent]], bool]) -> list[DeviceEvent]:
    events: list[DeviceEvent] = []
    until = time.monotonic() + PATIENCE
    while not enough(events):
        assert time.monotonic() < until, len(events)
        events += reading.read(0.1)
    return events


def some_tags(events: list[DeviceEvent]) -> bool:
    return any(isinstance(event, TagRead) for event in events)


def lost(reading: DeviceSession) -> tuple[list[DeviceEvent], str]:
    """What is still read, and why it ended."""
    events: list[DeviceEvent] = []
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            events += reading.read(0.1)
        except Disconnected as problem:
            reading.close()
            return events, str(problem)
    raise AssertionError("nothing was noticed")


def test_a_connection_that_is_half_open_is_noticed(reader: LlrpReader, network: ChaosProxy) -> None:
    """The cable is out, and neither end is told; TCP would notice after minutes, if anything were written."""
    reading = opened(f"tcp:127.0.0.1:{network.port}")
    read_until(reading, some_tags)
    assert network.half_open() == 1
    began = time.monotonic()
    _, why = lost(reading)
    assert why == "the reader has fallen silent: no keepalive came"
    assert time.monotonic() - began >= 2.0
    assert network.counters["half_open_bytes"] > 0


def test_a_reader_that_starts_anew_is_lost_and_refuses_until_it_is_there(reader: LlrpReader) -> None:
    reading = opened(reader.name, keepalive_s=60)  # it is the connection that tells here, not silence
    read_until(reading, some_tags)
    reader.switch(False)
    _, why = lost(reading)
    assert "connection" in why
    with pytest.raises(Disconnected, match="cannot connect: .*refused"):
        opened(reader.name)
    reader.switch(True)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            reading = opened(reader.name, keepalive_s=60)
            break
        except Disconnected:
            assert time.monotonic() < until
            time.sleep(0.02)
    read_until(reading, some_tags)  # its ROSpec is gone with the power: it was set up again
    reading.close()
    assert reader.messages[20] == 2
    assert reader.wrong == []


def test_a_reader_that_believes_in_its_old_client_is_told_apart_from_one_that_is_gone(reader: LlrpReader) -> None:
    reader.hold()
    reading = opened(reader.name, refused_wait_s=77)
    events: list[DeviceEvent] = []
    with pytest.raises(Busy) as refused:
        while True:
            events += reading.read(1.0)
    reading.close()
    assert (refused.value.retry_after, str(refused.value)) == (77, "the reader is connected to another client")
    (status,) = [event for event in events if isinstance(event, Status)]
    assert (status.status, status.detail) == ("error", "the reader is connected to another client")
    assert reader.refused == 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_of_the_line_is_outlived(kind: Kind) -> None:
    """What arrives in pieces, late or twice is read; what is hurt ends at worst in a new connection."""
    line = Line([Fault(kind=kind, probability=0.05, seconds=0.1)], seed=3)
    tags = make_tags(TAGS)
    with LlrpReader(Field(tags, rate=200.0), line=line) as reader:
        heard: set[str] = set()
        until = time.monotonic() + PATIENCE
        reading: DeviceSession | None = None
        while line.hits[kind] < 3 or len(heard) < TAGS:
            assert time.monotonic() < until, (line.hits, len(heard))
            try:
                reading = reading or opened(reader.name, keepalive_s=2, refused_wait_s=1)
                heard |= {event.tag_id for event in reading.read(0.1) if isinstance(event, TagRead)}
            except (Disconnected, Busy):
                if reading is not None:
                    reading.close()
                reading = None
                time.sleep(0.05)
        if reading is not None:
            reading.close()
    if kind in ("split", "duplicate", "delay", "unplug"):
        assert heard == {tag.number.hex().upper() for tag in tags}
        assert reader.wrong == []


def test_what_an_earlier_client_left_to_be_done_with_tags_is_not_done(reader: LlrpReader) -> None:
    """It was killed between asking for a write and its report; the reader would write when the inventory begins."""
    write = write_operation(7, 3, 0, b"LEFT", bytes(4))
    left = access_spec(7, b"", write)  # any tag
    host, port = reader.name.removeprefix("tcp:").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(message(ADD_ACCESSSPEC, 1, left) + message(ENABLE_ACCESSSPEC, 2, (7).to_bytes(4, "big")))
        client.sendall(message(CLOSE_CONNECTION, 3))
        while client.recv(4096):
            pass
    assert reader.access_specs == 1
    reading = opened(reader.name)
    read_until(reading, some_tags)
    reading.close()
    assert (reader.access_specs, reader.accessed) == (0, 0)
    assert reader.wrong == []


def test_the_agent_outlives_one_fault_after_the_other(reader: LlrpReader, network: ChaosProxy, tmp_path: Path) -> None:
    reader.switch(False)
    agent = AgentProcess(tmp_path, gate_config(f"tcp:127.0.0.1:{network.port}", tag_lost_ms=60_000, refused_wait_s=2))

    def reasons() -> list[str]:
        return [e["reason"] for e in agent.log() if e["event"] == "device.state" and e["state"] == "lost"]

    def told(words: str, since: int = 0) -> None:
        agent.wait(lambda: any(words in reason for reason in reasons()[since:]), 40, f"{words!r} is told")

    def reads_again(what: str) -> None:
        before = reader.reports
        agent.wait(lambda: reader.reports > before + 100, 40, f"it reads after {what}")

    agent.start()
    try:
        agent.wait(lambda: network.counters["upstream_refused"] > 0, 40, "the reader is not there yet")
        told("unplugged or gone")
        reader.switch(True)
        reads_again("it was switched on")

        assert network.half_open() == 1
        told("no keepalive came")
        network.normal()
        reads_again("the cable was in again")

        since = len(reasons())
        reader.switch(False)
        told("unplugged or gone", since)
        reader.hold()
        reader.switch(True)
        told("in use by another program: the reader is connected to another client", since)
        before, began = reader.connections, time.monotonic()
        agent.wait(lambda: reader.connections >= before + 2, 40, "it is asked again")
        assert time.monotonic() - began > 2.0, "a reader that refuses is hammered"
        reader.hold(False)
        reads_again("the old client was forgotten")
        assert agent.terminate() == 0
    finally:
        agent.stop()
    assert agent.count("device.crashed") == 0
    kept = [e for e in agent.log() if e["event"] == "record.kept" and e["type"] == "trace.tag.v1"]
    assert len(kept) == TAGS
    assert reader.wrong == []
