"""Ports by the USB device that they belong to: vendor, product, serial number, socket.

    usb:1a86:7523                the only adapter of that make
    usb:0403:6001:A50285BI       the one with this serial number
    port=1-1.4                   the one in this socket (the name in /sys/bus/usb/devices): for chips without a number
    interface=1                  the second port of a device that has several

Looked up in sysfs at each opening, so a port that comes back as another ttyUSB number is found. Of two that fit none is
taken: which of two scales a weight comes from must not hang on the order in which they were plugged in. The same holds
for udev's by-id links, which are made of maker, product, serial number and interface only: of two adapters of one make
without numbers (CH340), or with the same one, both claim one link, and the one plugged in last has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.driver import BadSettings, Disconnected

SYSFS = Path("/sys")
DEV = Path("/dev")

_ADDRESS = re.compile(r"usb:([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?::([!-~]+))?")
_SOCKET = re.compile(r"\d+-\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of devices in sysfs: its name, the pattern of its entries, where their files stand under /dev."""

    name: str
    pattern: str
    folder: str
    words: str


TTY = Kind("tty", "tty*", "", "serial port")
PRINTER = Kind("usbmisc", "lp*", "usb", "printer")


@dataclass(frozen=True, slots=True)
class UsbName:
    """Which USB device is meant. None: any."""

    vendor: str
    product: str
    serial: str | None = None
    socket: str | None = None
    interface: int | None = None

    @classmethod
    def parse(cls, address: str, query: Mapping[str, str], scheme: str = "serial") -> UsbName:
        """Read `usb:VID:PID[:SERIAL]` and its settings. Raises ValueError with what would be right."""
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ValueError(
                f"{scheme}:{address} is not possible; {scheme}:usb:VVVV:PPPP or {scheme}:usb:VVVV:PPPP:SERIAL with "
                "four hexadecimal digits each would be right, as lsusb shows them"
            )
        socket, interface = query.get("port"), query.get("interface")
        if socket is not None and not _SOCKET.fullmatch(socket):
            raise ValueError(f"port={socket} is not possible; a name from /sys/bus/usb/devices such as 1-1.4 is right")
        if interface is not None and not interface.isdecimal():
            raise ValueError(f"interface={interface} is not possible; a number such as 0 or 1 would be right")
        number = None if interface is None else int(interface)
        return cls(match[1].lower(), match[2].lower(), match[3], socket, number)

    def find(self, kind: Kind | None = None) -> str:
        """The path of the port, now. Raises `Disconnected` where none fits, `BadSettings` where several do."""
        kind = kind or TTY
        every = list(_ports(kind))
        fitting = [port for port in every if self._fits(port)]
        if len(fitting) == 1:
            return str(DEV / kind.folder / fitting[0].name)
        if fitting:
            raise BadSettings(
                f"{len(fitting)} ports fit {self}: {'; '.join(map(str, fitting))}. Tell them apart by serial number "
                "(usb:VID:PID:SERIAL), by socket (?port=1-1.4) or by interface (?interface=0)"
            )
        there = "; ".join(map(str, every)) or f"no USB {kind.words} at all"
        raise Disconnected(f"{self} is not plugged in; there is {there}")

    def _fits(self, port: _Port) -> bool:
        return (
            (port.vendor, port.product) == (self.vendor, self.product)
            and self.serial in (None, port.serial)
            and self.socket in (None, port.socket)
            and self.interface in (None, port.interface)
        )

    def __str__(self) -> str:
        words = [f"usb:{self.vendor}:{self.product}", *([self.serial] if self.serial else [])]
        more = [f" in socket {self.socket}"] if self.socket else []
        more += [f" interface {self.interface}"] if self.interface is not None else []
        return ":".join(words) + "".join(more)


def ambiguous(link: str) -> str | None:
    """Why a by-id link does not say which port is meant: what else it could name; None where nothing else is there."""
    every = list(_ports(TTY))
    try:
        name = Path(os.readlink(link)).name  # one step, as udev makes them
    except OSError:
        return None  # no link, or gone meanwhile
    meant = next((port for port in every if port.name == name), None)
    if meant is None:
        return None
    equal = [port for port in every if port.identity == meant.identity]
    if len(equal) == 1:
        return None
    sockets = " or ".join(f"serial:usb:{port.vendor}:{port.product}?port={port.socket}" for port in equal)
    return (
        f"{link} fits {len(equal)} ports that nothing but their sockets tells apart: {'; '.join(map(str, equal))}. "
        f"Which one it names changes when one is plugged in; name the socket instead: {sockets}, or a link from "
        "/dev/serial/by-path"
    )


@dataclass(frozen=True, slots=True)
class _Port:
    name: str
    vendor: str
    product: str
    serial: str | None
    socket: str
    interface: int | None
    number: str | None
    """Of the ports of one interface, as the drivers of multi-port adapters count them."""

    @property
    def identity(self) -> tuple[object, ...]:
        """All that udev makes a by-id link of."""
        return self.vendor, self.product, self.serial, self.interface, self.number

    def __str__(self) -> str:
        serial = f" serial {self.serial}" if self.serial else ""
        return f"{self.name} = {self.vendor}:{self.product}{serial} in socket {self.socket}"


def _ports(kind: Kind) -> list[_Port]:
    """The ports of a kind that are part of USB devices, by name."""
    ports = []
    for entry in sorted((SYSFS / "class" / kind.name).glob(kind.pattern)):
        try:
            place = (entry / "device").resolve(strict=True)
        except OSError:
            continue  # a console or a port that has just gone
        interface = None
        for folder in (place, *place.parents):
            at = _text(folder / "bInterfaceNumber")
            if at is not None and interface is None:
                interface = int(at, 16)
            vendor, product = _text(folder / "idVendor"), _text(folder / "idProduct")
            if vendor and product:
                serial, number = _text(folder / "serial"), _text(entry / "device" / "port_number")
                ports.append(_Port(entry.name, vendor, product, serial, folder.name, interface, number))
                break
    return ports


def _text(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace").strip() or None
    except OSError:
        return None
