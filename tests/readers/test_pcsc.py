"""Cards in a virtual reader under a real pcscd: read, taken away, the daemon killed and started again."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_pcscd import READER, Pcscd

from drivers import bundle
from drivers.session import DeviceSession
from drivers.transports import pcsc
from edge_agent.driver import BadSettings, Disconnected, PermissionDenied, PortUrl, TransportError
from edge_agent.model import DeviceEvent, Rejected, Status, TagRead
from hwsim.rfid.card import CPU, VirtualCard

SPEC = {spec.id: spec for spec in bundle().drivers}["pcsc"]
UID = bytes.fromhex("047A3C1A")
PATIENCE = 40.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path)
    try:
        yield pcscd.start()
    finally:
        pcscd.close()


def session(reader: str = READER) -> DeviceSession:
    url = PortUrl.parse(f"pcsc:{reader} 00 00")
    return DeviceSession(pcsc.SPEC.make(url, {}), SPEC.make({"poll_ms": 50}))


def opened(make: Callable[[], DeviceSession] = session) -> DeviceSession:
    """A session, however long the daemon takes to find its readers."""
    until = time.monotonic() + PATIENCE
    while True:
        reading = make()
        try:
            reading.open()
            return reading
        except (Disconnected, PermissionDenied):  # it refuses everybody until it has begun
            assert time.monotonic() < until
            time.sleep(0.05)


def read_until(reading: DeviceSession, enough: Callable[[list[DeviceEvent]], bool]) -> list[DeviceEvent]:
    events: list[DeviceEvent] = []
    until = time.monotonic() + PATIENCE
    while not enough(events):
        assert time.monotonic() < until, events
        events += reading.read(0.2)
    return events


def details(events: list[DeviceEvent]) -> list[str]:
    return [event.detail for event in events if isinstance(event, Status)]


def stays(events: list[DeviceEvent]) -> int:
    """How often a card that was read has gone again."""
    told = [isinstance(event, TagRead) for event in events if isinstance(event, TagRead) or is_removal(event)]
    return sum(came and not stayed for came, stayed in itertools.pairwise(told))


def is_removal(event: DeviceEvent) -> bool:
    return isinstance(event, Status) and event.detail == "card removed"


def numbers(events: list[DeviceEvent]) -> list[str]:
    return [event.tag_id for event in events if isinstance(event, TagRead)]


def test_a_card_is_read_and_its_removal_noticed(daemon: Pcscd) -> None:
    reading = opened()
    with VirtualCard(UID, port=daemon.port):
        events = read_until(reading, lambda events: len(numbers(events)) >= 3)
    events += read_until(reading, lambda events: "card removed" in details(events))
    assert set(numbers(events)) == {"047A3C1A"}
    assert any(detail.startswith("card, ATR 3B8F80") for detail in details(events))
    assert any(detail.startswith("no ATS") for detail in details(events))
    with VirtualCard(bytes.fromhex("04A1B2C3D4E580"), atr=CPU, ats=bytes.fromhex("0675778102"), port=daemon.port):
        events = read_until(reading, lambda events: bool(numbers(events)) and "ATS 0675778102" in details(events))
    assert set(numbers(events)) == {"04A1B2C3D4E580"}
    assert not [event for event in events if isinstance(event, Rejected)]
    reading.close()


def test_the_daemon_may_be_restarted(daemon: Pcscd) -> None:
    reading = opened()
    with VirtualCard(UID, port=daemon.port):
        read_until(reading, lambda events: bool(numbers(events)))
        daemon.kill()
        with pytest.raises(Disconnected):
            read_until(reading, lambda _: False)
        reading.close()
    with pytest.raises(Disconnected, match="pcscd cannot be reached"):
        session().open()
    daemon.start()
    reading = opened()
    with VirtualCard(UID, port=daemon.port):
        assert numbers(read_until(reading, lambda events: bool(numbers(events))))[0] == "047A3C1A"
    reading.close()


def test_a_reader_that_is_not_there_is_named_with_those_that_are(daemon: Pcscd) -> None:
    opened().close()
    with pytest.raises(Disconnected, match=r"no reader is called 'ACS.*there are: Virtual PCD 00 00"):
        session("ACS").open()


def test_a_name_that_holds_for_two_readers_is_refused(daemon: Pcscd) -> None:
    opened().close()
    transport = pcsc.SPEC.make(PortUrl.parse("pcsc:virtual"), {})
    with pytest.raises(BadSettings, match="write one in full: Virtual PCD 00 00, Virtual PCD 00 01"):
        transport.open()


def test_the_simulated_card_comes_and_goes(daemon: Pcscd) -> None:
    reading = opened()
    command = [sys.executable, "-c", "from hwsim.cli import main; main()", "card", "--to", f"127.0.0.1:{daemon.port}"]
    played = subprocess.Popen([*command, "--uid", "DEADBEEF", "--stay", "1.5"], stdout=subprocess.PIPE)
    try:
        events = read_until(reading, lambda events: stays(events) >= 2)
    finally:
        played.terminate()
        told = played.communicate(timeout=20)[0]
        reading.close()
    assert set(numbers(events)) == {"DEADBEEF"}
    assert b'"times":2' in told
    assert played.returncode == 0


def test_without_pyscard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    with pytest.raises(BadSettings, match=r"trace-edge-agent\[pcsc\].*python3-pyscard"):
        session().open()


def test_reading_before_opening_is_an_error() -> None:
    transport = pcsc.SPEC.make(PortUrl.parse("pcsc:x"), {})
    for call in (lambda: transport.read(0.1), lambda: transport.write(b"\xff\xca\x00\x00\x00", 1.0)):
        with pytest.raises(TransportError):
            call()
