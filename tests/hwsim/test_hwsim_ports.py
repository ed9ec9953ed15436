"""Real ptys and sockets: what the host sees when a device talks, is unplugged, moves, and comes back."""

from __future__ import annotations

import contextlib
import os
import socket
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim.device import Device
from hwsim.faults import Fault, Line, Unplug, Write
from hwsim.instruments import DIALECTS, Code, Scale, Scanner, ScannerSettings
from hwsim.load import Platter, ScaleSettings
from hwsim.ports import PtyPort, TcpPort, open_port
from hwsim.replay import Chunk, Player, read_capture

FRAME = b"ST,GS,+  0.000kg\r\n"


def read_to_the_end(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def streaming(port: Any, faults: tuple[str, ...] = ()) -> Device:
    instrument = Scale(DIALECTS["st-gs"], Platter(ScaleSettings()), rate_hz=100)
    return Device(instrument, port, Line([Fault.parse(each) for each in faults], seed=1))


def test_a_pty_is_raw_without_any_setting_by_the_host(terminal: Callable[[str], Any]) -> None:
    port = PtyPort()
    host = terminal(port.name)
    every_byte = bytes(range(256))
    assert port.write(every_byte) == 256
    assert host.read_until(lambda got: len(got) >= 256) == every_byte
    host.write(every_byte)
    got = b""
    deadline = time.monotonic() + 5
    while len(got) < 256 and time.monotonic() < deadline:
        got += port.read(0.1)
    assert got == every_byte
    port.close()
    port.close()


def test_nobody_listens_so_nothing_is_kept_for_later(terminal: Callable[[str], Any]) -> None:
    port = PtyPort()
    assert port.write(b"lost") == 0
    first = terminal(port.name)
    assert port.write(b"old weight") == 10
    first.close()
    assert port.write(b"lost too") == 0
    second = terminal(port.name)
    assert port.write(b"new") == 3
    assert second.read_until(lambda got: len(got) >= 3) == b"new"
    port.close()


def test_a_host_that_does_not_read_loses_bytes_and_holds_nobody_up(terminal: Callable[[str], Any]) -> None:
    port = PtyPort()
    terminal(port.name)
    written = [port.write(b"x" * 1000) for _ in range(200)]
    assert written[0] == 1000
    assert written[-1] == 0
    port.close()


def test_unplugged_the_host_is_cut_off_and_the_link_moves(tmp_path: Path, terminal: Callable[[str], Any]) -> None:
    link = tmp_path / "by-id" / "usb-scale"
    with streaming(PtyPort(link)) as device:
        before = os.readlink(link)
        host = terminal(device.port.name)
        host.read_until(lambda got: FRAME in got)
        device.unplug()
        assert not link.is_symlink()
        deadline = time.monotonic() + 5
        with contextlib.suppress(OSError):
            while os.read(host.fd, 4096):
                assert time.monotonic() < deadline, "the host still hears the device"
        device.plug()
        assert os.readlink(link) != before, "the kernel gave the old name again"
        again = terminal(str(link))
        again.read_until(lambda got: FRAME in got)
    assert not link.is_symlink()


def test_tcp_serves_hosts_and_refuses_while_unplugged() -> None:
    with streaming(TcpPort()) as device:
        _, host, port = device.port.name.split(":")
        address = host, int(port)

        def hears() -> bool:
            with socket.create_connection(address, 5) as client:
                return FRAME in b"".join(client.recv(4096) for _ in range(3))

        assert hears()
        assert hears(), "a host that left must not block the next"
        staying = socket.create_connection(address, 5)
        staying.recv(4096)
        device.unplug()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 5)
        with pytest.raises(ConnectionResetError):
            read_to_the_end(staying)
        staying.close()
        device.plug()
        assert hears()


@pytest.mark.parametrize("wrong", ["com1", "tcp:", "tcp:x", "tcp:99999", "udp:5"])
def test_wrong_ports_say_what_would_be_right(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"tcp:PORT|HOST:PORT"):
        open_port(wrong)


