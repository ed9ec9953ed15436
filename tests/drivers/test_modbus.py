"""The Modbus RTU driver against pymodbus's server, our own simulator, and a bus that echoes and hums."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus import Replies, closed, crc16
from drivers.scales.modbus_rtu import PRESETS, SPEC, Bit
from drivers.session import DeviceSession
from drivers.transports.serial import SPECS as SERIAL
from drivers.transports.tcp import SPEC as TCP
from drivers.vectors import describe
from edge_agent.config import load
from edge_agent.driver import PortUrl, Send
from edge_agent.model import Reading, Rejected, Status
from edge_agent.registry import check_devices, discover
from hwsim.load import Platter, ScaleSettings
from hwsim.modbus import Id550, crc

WITHIN = 20.0


def test_the_crc_is_the_one_of_the_specification_and_of_the_simulator() -> None:
    assert crc16(bytes.fromhex("010300000002")).hex() == "c40b"
    chance = random.Random(1)
    for _ in range(200):
        data = chance.randbytes(chance.randrange(1, 40))
        assert crc16(data) == crc(data)


class Server:
    """pymodbus's server in a thread of its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._ready.wait(WITHIN)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(WITHIN)
        self._thread.join(WITHIN)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def serve() -> None:
            self._server = self._make()
            await self._server.serve_forever(background=True)
            self._ready.set()
            await self._server.serving

        self._loop.run_until_complete(serve())


def device(words: list[int], first: int = 0) -> SimDevice:
    return SimDevice(1, simdata=[SimData(first, values=words, datatype=DataType.REGISTERS)])


def reading_over(scheme: str, address: str, options: Mapping[str, Any], commands: tuple[str, ...] = ()) -> Reading:
    spec = {s.scheme: s for s in (*SERIAL, TCP)}[scheme]
    known = {option.name: option.default for option in SPEC.options}
    session = DeviceSession(spec.make(PortUrl(scheme, address), SPEC.line), SPEC.make({**known, **options}))
    session.open()
    try:
        for name in commands:
            session.command(name)
        until = time.monotonic() + WITHIN
        while time.monotonic() < until:
            for event in session.read(0.2):
                if isinstance(event, Reading):
                    return event
        raise AssertionError("no reading")
    finally:
        session.close()


def words_of(form: str, value: float) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(form, value)))


CASES: list[tuple[list[int], int, dict[str, Any], str]] = [
    (words_of(">i", 760)[::-1], 0, {"preset": "load-cell-module"}, "7.60 - unknown net"),
    (words_of(">i", -12_345), 9, {"preset": "ci-600d", "decimals": 3}, "-12.345 - unknown net"),
    (words_of(">i", 2_000), 7, {"preset": "ci-600d-gross", "decimals": 1}, "200.0 - unknown gross"),
    ([*words_of(">f", 1.235), 0, 0, 1 << 15, 0], 0, {"preset": "id550", "decimals": 3}, "1.235 - stable gross"),
    ([*words_of(">f", 1.2), 0, 0, 9 << 12, 0], 0, {"preset": "id550", "decimals": 3}, "1.200 - moving gross"),
    ([*words_of(">f", 99), 0, 0, 1 << 15 | 1 << 10, 0], 0, {"preset": "id550", "decimals": 3}, "overload"),
    ([*words_of(">f", -99), 0, 0, 1 << 15 | 1 << 9, 0], 0, {"preset": "id550", "decimals": 3}, "underload"),
    (words_of(">i", 70_000)[::-1], 0x53, {"preset": "lider", "decimals": 2}, "700.00 - unknown -"),
    ([7, 0xFFFF, 0, 0, 2], 3, {"register": 4, "type": "int16", "decimals_register": 7}, "-0.01 - unknown -"),
    ([0x8000, 500], 40, {"register": 41, "type": "uint16", "decimals": 1, "sign": "40:15"}, "-50.0 - unknown -"),
    (
        [5, 0, 0],
        9,
        {"base": 40_001, "register": 40_010, "type": "uint16", "decimals": 0, "stable": "!40012:3"},
        "5 - stable -",
    ),
]


