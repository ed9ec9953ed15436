"""Keyboards of the kernel (`/dev/input/event*`), taken for this program alone: what a wedge scanner types.

    evdev:/dev/input/by-id/usb-Newland_HR22-event-kbd      a path; the link is resolved anew at each opening
    evdev:1eab:8203                                        vendor and product, as lsusb shows them
    evdev:1eab:8203:A123456                                and the serial number
    evdev:Newland HR22                                     the name, as in /proc/bus/input/devices
    evdev:1eab:8203?phys=usb-0000:00:14.0-2                the one in this socket, for equal scanners without serial
                                                           numbers (Phys in /proc/bus/input/devices, up to its /input0)

All nodes of the device that have letters, digits and Enter are read; EVIOCGRAB keeps what is typed from the desktop and
from every other program, and a second agent. What is read are keys, in the form that `edge_agent.driver.KEY_DROPPED`
describes. Identity is read from sysfs, which anybody may, and asked again of the open node, because numbers of nodes
are given to other devices when cables are pulled.

Source: linux/input.h, Documentation/input/event-codes.rst.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import re
import select
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drivers.key_stream import KeyStream, native_size
from drivers.port_settings import refuse_unknown
from edge_agent.driver import (
    BadSettings,
    Busy,
    Disconnected,
    PermissionDenied,
    PortUrl,
    TransportError,
    TransportSpec,
)

_SYSFS: Final = Path("/sys/class/input")
_NODES: Final = Path("/dev/input")
_IDS: Final = re.compile(r"([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})(?::(.{1,126}))?")
_NEEDED: Final = (2, 11, 28, 30)
"""1, 0, Enter, A: what has these is a keyboard and not its volume knob."""
_EVENTS: Final = 64
"""Events of one read: the ring of the kernel holds about as many."""

_EVIOCGRAB: Final = 0x40044590
_TEXT: Final = 256
_EVIOCGNAME: Final = 2 << 30 | _TEXT << 16 | ord("E") << 8 | 0x06
_EVIOCGPHYS: Final = 2 << 30 | _TEXT << 16 | ord("E") << 8 | 0x07
_EVIOCGID: Final = 2 << 30 | 8 << 16 | ord("E") << 8 | 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keyboard:
    """One event node, as sysfs tells of it."""

    node: Path
    name: str
    phys: str
    uniq: str
    vendor: int
    product: int

    @property
    def socket(self) -> str:
        """Where it is plugged in; the nodes of one device share it."""
        return self.phys.rpartition("/input")[0] or self.phys or str(self.node)


class EvdevTransport:
    """All keyboard nodes of one input device; see `edge_agent.driver.Transport`. Used by one thread."""

    def __init__(self, address: str, phys: str | None) -> None:
        self._address = address
        self._phys = phys
        self._where = f"evdev:{address}" + (f"?phys={phys}" if phys else "")
        self._streams: dict[int, KeyStream] = {}

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        try:
            for keyboard in self._find():
                self._take(keyboard)
        except TransportError:
            self.close()
            raise

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`."""
        if not self._streams:
            raise Disconnected(f"{self._where} is not open")
        poller = select.poll()
        for fd in self._streams:
            poller.register(fd, select.POLLIN)
        said = b""
        for fd, _ in poller.poll(math.ceil(max(0.0, timeout) * 1000)):
            stream = self._streams[fd]
            try:
                data = os.read(fd, _EVENTS * stream.size)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Disconnected(f"{self._where} is gone: {error}") from error
            if not data:
                raise Disconnected(f"{self._where} is gone (readable, but nothing to read)")
            said += stream.feed(data)
        return said

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`: nothing can be said to a keyboard."""
        raise Disconnected(f"{self._where}: a keyboard takes no bytes")

    def close(self) -> None:
        """See `Transport.close`. Others may read the keyboard again."""
        streams, self._streams = self._streams, {}
        for fd in streams:
            with contextlib.suppress(OSError):
                fcntl.ioctl(fd, _EVIOCGRAB, 0)
            with contextlib.suppress(OSError):
                os.close(fd)

    def _find(self) -> list[_Keyboard]:
        every = list(_keyboards())
        found = [one for one in every if self._is_meant(one)]
        if not found:
            listed = "; ".join(sorted({_described(one) for one in every})) or "none"
            raise Disconnected(f"{self._where} is not plugged in; keyboards that are: {listed}")
        sockets = sorted({one.socket for one in found})
        if len(sockets) > 1:
            choices = ", ".join(f"?phys={socket}" for socket in sockets)
            raise BadSettings(f"{self._where} is plugged in {len(sockets)} times; say which: {choices}")
        return found

    def _is_meant(self, one: _Keyboard) -> bool:
        if self._phys is not None and self._phys not in (one.phys, one.socket):
            return False
        if self._address.startswith("/"):
            return Path(self._address).resolve() == one.node
        ids = _IDS.fullmatch(self._address)
        if ids is not None:
            same = (int(ids[1], 16), int(ids[2], 16)) == (one.vendor, one.product)
            return same and (ids[3] is None or ids[3] == one.uniq)
        return self._address == one.name

    def _take(self, one: _Keyboard) -> None:
        try:
            fd = os.open(one.node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._meaning(one, error) from error
        self._streams[fd] = KeyStream(native_size())
        try:
            fcntl.ioctl(fd, _EVIOCGRAB, 1)
        except OSError as error:
            raise self._meaning(one, error) from error
        if _another(fd, one):
            raise Disconnected(f"{one.node} has become another device while it was opened")

    def _meaning(self, one: _Keyboard, error: OSError) -> TransportError:
        if error.errno in (errno.EACCES, errno.EPERM):
            return PermissionDenied(
                f"{one.node} ({one.name}) may not be read by this user: add it to the group input "
                "(usermod -aG input USER); the udev rules of this package leave the node to that group"
            )
        if error.errno == errno.EBUSY:
            return Busy(f"{one.node} ({one.name}) is taken by another program (fuser -v {one.node} names it)")
        return Disconnected(f"{one.node} ({one.name}) cannot be opened: {error}")


def _keyboards() -> Iterator[_Keyboard]:
    for entry in sorted(_SYSFS.glob("event*"), key=lambda path: (len(path.name), path.name)):
        device = entry / "device"
        try:
            if all(_capabilities(device) >> code & 1 for code in _NEEDED):
                yield _Keyboard(
                    node=_NODES / entry.name,
                    name=_attribute(device / "name"),
                    phys=_attribute(device / "phys"),
                    uniq=_attribute(device / "uniq"),
                    vendor=int(_attribute(device / "id" / "vendor") or "0", 16),
                    product=int(_attribute(device / "id" / "product") or "0", 16),
                )
        except (OSError, ValueError):
            continue  # unplugged while it was looked at


def _capabilities(device: Path) -> int:
    """The keys that a device has, a bit each. sysfs writes words of the machine's size, the highest first."""
    bits = struct.calcsize("@l") * 8
    value = 0
    for word in _attribute(device / "capabilities" / "key").split():
        value = value << bits | int(word, 16)
    return value


def _attribute(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip("\n") if path.exists() else ""


def _another(fd: int, one: _Keyboard) -> bool:
    """Whether the open node tells another identity than sysfs did; what it does not tell does not count."""
    with contextlib.suppress(OSError):
        told = struct.unpack("=4H", fcntl.ioctl(fd, _EVIOCGID, bytes(8)))
        if told[1:3] != (one.vendor, one.product):
            return True
    for request, expected in ((_EVIOCGNAME, one.name), (_EVIOCGPHYS, one.phys)):
        with contextlib.suppress(OSError):
            text = fcntl.ioctl(fd, request, bytes(_TEXT)).split(b"\0", 1)[0].decode("utf-8", errors="replace")
            if text != expected[: _TEXT - 1]:
                return True
    return False


def _described(one: _Keyboard) -> str:
    return f"{one.name!r} ({one.vendor:04x}:{one.product:04x}, phys={one.socket})"


def _make(url: PortUrl, line: Mapping[str, str]) -> EvdevTransport:
    refuse_unknown(url, ("phys",))
    return EvdevTransport(url.address, url.settings().get("phys"))


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)


SPEC = TransportSpec(
    scheme="evdev", title="Keyboard of the kernel, evdev:NAME, PATH or VENDOR:PRODUCT", check=_check, make=_make
)