def test_a_polled_scale_answers_over_a_pty(terminal: Callable[[str], Any]) -> None:
    platter = Platter(ScaleSettings())
    with Device(Scale(DIALECTS["cas-poll"], platter), PtyPort()) as device:
        device.order(lambda now: platter.set_load(490_000, now - 60))
        host = terminal(device.port.name)
        host.write(b"\x05")
        assert host.read_until(lambda got: len(got) >= 1) == b"\x06"
        host.write(b"\x11")
        packet = host.read_until(lambda got: len(got) >= 15)
        assert packet == bytes.fromhex("0102532030302e3439306b676c0304")
        assert device.report["bytes_received"] == 2


def test_a_trigger_from_another_thread_scans_once(terminal: Callable[[str], Any]) -> None:
    scanner = Scanner(ScannerSettings(), [], every=None)
    with Device(scanner, PtyPort()) as device:
        host = terminal(device.port.name)
        device.order(lambda now: [scanner.trigger(Code(text="6901028225168", symbology="]E0"))])
        assert host.read_until(lambda got: b"\r" in got) == b"]E06901028225168\r"


def test_an_unplug_in_the_middle_of_a_frame_comes_back_by_itself(
    tmp_path: Path, terminal: Callable[[str], Any]
) -> None:
    link = tmp_path / "scanner"
    scanner = Scanner(ScannerSettings(), [], every=None)
    with Device(scanner, PtyPort(link), Line([Fault.parse("unplug:1:0.1")], seed=1)) as device:
        before = os.readlink(link)
        host = terminal(str(link))
        device.order(lambda now: [scanner.trigger(Code(text="6901028225168"))])
        deadline = time.monotonic() + 5
        got = b""
        with contextlib.suppress(OSError):
            while chunk := _read_some(host.fd, deadline):
                got += chunk
        # What the kernel had not handed over yet dies with the plug; a whole frame never comes.
        assert b"6901028225168\r".startswith(got)
        assert got != b"6901028225168\r"
        while not link.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert os.readlink(link) != before
        assert device.line.hits == {"unplug": 1}


def _read_some(fd: int, deadline: float) -> bytes:
    """Read what comes; `b""` at the end of the line. Raises OSError when the line is cut."""
    while True:
        assert time.monotonic() < deadline, "the line was not cut"
        try:
            return os.read(fd, 4096)
        except BlockingIOError:
            time.sleep(0.01)


def arrived(line: Line, chunk: bytes) -> bytes:
    return b"".join(action.data for action in line.carry(chunk) if isinstance(action, Write))


def test_each_fault_does_what_it_says() -> None:
    chunk = b"0123456789"

    def carry(text: str) -> list[Any]:
        line = Line([Fault.parse(text)], seed=7)
        actions = line.carry(chunk)
        assert line.hits[text.split(":")[0]] == 1
        return list(actions)

    split = carry("split:1:0.2")
    assert b"".join(each.data for each in split) == chunk
    assert [each.wait for each in split] == [0.0, 0.2]
    assert all(each.data for each in split)
    dropped = carry("drop:1")[0].data
    assert len(dropped) == 9
    assert set(dropped) < set(chunk)
    flipped = carry("flip:1")[0].data
    assert sum((a ^ b).bit_count() for a, b in zip(flipped, chunk, strict=True)) == 1
    assert [each.data for each in carry("duplicate:1")] == [chunk, chunk]
    assert carry("delay:1:0.3") == [Write(data=chunk, wait=0.3)]
    cut, pulled = carry("unplug:1:0.4")
    assert chunk.startswith(cut.data)
    assert len(cut.data) < len(chunk)
    assert pulled == Unplug(seconds=0.4)
    noisy = carry("garbage:1")[0].data
    assert noisy.endswith(chunk)
    assert 11 <= len(noisy) <= 18


