"""Transports and sessions on real pseudo-terminals, sockets and a real RFC 2217 server."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import serial
from serial import rfc2217

from drivers import bundle
from drivers.session import DeviceSession
from drivers.transports import memory
from drivers.transports.descriptors import meaning
from drivers.vectors import describe
from edge_agent.driver import (
    READ_LIMIT,
    BadSettings,
    Busy,
    Codec,
    Disconnected,
    DriverSpec,
    PermissionDenied,
    PortUrl,
    Transport,
    TransportError,
)
from edge_agent.model import DeviceEvent, Reading

SCHEMES = {spec.scheme: spec for spec in bundle().transports}
PATIENCE = 20.0


def transport(text: str, line: Mapping[str, str] | None = None) -> Transport:
    url = PortUrl.parse(text)
    SCHEMES[url.scheme].check(url, line or {})
    return SCHEMES[url.scheme].make(url, line or {})


def read_until(session: DeviceSession, enough: Callable[[list[DeviceEvent]], bool]) -> list[DeviceEvent]:
    events: list[DeviceEvent] = []
    until = time.monotonic() + PATIENCE
    while not enough(events):
        assert time.monotonic() < until, events
        events += session.read(0.2)
    return events


def read_bytes(port: Transport, count: int) -> bytes:
    data = b""
    until = time.monotonic() + PATIENCE
    while len(data) < count:
        assert time.monotonic() < until, data
        data += port.read(0.2)
    return data


def until_gone(session: DeviceSession) -> list[DeviceEvent]:
    """Read until the port is gone; return all events with those of closing."""
    events: list[DeviceEvent] = []
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            events += session.read(0.2)
        except Disconnected:
            return events + list(session.close())
    raise AssertionError("the port is still there")


def weights(events: list[DeviceEvent]) -> list[str]:
    return [event.weight for event in events if isinstance(event, Reading) and event.weight is not None]


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Runs partners in threads and waits for them; what one raises fails the test."""
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


# --- a vector through a real terminal ---------------------------------------------------------------------


def test_vectors_through_a_terminal_give_exactly_their_events(
    vectors_of: Callable[[str], list[Any]],
    listening: Callable[[Any], Codec],
    spec: DriverSpec,
    terminal: Callable[[], Any],
) -> None:
    for vector in vectors_of(spec.id):
        far = terminal()
        session = DeviceSession(transport(f"serial:{far.path}", spec.line), listening(vector))
        session.open()
        received: list[int] = []
        session.tap = lambda direction, data, now, received=received: received.append(len(data))
        events: list[DeviceEvent] = []
        until = time.monotonic() + PATIENCE
        far.write(vector.data)
        while sum(received) < len(vector.data):
            assert time.monotonic() < until
            events += session.read(0.2)
        events += session.close()
        far.close()
        assert [describe(event) for event in events] == vector.events
        assert b"".join(event.raw for event in events) == vector.data


# --- losing the port -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, 19))
def test_a_terminal_closed_within_a_frame_and_back_under_another_name(
    cut: int, specs: Mapping[str, DriverSpec], terminal: Callable[[], Any], tmp_path: Path
) -> None:
    frame, link = b"ST,GS,+  1.236kg\r\n", tmp_path / "usb-scale-if00"
    first, second = terminal(), terminal()
    link.symlink_to(first.path)
    port = transport(f"serial:{link}", specs["st-gs"].line)
    session = DeviceSession(port, specs["st-gs"].make({}))
    session.open()
    first.write(frame + frame[:cut])
    events = read_until(session, weights)
    first.close()
    events += until_gone(session)
    assert set(weights(events)) == {"1.236"}
    assert len(weights(events)) == (1 if cut < 16 else 2)

    with pytest.raises(Disconnected):
        port.open()
    link.unlink()
    link.symlink_to(second.path)
    again = DeviceSession(port, specs["st-gs"].make({}))
    again.open()
    second.write(frame[cut:] if cut < 18 else b"")
    second.write(b"ST,GS,+  7.500kg\r\n")
    assert weights(read_until(again, weights)) == ["7.500"]
    again.close()


def test_a_port_that_vanishes_while_written_to_is_disconnected(terminal: Callable[[], Any]) -> None:
    far = terminal()
    port = transport(f"serial:{far.path}")
    port.open()
    far.close()
    with pytest.raises(Disconnected):
        port.write(b"x" * 100_000, 0.2)
    port.close()
    port.close()
    for use in (lambda: port.read(0.0), lambda: port.write(b"x", 0.1)):
        with pytest.raises(Disconnected):
            use()