@pytest.mark.parametrize(("words", "first", "options", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_every_kind_of_map_is_read_from_pymodbus_over_tcp(
    words: list[int], first: int, options: dict[str, Any], expected: str, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with Server(lambda: ModbusTcpServer(device(words, first), framer=FramerType.RTU, address=("127.0.0.1", port))):
        assert describe(reading_over("tcp", f"127.0.0.1:{port}", options)) == expected


@pytest.fixture
def line() -> Iterator[tuple[str, str]]:
    """Two terminals joined by hand, as a serial cable."""
    ends = [os.openpty(), os.openpty()]
    for near, far in ends:
        tty.setraw(near)
        tty.setraw(far)
    stop = threading.Event()

    def carry(source: int, target: int) -> None:
        os.set_blocking(source, False)
        while not stop.is_set():
            try:
                os.write(target, os.read(source, 256))
            except BlockingIOError:
                stop.wait(0.002)
            except OSError:
                stop.wait(0.02)

    pairs = [(ends[0][0], ends[1][0]), (ends[1][0], ends[0][0])]
    threads = [threading.Thread(target=carry, args=pair, daemon=True) for pair in pairs]
    for thread in threads:
        thread.start()
    yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    stop.set()
    for thread in threads:
        thread.join(WITHIN)
    for near, far in ends:
        os.close(near)
        os.close(far)


def test_pymodbus_answers_over_a_serial_line(line: tuple[str, str]) -> None:
    ours, theirs = line
    words = words_of(">i", 123_456)[::-1]
    with Server(lambda: ModbusSerialServer(device(words), framer=FramerType.RTU, port=theirs, baudrate=9600)):
        found = reading_over("serial", ours, {"preset": "load-cell-module"})
    assert describe(found) == "1234.56 - unknown net"


class Bus:
    """The driver and the simulator in told time; what either sends is damaged as a test likes."""

    def __init__(self, **options: Any) -> None:
        self.platter = Platter(ScaleSettings())
        self.slave = Id550(self.platter)
        self.codec = SPEC.make({"preset": "id550", "decimals": 3, "poll": True, **options})
        self.now = 100.0
        self.sent: list[bytes] = []
        self.events: list[Any] = []

    def run(self, seconds: float, answer: Callable[[bytes, bytes], bytes] = lambda asked, answer: answer) -> list[str]:
        self.events = []
        until = self.now + seconds
        while self.now < until:
            self.now += 0.005
            due = self.codec.deadline
            if due is not None and due <= self.now:
                self._carry(self.codec.tick(self.now), answer)
        return [describe(event) for event in self.events]

    def _carry(self, outputs: Any, answer: Callable[[bytes, bytes], bytes]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.sent.append(output.data)
                replies = b"".join(self.slave.receive(output.data, self.now))
                self._carry(self.codec.feed(answer(output.data, replies), self.now + 0.002), answer)
            else:
                self.events.append(output)

    def command(self, name: str) -> None:
        self._carry(self.codec.command(name, self.now), lambda asked, answer: answer)


def test_the_simulator_is_read_tared_and_overloaded() -> None:
    bus = Bus()
    assert set(bus.run(1.0)) == {"0.000 - stable gross"}
    bus.platter.set_load(1_235_000, bus.now)
    assert "moving" in " ".join(bus.run(0.3))
    bus.run(1.0)
    assert bus.run(0.5)[-1] == "1.235 - stable gross"
    bus.command("tare")
    assert bus.run(1.0)[-1] == "0.000 - stable net"
    assert [data for data in bus.sent if data[1] == 6] == [
        closed(b"\x01\x06\x00\x05\x00\x00"),
        closed(b"\x01\x06\x00\x05\x10\x00"),
    ]
    bus.platter.set_load(50_000_000, bus.now)
    assert bus.run(2.0)[-1] == "overload"


def test_nothing_but_reads_is_sent_unasked() -> None:
    bus = Bus()
    bus.run(3.0)
    assert {data[1] for data in bus.sent} == {3}


def test_an_echoing_bus_and_noise_change_no_weight() -> None:
    bus = Bus()
    bus.platter.set_load(2_000_000, bus.now)
    bus.run(2.0)
    told = bus.run(2.0, lambda asked, answer: asked + answer)
    assert {text for text in told if "status" not in text} == {"2.000 - stable gross"}
    told = bus.run(2.0, lambda asked, answer: b"\xff\x00" + answer + b"\x55")
    assert {text for text in told if not text.startswith("rejected")} == {"2.000 - stable gross"}
    assert len([text for text in told if text.startswith("2.000")]) >= 5


def test_a_device_that_is_silent_is_left_alone_for_a_while_and_found_again() -> None:
    bus = Bus()
    assert bus.run(10.0, lambda asked, answer: b"") == []
    assert len(bus.sent) <= 15
    assert "0.000 - stable gross" in bus.run(3.0)


def test_half_an_answer_is_truncated_and_the_next_one_counts() -> None:
    bus = Bus()
    told = bus.run(1.0, lambda asked, answer: answer[:7])
    assert set(told) == {"rejected truncated"}
    assert "0.000 - stable gross" in bus.run(3.0)


def test_registers_far_apart_are_asked_for_one_after_the_other_and_read_together() -> None:
    codec = SPEC.make({"register": 0, "decimals": 2, "stable": "100:0", "poll": True})
    (first,) = codec.tick(1.0)
    assert isinstance(first, Send)
    assert codec.feed(closed(b"\x01\x03\x04\x00\x00\x00\x7b"), 1.1) == []
    assert codec.deadline is not None
    (second,) = codec.tick(codec.deadline)
    assert isinstance(second, Send)
    assert second.data[2:4] == b"\x00\x64"
    (reading,) = codec.feed(closed(b"\x01\x03\x02\x00\x01"), 1.2)
    assert isinstance(reading, Reading)
    assert (describe(reading), len(reading.raw)) == ("1.23 - stable -", 9 + 7)


def test_a_late_reply_never_passes_for_that_of_other_registers() -> None:
    """Weight and status in one register each: an instrument slower than it was given time for once swapped them."""
    weight, status = closed(b"\x01\x03\x02\x04\xd3"), closed(b"\x01\x03\x02\x00\x01")
    codec = SPEC.make({"register": 0, "type": "int16", "decimals": 3, "stable": "100:0", "poll": True})
    lag, now = 0.4, 1.0  # it may take 0.3 s
    answers: list[tuple[float, bytes]] = []
    told: list[str] = []
    while now < 20.0:
        due = codec.deadline
        outputs = list(codec.tick(now)) if due is not None and due <= now else []
        while answers and answers[0][0] <= now:
            outputs += codec.feed(answers.pop(0)[1], now)
        for output in outputs:
            if isinstance(output, Send):
                answers.append((now + lag, weight if output.data[2:4] == b"\x00\x00" else status))
            else:
                told.append(describe(output))
        now += 0.01
        lag = 0.05 if now > 10.0 else lag
    assert set(told) <= {"1.235 - stable -", "rejected unasked", "rejected incomplete"}
    assert "1.235 - stable -" in told


def test_replies_that_somebody_else_asked_for_are_read_in_turn() -> None:
    """As `decode` and a recording give them: nothing was asked here, so that nothing can be late."""
    codec = SPEC.make({"register": 0, "type": "int16", "decimals": 3, "stable": "100:0"})
    told = codec.feed(closed(b"\x01\x03\x02\x04\xd3") + closed(b"\x01\x03\x02\x00\x01"), 0.0)
    assert [describe(event) for event in told if not isinstance(event, Send)] == ["1.235 - stable -"]


def test_a_refusal_in_the_middle_leaves_no_half_reading() -> None:
    codec = SPEC.make({"register": 0, "decimals": 2, "stable": "100:0", "poll": True})
    codec.tick(1.0)
    codec.feed(closed(b"\x01\x03\x04\x00\x00\x00\x7b"), 1.1)
    codec.tick(1.15)
    rejected, status = codec.feed(closed(b"\x01\x83\x02"), 1.2)
    assert isinstance(rejected, Rejected)
    assert isinstance(status, Status)
    assert (rejected.reason, status.detail) == ("incomplete", "illegal register")


def test_a_float_that_is_no_number_is_rejected() -> None:
    codec = SPEC.make({"preset": "ei-1000", "decimals": 2, "poll": False})
    for word in ("7fc00000", "7f800000", "7149f2ca"):
        assert [describe(e) for e in codec.feed(closed(bytes.fromhex("010304" + word)), 1.0)] == ["rejected malformed"]


CONFIG = """\
[gateway]
id = "b"
site = "s"
[[device]]
id = "scale-1"
driver = "modbus-rtu"
port = "tcp:127.0.0.1:502"
unit = "kg"
options = {{ {options} }}
"""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "register is missing"),
        ('preset = "ci-600d"', "decimals is missing"),
        ('register = 3, decimals = 2, stable = "x"', "is no bit"),
        ("register = 3, base = 40001, decimals = 2", "lies below the base"),
        ('preset = "id551"', "is not one of the choices"),
        ('preset = "ci-600d", decimals = 3', None),
        ('preset = "load-cell-module"', None),
        ('preset = "unknown"', None),
    ],
)
def test_a_map_that_cannot_be_is_a_problem_of_the_configuration(options: str, words: str | None, tmp_path: Any) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.format(options=options))
    problems = check_devices(load(file), discover(), str(file))
    assert [words in str(problem) for problem in problems] == ([] if words is None else [True])


def test_every_preset_is_a_map() -> None:
    for name, (table, words) in PRESETS.items():
        assert words, name
        assert table.register is not None
        assert isinstance(SPEC.make({"preset": name, "decimals": 3}), object)
    assert Bit.parse("!4:12").of({4: 0})


def test_frames_of_every_length_are_cut_the_same_however_they_arrive() -> None:
    framing = Replies(1, 3, frozenset({4}), (closed(b"\x01\x03\x00\x00\x00\x02"),))
    stream = closed(b"\x01\x03\x00\x00\x00\x02") + closed(b"\x01\x03\x04\x00\x01\x00\x02") + b"\x01\x83\x02\xc0\xf1"
    first = framing.scan(stream, 0, final=False, lost=False)
    assert first is not None
    assert first.size == 8
    assert framing.scan(stream[:5], 0, final=False, lost=False) is None
