"""Every family of readers: the driver talks to a simulator that shares no code with it, on a real terminal or socket.

The field misses reads, the strength wanders, and some frames come with a wrong check: each tag is read in the end, and
never one that is not there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import get_args

import pytest

from drivers import bundle
from drivers.session import DeviceSession
from edge_agent.driver import Busy, Disconnected, DriverSpec, PortUrl, TransportError
from edge_agent.model import DeviceEvent, Rejected, Scan, TagRead
from hwsim.device import Device
from hwsim.hid import PosLayout
from hwsim.instruments import Code, PosScannerSettings, Scanner
from hwsim.ports import PtyPort, TcpPort
from hwsim.rfid import ID_BYTES, READERS, TITLES
from hwsim.rfid.field import Field, Tag, make_tags
from hwsim.rfid.llrp import LlrpReader

SPECS: Mapping[str, DriverSpec] = {spec.id: spec for spec in bundle().drivers}
TRANSPORTS = {spec.scheme: spec for spec in bundle().transports}
PATIENCE = 30.0


def session(driver: str, port: str, **options: object) -> DeviceSession:
    spec = SPECS[driver]
    url = PortUrl.parse(port)
    return DeviceSession(TRANSPORTS[url.scheme].make(url, spec.line), spec.make(options))


def read_until(reading: DeviceSession, enough: Callable[[list[DeviceEvent]], bool]) -> list[DeviceEvent]:
    events: list[DeviceEvent] = []
    until = time.monotonic() + PATIENCE
    while not enough(events):
        assert time.monotonic() < until, Counter(map(type, events))
        events += reading.read(0.2)
    return events


def numbers(events: list[DeviceEvent]) -> set[str]:
    return {event.tag_id for event in events if isinstance(event, TagRead)}


def test_every_reader_has_a_simulator() -> None:
    assert {spec.id for spec in SPECS.values() if spec.kind == "rfid" and "serial" in spec.interfaces} == set(READERS)
    assert set(READERS) | {"llrp", "pcsc"} == set(TITLES)


@pytest.mark.parametrize("family", READERS)
def test_every_tag_is_read_and_no_other(family: str) -> None:
    count = 1 if family in ("rdm6300", "wiegand", "pn532") else 30
    stay = 0.3 if family == "wiegand" else None
    tags = make_tags(count, size=ID_BYTES.get(family, 12), antennas=2, stay=stay, away=0.3)
    # A reader whose last word of a round is spoiled is asked again only seconds later: not too many of them.
    field = Field(tags, missed=0.3, noise_db=4.0, spoiled=0.05 if count > 1 else 0.3, rate=200.0, seed=4)
    wanted = {tag.number.hex().upper() for tag in tags}
    options = {"antennas": 2} if family == "uhf-r2000" else {}
    with Device(READERS[family](field), PtyPort(), name=family) as device:
        reading = session(family, device.port.name, **options)
        reading.open()
        try:
            events = read_until(
                reading,
                lambda events: numbers(events) >= wanted and any(isinstance(event, Rejected) for event in events),
            )
        finally:
            reading.close()
    assert field.spoils, "the fault was not hit"
    assert field.misses, "no read was missed"
    assert numbers(events) == wanted
    for event in events:
        if isinstance(event, TagRead):
            assert event.antenna in (None, 1, 2)
            assert event.rssi_dbm is None or -90 <= event.rssi_dbm <= -25
            assert (event.antenna is not None) == ("antenna" in SPECS[family].tells)
            assert (event.rssi_dbm is not None) == ("rssi" in SPECS[family].tells)


@pytest.mark.parametrize("family", ["uhf-m100", "uhf-reader288", "mercury", "pn532"])
def test_a_reader_that_was_unplugged_is_read_again(family: str) -> None:
    tag = Tag(number=bytes(range(1, 1 + ID_BYTES.get(family, 12))))
    with Device(READERS[family](Field([tag])), TcpPort(), name=family) as device:
        reading = session(family, device.port.name)
        reading.open()
        read_until(reading, lambda events: bool(numbers(events)))
        device.unplug()
        with pytest.raises(TransportError):
            read_until(reading, lambda _: False)
        reading.close()
        device.plug()
        until = time.monotonic() + PATIENCE
        while True:
            again = session(family, device.port.name)
            try:
                again.open()
                break
            except Disconnected:
                assert time.monotonic() < until
                time.sleep(0.05)
        read_until(again, lambda events: bool(numbers(events)))
        again.close()


def test_the_r200_is_asked_in_its_own_framing() -> None:
    field = Field([Tag(number=b"\xaa\xdd" * 6)])
    with Device(READERS["uhf-m100"](field), PtyPort()) as device:
        reading = session("uhf-m100", device.port.name, frame="AA")
        reading.open()
        events = read_until(reading, lambda events: bool(numbers(events)))
        reading.close()
    assert numbers(events) == {"AADD" * 6}
    assert next(e for e in events if isinstance(e, TagRead)).raw[0] == 0xAA


@pytest.mark.parametrize("layout", get_args(PosLayout))
def test_reports_of_a_scanner_become_scans(layout: PosLayout) -> None:
    text = "追溯码 " + "3706025690012" * 9
    codes = [Code(text="6901028225168", symbology="]E0"), Code(text=text, symbology="]Q1")]
    scanner = Scanner(PosScannerSettings(layout=layout), codes, every=0.05)
    with Device(scanner, TcpPort()) as device:
        reading = session("hid-pos-scanner", device.port.name)
        reading.open()
        events = read_until(reading, lambda events: len([e for e in events if isinstance(e, Scan)]) >= 4)
        reading.close()
    scans = {(event.symbology, event.text) for event in events if isinstance(event, Scan)}
    told = layout == "symbology-first"  # the other layout has no room for it
    assert scans == {("]E0" if told else None, "6901028225168"), ("]Q1" if told else None, text)}


# LLRP


@pytest.fixture
def reader() -> Iterator[LlrpReader]:
    with LlrpReader(Field(make_tags(30, antennas=4), missed=0.3, noise_db=3.0, rate=500.0)) as reader:
        yield reader


def llrp(reader: LlrpReader, **options: object) -> DeviceSession:
    return session("llrp", reader.name, **({"keepalive_s": 1} | options))


def test_a_network_reader_is_set_up_and_read(reader: LlrpReader) -> None:
    reading = llrp(reader)
    reading.open()
    events = read_until(reading, lambda events: len(numbers(events)) == 30 and reader.acknowledged > 0)
    reading.close()
    reads = [event for event in events if isinstance(event, TagRead)]
    assert {read.antenna for read in reads} == {1, 2, 3, 4}
    assert all(read.rssi_dbm is not None and -90 < read.rssi_dbm < -25 for read in reads)
    assert reader.wrong == []
    assert not [event for event in events if isinstance(event, Rejected)]


def test_only_the_antennas_that_were_asked_for(reader: LlrpReader) -> None:
    reading = llrp(reader, antennas=2)
    reading.open()
    events = read_until(reading, lambda events: len(numbers(events)) == 16)
    reading.close()
    assert {event.antenna for event in events if isinstance(event, TagRead)} == {1, 2}


def test_a_reader_that_hangs_is_noticed(reader: LlrpReader) -> None:
    reading = llrp(reader)
    reading.open()
    read_until(reading, lambda events: bool(numbers(events)))
    reader.silence()
    began = time.monotonic()
    with pytest.raises(Disconnected, match="fallen silent"):
        read_until(reading, lambda _: False)
    assert time.monotonic() - began > 1.5
    reading.close()


def test_a_reader_that_another_client_holds_refuses(reader: LlrpReader) -> None:
    first = llrp(reader)
    first.open()
    read_until(first, lambda events: bool(numbers(events)))
    second = llrp(reader, refused_wait_s=45)
    second.open()
    with pytest.raises(Busy, match="another client") as refused:
        read_until(second, lambda _: False)
    assert refused.value.retry_after == 45
    second.close()
    read_until(first, lambda events: len(numbers(events)) == 30)  # told of the attempt, and not disturbed
    first.close()
    assert reader.refused == 1


def test_a_reset_connection_is_a_lost_reader(reader: LlrpReader) -> None:
    reading = llrp(reader)
    reading.open()
    read_until(reading, lambda events: bool(numbers(events)))
    reader.drop()
    with pytest.raises(Disconnected):
        read_until(reading, lambda _: False)
    reading.close()