def test_a_port_that_takes_nothing_is_given_up_at_the_deadline(terminal: Callable[[], Any]) -> None:
    far = terminal()
    port = transport(f"serial:{far.path}")
    port.open()
    with pytest.raises(Disconnected, match="took nothing"):
        port.write(b"x" * 200_000, 0.1)
    port.close()


def test_a_port_is_taken_for_one_program_alone(terminal: Callable[[], Any]) -> None:
    far = terminal()
    first, second = transport(f"serial:{far.path}"), transport(f"serial:{far.path}")
    first.open()
    with pytest.raises(Busy, match=far.path):
        second.open()
    first.close()
    second.open()
    second.close()


def test_line_settings_that_a_terminal_cannot_have_are_not_applied_to_it(terminal: Callable[[], Any]) -> None:
    far = terminal()
    port = transport(f"serial:{far.path}?baud=2400&bytesize=7&parity=E&stopbits=2&rtscts=1")
    port.open()
    far.write(bytes(range(256)))
    assert read_bytes(port, 256) == bytes(range(256))
    port.write(bytes(range(256)), 1.0)
    assert os.read(far.master, 512) == bytes(range(256))
    port.close()


def test_what_is_no_port_says_so(tmp_path: Path) -> None:
    plain = tmp_path / "file"
    plain.touch()
    with pytest.raises(BadSettings, match="not a device"):
        transport(f"serial:{plain}").open()
    with pytest.raises(BadSettings, match="no serial port"):
        transport("serial:/dev/null").open()
    with pytest.raises(Disconnected):
        transport(f"serial:{tmp_path}/none").open()


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.EACCES, PermissionDenied, "usermod -aG .*udev rule"),
        (errno.EBUSY, Busy, "in use by another program"),
        (errno.EAGAIN, Busy, "in use by another program"),
        (errno.ENXIO, Disconnected, "cannot be opened"),
        (errno.EIO, Disconnected, "cannot be opened"),
        (errno.EINVAL, BadSettings, "line settings"),
    ],
)
def test_what_failing_to_open_means(number: int, kind: type[TransportError], says: str) -> None:
    with pytest.raises(kind, match=says):
        raise meaning("/dev/ttyUSB0", OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("serial:/dev/ttyS0?boud=9600", "no setting 'boud'; its settings are baud"),
        ("serial:/dev/ttyS0?baud=fast", "baud=fast is not possible; a number from 50"),
        ("serial:/dev/ttyS0?baud=9600.5", "baud=9600.5 is not possible; a whole number"),
        ("serial:/dev/ttyS0?baud=nan", "baud=nan is not possible"),
        ("serial:/dev/ttyS0?parity=even", "parity=even is not possible; one of N, E, O"),
        ("serial:/dev/ttyS0?bytesize=9", "bytesize=9 is not possible; one of 5, 6, 7, 8"),
        ("serial:/dev/ttyS0?stopbits=3", "stopbits=3 is not possible"),
        ("serial:/dev/ttyS0?dtr=maybe", "dtr=maybe is not possible; one of 1, on"),
        ("serial:/dev/ttyS0?xonxoff=1&rtscts=1", "choose one flow control"),
        ("serial:COM3", "serial:/dev/serial/by-id"),
        ("rfc2217:host", "HOST:PORT"),
        ("tcp:host:99999", "HOST:PORT with a port of 1 to 65535"),
        ("tcp:fe80::1:4001", "in brackets"),
        ("tcp:host:4001?baud=9600", "no setting 'baud'; its settings are bytesize"),
        ("tcp:host:4001?bytesize=7", "bytesize=7 with a parity of E, O, M or S"),
        ("tcp:host:4001?parity=E", "bytesize=7 with a parity of E, O, M or S"),
        ("tcp:host:4001?bytesize=7&parity=X", "one of N, E, O, M, S"),
        ("tcp:host:4001?keepalive=0", "keepalive=0 is not possible; a number from 1"),
        ("memory:x?baud=1", "it takes no settings"),
    ],
)
def test_settings_that_cannot_be_are_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        transport(text)


def test_driver_defaults_stand_below_the_port_and_mean_nothing_to_tcp() -> None:
    transport("serial:/dev/ttyS0?baud=1200", {"baud": "9600", "parity": "E"})
    transport("tcp:[::1]:4001?keepalive=5", {"baud": "9600"})


# --- conversation ----------------------------------------------------------------------------------------


