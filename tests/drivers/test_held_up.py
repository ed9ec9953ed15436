"""A session that was held up says which readings waited, and which are of now."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drivers.session import DeviceSession
from edge_agent.driver import DriverSpec
from edge_agent.model import Reading, Scan


class Port:
    """A port in memory whose reads take what time the test says, by a clock of the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waiting: list[bytes] = []
        self.stands_still = 0.0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes, timeout: float) -> None: ...

    def read(self, timeout: float) -> bytes:
        self.now += self.stands_still
        self.stands_still = 0.0
        if self.waiting:
            return self.waiting.pop(0)
        self.now += timeout
        return b""


def frame(text: str) -> bytes:
    return f"ST,GS,+{text:>7}kg\r\n".encode()


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def session(port: Port, specs: Mapping[str, DriverSpec]) -> DeviceSession:
    made = DeviceSession(port, specs["st-gs"].make({}), clock=lambda: port.now, since_boot=lambda: port.now)
    made.open()
    return made


def lateness(session: DeviceSession, reads: int) -> list[tuple[str | None, float]]:
    events = [event for _ in range(reads) for event in session.read(0.25)]
    return [(event.weight, round(event.late, 3)) for event in events if isinstance(event, Reading)]


def test_what_is_fetched_as_it_comes_is_not_late(port: Port, session: DeviceSession) -> None:
    for _ in range(20):
        port.waiting += [frame("1.000")]
        port.stands_still = 0.5  # a busy computer
        assert lateness(session, 2) == [("1.000", 0.0)]


def test_all_that_waited_is_late_until_nothing_waits(port: Port, session: DeviceSession) -> None:
    port.waiting = [frame("1.000"), frame("1.000") * 2, frame("2.000")]
    port.stands_still = 10.0
    assert lateness(session, 4) == [("1.000", 9.75)] * 3 + [("2.000", 9.75)]
    port.waiting = [frame("3.000")]
    assert lateness(session, 1) == [("3.000", 9.75)]  # half of it may have waited; the session cannot see that
    port.waiting = [frame("3.000"), frame("3.000")]
    assert lateness(session, 2) == [("3.000", 0.0)] * 2


def test_a_frame_of_an_old_beginning_and_a_new_end_is_late(port: Port, session: DeviceSession) -> None:
    """Old `ST,GS,+ 12` and the new end `.400kg` of another frame must not be a weight of now."""
    port.waiting = [frame("12.340") + frame("12.340")[:10]]
    port.stands_still = 5.0
    assert lateness(session, 2) == [("12.340", 4.75)]
    port.waiting = [frame("13.400")[10:], frame("13.400")]
    assert lateness(session, 3) == [("12.400", 4.75), ("13.400", 0.0)]


def test_held_up_between_two_reads_counts_as_well(port: Port, session: DeviceSession) -> None:
    assert lateness(session, 1) == []
    port.now += 7.0
    port.waiting = [frame("1.000")]
    assert lateness(session, 1) == [("1.000", 6.75)]


def test_a_standstill_before_which_nothing_waited_costs_one_reading(port: Port, session: DeviceSession) -> None:
    port.stands_still = 5.0
    assert lateness(session, 2) == []
    port.waiting = [frame("1.000"), frame("1.000")]
    assert [late > 0 for _, late in lateness(session, 2)] == [True, False]


def test_opening_again_forgets_it(port: Port, session: DeviceSession) -> None:
    port.stands_still = 5.0
    session.read(0.25)
    session.close()
    port.now += 60.0
    session.open()
    port.waiting = [frame("1.000")]
    assert lateness(session, 1) == [("1.000", 0.0)]


def test_a_scan_is_no_less_a_scan_for_having_waited(port: Port, specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["serial-scanner"].make({})
    session = DeviceSession(port, codec, clock=lambda: port.now, since_boot=lambda: port.now)
    session.open()
    port.waiting = [b"6901234567892\r"]
    port.stands_still = 60.0
    events = [event for _ in range(4) for event in session.read(0.25)]
    assert [event.text for event in events if isinstance(event, Scan)] == ["6901234567892"]
