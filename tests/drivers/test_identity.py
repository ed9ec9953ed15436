"""A port is found by what it is, not by its number; two of the same make are never mistaken for each other."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.transports import sharing, usb_tty
from drivers.transports.lp import SPEC as LP
from drivers.transports.serial import SPECS
from edge_agent.driver import BadSettings, Disconnected, PortUrl, Transport, Watchful

SERIAL = next(spec for spec in SPECS if spec.scheme == "serial")


class Box:
    """A sysfs and a /dev of USB serial adapters, laid out as the kernel lays them out (usb-serial and cdc-acm)."""

    def __init__(self, root: Path) -> None:
        self.sys, self.dev = root / "sys", root / "dev"
        (self.sys / "class" / "tty").mkdir(parents=True)
        self.dev.mkdir()

    def plug(
        self, name: str, terminal: str, socket: str, vendor: str, product: str, serial: str = "", interface: int = 0
    ) -> None:
        device = self.sys / "devices" / "pci0000:00" / "usb1" / socket
        place = device / f"{socket}:1.{interface}"
        place.mkdir(parents=True, exist_ok=True)
        (device / "idVendor").write_text(f"{vendor}\n")
        (device / "idProduct").write_text(f"{product}\n")
        if serial:
            (device / "serial").write_text(f"{serial}\n")
        (place / "bInterfaceNumber").write_text(f"{interface:02x}\n")
        if name.startswith("ttyUSB"):  # usb-serial has a device of its own below the interface; cdc-acm has none
            place = place / name
            place.mkdir()
        entry = place / "tty" / name
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(place)
        (self.sys / "class" / "tty" / name).symlink_to(entry)
        (self.dev / name).symlink_to(terminal)

    def unplug(self, name: str) -> None:
        (self.sys / "class" / "tty" / name).unlink()
        (self.dev / name).unlink()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(tmp_path)
    (made.sys / "class" / "tty" / "tty0").mkdir()  # a console has no device
    monkeypatch.setattr(usb_tty, "SYSFS", made.sys)
    monkeypatch.setattr(usb_tty, "DEV", made.dev)
    return made


def transport(text: str) -> Transport:
    url = PortUrl.parse(text)
    SERIAL.check(url, {})
    return SERIAL.make(url, {})


def said(port: Transport, size: int) -> bytes:
    data = b""
    until = time.monotonic() + 20
    while len(data) < size:
        assert time.monotonic() < until
        data += port.read(0.2)
    return data


def hears(text: str, far: Any) -> bool:
    """Whether this port is that terminal."""
    port = transport(text)
    port.open()
    far.write(b"I am it")
    heard = said(port, 7) == b"I am it"
    port.close()
    return heard


def test_a_port_is_followed_to_another_number(box: Box, terminal: Callable[[], Any]) -> None:
    first, second = terminal(), terminal()
    box.plug("ttyUSB0", first.path, "1-1.2", "0403", "6001", "A50285BI")
    assert hears("serial:usb:0403:6001", first)
    port = transport("serial:usb:0403:6001:A50285BI")
    port.open()
    first.close()
    box.unplug("ttyUSB0")
    with pytest.raises(Disconnected):
        while True:
            port.read(0.2)
    with pytest.raises(Disconnected, match="is not plugged in; there is no USB serial port at all"):
        port.open()
    box.plug("ttyUSB3", second.path, "1-1.4", "0403", "6001", "A50285BI")
    port.open()
    second.write(b"back again")
    assert said(port, 10) == b"back again"
    port.close()


def test_two_of_the_same_make_are_told_apart_or_refused(box: Box, terminal: Callable[[], Any]) -> None:
    left, right = terminal(), terminal()
    box.plug("ttyUSB0", left.path, "1-1.1", "0403", "6001", "LEFT")
    box.plug("ttyUSB1", right.path, "1-1.2", "0403", "6001", "RIGHT")
    assert hears("serial:usb:0403:6001:LEFT", left)
    assert hears("serial:usb:0403:6001:RIGHT", right)
    assert hears("serial:usb:0403:6001?port=1-1.2", right)
    with pytest.raises(BadSettings, match=r"2 ports fit.*LEFT.*RIGHT.*by serial number"):
        transport("serial:usb:0403:6001").open()


def test_chips_without_a_serial_number_are_told_apart_by_their_socket(box: Box, terminal: Callable[[], Any]) -> None:
    left, right = terminal(), terminal()
    box.plug("ttyUSB0", left.path, "1-1.1", "1a86", "7523")
    box.plug("ttyUSB1", right.path, "1-1.2", "1a86", "7523")
    assert hears("serial:usb:1A86:7523?port=1-1.1&baud=2400", left)
    box.unplug("ttyUSB0")
    box.unplug("ttyUSB1")
    box.plug("ttyUSB0", right.path, "1-1.2", "1a86", "7523")  # the numbers have changed places
    box.plug("ttyUSB1", left.path, "1-1.1", "1a86", "7523")
    assert hears("serial:usb:1a86:7523?port=1-1.1", left)


def test_the_ports_of_one_device_are_told_apart_by_interface(box: Box, terminal: Callable[[], Any]) -> None:
    first, second = terminal(), terminal()
    box.plug("ttyACM0", first.path, "1-3", "0483", "5740", "X", interface=0)
    box.plug("ttyACM1", second.path, "1-3", "0483", "5740", "X", interface=2)
    assert hears("serial:usb:0483:5740:X?interface=2", second)
    with pytest.raises(BadSettings, match="by interface"):
        transport("serial:usb:0483:5740:X").open()


@pytest.mark.parametrize("serial", ["", "0001"], ids=["no number", "one number for all"])
def test_a_link_that_two_equal_adapters_share_is_refused(box: Box, terminal: Callable[[], Any], serial: str) -> None:
    """udev gives the link to the one that came last: a weight would come from the other scale after a replug."""
    left, right = terminal(), terminal()
    link = box.dev / "serial" / "by-id" / "usb-1a86_USB_Serial-if00-port0"
    link.parent.mkdir(parents=True)
    box.plug("ttyUSB0", left.path, "1-1.1", "1a86", "7523", serial)
    link.symlink_to(box.dev / "ttyUSB0")
    port = transport(f"serial:{link}")
    port.open()
    assert isinstance(port, Watchful)
    assert port.trouble() is None
    box.plug("ttyUSB1", right.path, "1-1.2", "1a86", "7523", serial)
    link.unlink()
    link.symlink_to(box.dev / "ttyUSB1")
    assert "2 ports" in (port.trouble() or "")
    left.write(b"I was")
    assert said(port, 5) == b"I was"  # the port that is open is still the one that it was
    with pytest.raises(BadSettings, match=r"2 ports.*socket 1-1\.1.*port=1-1\.1 or .*port=1-1\.2"):
        port.open()
    box.unplug("ttyUSB0")
    port.open()
    port.close()


def test_the_ports_of_one_interface_are_no_doubles(box: Box, terminal: Callable[[], Any]) -> None:
    first, second = terminal(), terminal()
    link = box.dev / "serial" / "by-id" / "usb-MOXA_UPort_1410-if00-port1"
    link.parent.mkdir(parents=True)
    for number, far in enumerate((first, second)):
        box.plug(f"ttyUSB{number}", far.path, "1-1", "110a", "1410", "M")
        place = box.sys / "devices" / "pci0000:00" / "usb1" / "1-1" / "1-1:1.0" / f"ttyUSB{number}"
        (place / "port_number").write_text(f"{number}\n")
    link.symlink_to(box.dev / "ttyUSB1")
    assert hears(f"serial:{link}", second)


def test_another_device_is_never_taken_for_it(box: Box, terminal: Callable[[], Any]) -> None:
    box.plug("ttyUSB0", terminal().path, "1-1", "067b", "2303", "Z")
    with pytest.raises(Disconnected, match=r"there is ttyUSB0 = 067b:2303 serial Z in socket 1-1"):
        transport("serial:usb:1a86:7523").open()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("serial:usb:1a86", "VVVV:PPPP"),
        ("serial:usb:1a86:752", "four hexadecimal digits"),
        ("serial:usb:1a86:7523?port=left", "such as 1-1.4"),
        ("serial:usb:1a86:7523?interface=x", "such as 0 or 1"),
        ("serial:usb:1a86:7523?speed=1", "has no setting 'speed'"),
        ("serial:ttyUSB0", "serial:usb:VVVV:PPPP"),
        ("serial:/dev/ttyS0?port=1-1", "has no setting 'port'"),
    ],
)
def test_names_that_cannot_be_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        transport(text)


def test_a_second_program_is_named(terminal: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "FRESH", 0.0)
    far = terminal()
    code = (
        f"import os, sys; os.open({far.path!r}, os.O_RDWR | os.O_NOCTTY); print('open', flush=True); sys.stdin.read()"
    )
    port = transport(f"serial:{far.path}")
    thief = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert thief.stdout is not None
        assert thief.stdout.readline() == b"open\n"
        port.open()
        assert isinstance(port, Watchful)
        trouble = port.trouble()
        assert trouble is not None
        assert f"({thief.pid})" in trouble
        assert str(os.getpid()) not in trouble
    finally:
        assert thief.stdin is not None
        thief.stdin.close()
        thief.wait(20)
    assert port.trouble() is None
    port.close()
    assert port.trouble() is None


def test_bytes_that_vanish_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    received = [100]
    monkeypatch.setattr(sharing, "_received", lambda fd: received[0])
    count = sharing.ByteCount(0)
    received[0] += 5_000
    count.read(4_800)
    assert count.vanished == 0  # 200 may still be in the FIFO
    received[0] += 5_000
    assert count.vanished == 5_200
    count.read(5_200)
    assert count.vanished == 0
    received[0] = (received[0] + 2**32 - 10_000) % 2**32
    assert count.vanished == 0  # the counter was set back by another program; that says nothing


def test_bytes_that_wait_for_a_held_up_agent_have_not_vanished(
    terminal: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    far = terminal()
    port = transport(f"serial:{far.path}")
    received = [100]
    monkeypatch.setattr(sharing, "_received", lambda fd: received[0])
    look = os.open(far.path, os.O_RDWR | os.O_NOCTTY)
    port.open()
    assert isinstance(port, Watchful)
    until = time.monotonic() + 20
    for waits, beyond in ((1_000, 0), (2_000, 0), (2_500, 1_000)):  # at last more than the terminal tells of
        far.write(b"x" * (waits - _waiting(look)))
        while _waiting(look) < waits:  # the kernel takes its time with them
            assert time.monotonic() < until
            time.sleep(0.01)
        received[0] = 100 + waits + beyond
        assert port.trouble() is None
    said(port, 2_500)
    assert "1000 bytes were received and read by another program" in (port.trouble() or "")
    port.close()
    os.close(look)


def _waiting(fd: int) -> int:
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_line_without_a_count_says_nothing(terminal: Callable[[], Any]) -> None:
    assert sharing.ByteCount(terminal().master).vanished == 0


def test_a_usb_printer_is_found_by_its_maker_under_any_number(box: Box, terminal: Callable[[], Any]) -> None:
    far = terminal()
    place = box.sys / "devices" / "pci0000:00" / "usb1" / "1-2" / "1-2:1.0"
    entry = place / "usbmisc" / "lp3"
    entry.mkdir(parents=True)
    (place.parent / "idVendor").write_text("0416\n")
    (place.parent / "idProduct").write_text("5011\n")
    (place / "bInterfaceNumber").write_text("00\n")
    (entry / "device").symlink_to(place)
    (box.sys / "class" / "usbmisc").mkdir()
    (box.sys / "class" / "usbmisc" / "lp3").symlink_to(entry)
    (box.dev / "usb").mkdir()
    (box.dev / "usb" / "lp3").symlink_to(far.path)
    url = PortUrl.parse("lp:usb:0416:5011")
    LP.check(url, {})
    near = LP.make(url, {})
    near.open()
    slave = os.open(far.path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(slave)  # a printer's file has no line discipline
    near.write(b"receipt", 5.0)
    assert os.read(far.master, 100) == b"receipt"
    far.write(b"\x12")
    assert near.read(5.0) == b"\x12"
    near.close()
    os.close(slave)
    with pytest.raises(Disconnected, match="there is lp3 = 0416:5011"):
        LP.make(PortUrl.parse("lp:usb:0416:5012"), {}).open()
    for wrong in ("lp:lp0", "lp:usb:416:5011"):
        with pytest.raises(ValueError, match="would be right"):
            LP.check(PortUrl.parse(wrong), {})