def test_cas_conversation_with_a_scale_that_is_busy_silent_and_then_answers(
    specs: Mapping[str, DriverSpec], terminal: Callable[[], Any], in_background: Callable[..., None]
) -> None:
    far = terminal()
    answers = [bytes.fromhex(text) for text in ("0102532030302e3438386b67650304", "0102532030302e3030306b67610304")]
    asked: list[bytes] = []
    done = threading.Event()

    def scale() -> None:
        moods = iter([b"\x15", b"", b"\x06", b"\x06"])
        weighed = iter(answers)
        while not done.is_set():
            if not select.select([far.master], [], [], 0.05)[0]:
                continue
            for byte in os.read(far.master, 64):
                asked.append(bytes((byte,)))
                far.write(next(moods, b"\x15") if byte == 0x05 else next(weighed) if byte == 0x11 else b"?")

    session = DeviceSession(transport(f"serial:{far.path}"), specs["cas-poll"].make({"poll_ms": 20, "reply_ms": 300}))
    session.open()
    in_background(scale)
    try:
        events = read_until(session, lambda told: len(weights(told)) == 2)
    finally:
        done.set()
        session.close()
    assert weights(events) == ["0.488", "0.000"]
    assert asked[0] == b"\x05"
    assert asked.count(b"\x11") == 2
    assert set(asked) == {b"\x05", b"\x11"}


def test_a_scan_comes_out_after_the_silence_without_more_bytes(
    specs: Mapping[str, DriverSpec], terminal: Callable[[], Any]
) -> None:
    far = terminal()
    session = DeviceSession(transport(f"serial:{far.path}"), specs["serial-scanner"].make({}))
    session.open()
    far.write(b"]E06901028225168\r")
    assert [describe(event) for event in read_until(session, bool)] == ["scan ]E0 6901028225168"]
    session.close()


def test_a_command_reaches_the_instrument_and_the_tap_sees_both_ways(
    specs: Mapping[str, DriverSpec], terminal: Callable[[], Any]
) -> None:
    far = terminal()
    session = DeviceSession(transport(f"serial:{far.path}"), specs["mt-sics"].make({"poll": False}))
    seen: list[tuple[str, bytes]] = []
    session.tap = lambda direction, data, now: seen.append((direction, data))
    session.open()
    assert session.command("tare") == []
    assert os.read(far.master, 64) == b"T\r\n"
    far.write(b"T S       1.00 kg\r\n")
    assert [describe(event) for event in read_until(session, bool)] == ["status ack"]
    with pytest.raises(ValueError, match="no command 'fly'"):
        session.command("fly")
    session.close()
    assert seen[0] == ("tx", b"T\r\n")
    assert b"".join(data for direction, data in seen if direction == "rx") == b"T S       1.00 kg\r\n"


def test_events_that_came_before_a_failed_write_are_not_lost(specs: Mapping[str, DriverSpec]) -> None:
    class Dying:
        """Answers the first ENQ, then is gone."""

        def __init__(self) -> None:
            self.writes = 0

        def open(self) -> None: ...

        def close(self) -> None: ...

        def read(self, timeout: float) -> bytes:
            return b"\x06"

        def write(self, data: bytes, timeout: float) -> None:
            self.writes += 1
            if self.writes > 1:
                raise Disconnected("unplugged")

    session = DeviceSession(Dying(), specs["cas-poll"].make({}))
    session.open()
    assert [describe(event) for event in session.read(0.1)] == ["status ack"]
    with pytest.raises(Disconnected):
        session.read(0.1)


# --- sockets ---------------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        yield server


def test_tcp_reads_writes_and_sees_the_end(listener: socket.socket, specs: Mapping[str, DriverSpec]) -> None:
    session = DeviceSession(
        transport(f"tcp:127.0.0.1:{listener.getsockname()[1]}", specs["mt-sics"].line), specs["mt-sics"].make({})
    )
    session.open()
    far, _ = listener.accept()
    far.settimeout(PATIENCE)
    assert far.recv(64) == b"SIR\r\n"
    far.sendall(b"S S       1.00 kg\r\nS S       1.")
    assert weights(read_until(session, weights)) == ["1.00"]
    assert session.read(0.0) == []
    far.close()
    assert weights(until_gone(session)) == []


@pytest.mark.parametrize(("parity", "sent"), [("E", b"\x53\xd4\xac\x8d\x0a"), ("O", b"\xd3\x54\x2c\x0d\x8a")])
def test_tcp_takes_a_parity_off_that_a_device_server_passes_on(
    parity: str, sent: bytes, listener: socket.socket
) -> None:
    port = transport(f"tcp:127.0.0.1:{listener.getsockname()[1]}?bytesize=7&parity={parity}")
    port.open()
    far, _ = listener.accept()
    far.sendall(sent)
    assert port.read(5.0) == b"ST,\r\n"
    far.sendall(bytes((sent[0] ^ 0x80, sent[1] ^ 1)))
    assert port.read(5.0) == b"\xff\xff", "a byte with the wrong parity must spoil its frame"
    port.write(b"ST,\r\n", 1.0)
    assert far.recv(64) == sent
    port.close()
    far.close()