def test_faults_are_seeded_and_one_that_never_came_is_seen() -> None:
    def run(seed: int) -> list[bytes]:
        line = Line([Fault.parse("flip:0.3"), Fault.parse("drop:0.3")], seed=seed)
        return [arrived(line, FRAME) for _ in range(50)]

    assert run(1) == run(1) != run(2)
    line = Line([Fault.parse("flip:0"), Fault.parse("drop:1")], seed=1)
    line.carry(FRAME)
    assert line.unhit == ["flip"]
    for wrong in ("melt", "flip:2", "flip:x", "delay:0.1:-1", "flip:1:1:1"):
        with pytest.raises(ValueError, match=r"fault|probability|write"):
            Fault.parse(wrong)


def test_a_capture_plays_with_its_timing(tmp_path: Path) -> None:
    file = tmp_path / "capture.jsonl"
    file.write_text(
        '{"driver":"st-gs","port":"serial:/dev/ttyUSB0","source":"a stall"}\n'
        '{"t":0.0,"dir":"rx","hex":"5354"}\n{"t":0.4,"dir":"tx","hex":"52"}\n{"t":1.5,"dir":"rx","hex":"2c"}\n'
    )
    capture = read_capture(file)
    assert (capture.driver, capture.source) == ("st-gs", "a stall")
    assert capture.chunks == (Chunk(at=0.0, data=b"ST"), Chunk(at=1.5, data=b","))
    player = Player(capture.chunks, speed=2.0)
    player.power_on(10.0)
    assert player.tick(10.0) == [b"ST"]
    assert player.tick(10.7) == []
    assert player.tick(10.75) == [b","]
    assert player.finished


def test_a_capture_plays_whatever_its_file_is_called(tmp_path: Path) -> None:
    """`devices capture PORT --to scale.toml` writes lines as into any other file."""
    file = tmp_path / "scale.toml"
    file.write_text('{"driver":null,"port":"tcp:x:1","source":"a stall"}\n{"t":0.0,"dir":"rx","hex":"5354"}\n')
    assert read_capture(file).chunks == (Chunk(at=0.0, data=b"ST"),)
    file.write_text('driver = "st-gs"\n[[vectors]]\nhex = "5354"\n')
    assert read_capture(file).chunks == (Chunk(at=0.0, data=b"ST"),)


def test_a_vector_file_plays_the_lines_of_one_driver(tmp_path: Path) -> None:
    file = tmp_path / "vectors.jsonl"
    file.write_text('{"driver":"a","hex":"01"}\n{"driver":"b","hex":"02"}\n{"driver":"a","hex":"03","expect":{}}\n')
    assert [chunk.data for chunk in read_capture(file, driver="a").chunks] == [b"\x01", b"\x03"]
    player = Player(read_capture(file, driver="b").chunks, repeat=True)
    player.power_on(0.0)
    assert [player.tick(i / 10) for i in range(3)] == [[b"\x02"], [b"\x02"], [b"\x02"]]


@pytest.mark.parametrize(
    "text",
    ["", "not json\n", '{"hex":"0"}\n', '{"hex":5}\n', '{"t":1,"hex":"00"}\n{"t":0.5,"hex":"00"}\n', '["hex"]\n'],
)
def test_a_broken_capture_names_the_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "capture.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"capture\.jsonl"):
        read_capture(file)


def test_the_terminal_keeps_no_line_discipline(terminal: Callable[[str], Any]) -> None:
    port = PtyPort()
    host = terminal(port.name)
    attributes = termios.tcgetattr(host.fd)
    assert not attributes[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    assert not attributes[0] & (termios.ICRNL | termios.IXON)
    port.close()


def test_a_file_of_vectors_can_be_played(tmp_path: Path) -> None:
    file = tmp_path / "new-scale.toml"
    file.write_text('driver = "new-scale"\n[[vectors]]\nhex = "3130"\n[[vectors]]\nhex = "3131"\n')
    capture = read_capture(file, driver="new-scale")
    assert [chunk.data for chunk in capture.chunks] == [b"10", b"11"]
    assert capture.driver == "new-scale"
    with pytest.raises(ValueError, match="nothing to play for other"):
        read_capture(file, driver="other")
    file.write_text("driver = ")
    with pytest.raises(ValueError, match=r"new-scale\.toml"):
        read_capture(file)