def test_tcp_refused_and_reset_are_disconnected(listener: socket.socket) -> None:
    number = listener.getsockname()[1]
    port = transport(f"tcp:127.0.0.1:{number}")
    port.open()
    far, _ = listener.accept()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    far.close()
    with pytest.raises(Disconnected):
        read_bytes(port, 1)
    port.close()
    listener.close()
    with pytest.raises(Disconnected, match="cannot connect"):
        transport(f"tcp:127.0.0.1:{number}?connect_timeout=1").open()


def test_tcp_peer_that_takes_nothing_is_given_up_at_the_deadline(listener: socket.socket) -> None:
    port = transport(f"tcp:127.0.0.1:{listener.getsockname()[1]}")
    port.open()
    far, _ = listener.accept()
    with pytest.raises(Disconnected, match="took nothing"):
        port.write(b"x" * 50_000_000, 0.3)
    port.close()
    far.close()


class _Connection:
    """What pyserial's server side writes to."""

    def __init__(self, peer: socket.socket) -> None:
        self.write = peer.sendall


def test_rfc2217_sets_the_far_line_and_carries_bytes_both_ways(
    listener: socket.socket, specs: Mapping[str, DriverSpec], in_background: Callable[..., None]
) -> None:
    far_line = serial.serial_for_url("loop://", timeout=0.05)
    said = b"\xff\x00S,G,+9.9ST,GS,+  1.236kg\r\n"

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            manager = rfc2217.PortManager(far_line, _Connection(peer))
            peer.settimeout(0.05)
            greeted = False
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    data = peer.recv(1024)
                    if not data:
                        return
                    told = b"".join(manager.filter(data))
                    if told == b"HELLO":
                        peer.sendall(b"".join(manager.escape(said)))
                        greeted = True
                    elif told and greeted:
                        return

    in_background(serve)
    port = transport(
        f"rfc2217:127.0.0.1:{listener.getsockname()[1]}?baud=2400&parity=E&bytesize=7", specs["st-gs"].line
    )
    session = DeviceSession(port, specs["st-gs"].make({}))
    session.open()
    assert (far_line.baudrate, far_line.parity, far_line.bytesize) == (2400, "E", 7)
    port.write(b"HELLO", 1.0)
    assert weights(read_until(session, weights)) == ["1.236"]
    port.write(b"BYE", 1.0)
    until_gone(session)


def test_rfc2217_without_a_server_is_disconnected(listener: socket.socket) -> None:
    number = listener.getsockname()[1]
    listener.close()
    with pytest.raises(Disconnected):
        transport(f"rfc2217:127.0.0.1:{number}").open()


# --- memory ----------------------------------------------------------------------------------------------


def test_memory_carries_bytes_both_ways_and_is_unplugged() -> None:
    with pytest.raises(Disconnected, match="not offered"):
        transport("memory:absent").open()
    far = memory.offer("stall-scale")
    port, second = transport("memory:stall-scale"), transport("memory:stall-scale")
    port.open()
    with pytest.raises(Busy):
        second.open()
    far.write(b"abc")
    assert port.read(1.0) == b"abc"
    assert port.read(0.0) == b""
    port.write(b"xyz", 1.0)
    assert far.read(1.0) == b"xyz"
    far.write(b"last")
    far.close()
    assert port.read(1.0) == b"last"
    for use in (lambda: port.read(0.0), lambda: port.write(b"x", 0.1)):
        with pytest.raises(Disconnected):
            use()
    port.close()
    with pytest.raises(Disconnected):
        port.open()


def test_memory_is_bounded() -> None:
    far = memory.offer("flood")
    port = transport("memory:flood")
    port.open()
    with pytest.raises(BlockingIOError):
        far.write(b"x" * 200_000, timeout=0.05)
    port.write(b"x" * 65_536, 0.05)
    with pytest.raises(Disconnected):
        port.write(b"x", 0.05)
    far.close()


def test_no_read_brings_more_than_the_limit(listener: socket.socket) -> None:
    sent = bytes(range(256)) * (READ_LIMIT // 64)
    near_tcp = transport(f"tcp:127.0.0.1:{listener.getsockname()[1]}")
    near_tcp.open()
    far_tcp, _ = listener.accept()
    far_tcp.sendall(sent)
    far_memory = memory.offer("limit")
    near_memory = transport("memory:limit")
    near_memory.open()
    far_memory.write(sent)
    for near in (near_tcp, near_memory):
        reads = []
        while sum(map(len, reads)) < len(sent):
            reads.append(near.read(PATIENCE))
            assert 0 < len(reads[-1]) <= READ_LIMIT
        assert b"".join(reads) == sent
        near.close()
    far_tcp.close()
    far_memory.close()
