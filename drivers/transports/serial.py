"""Serial lines, the only user of pyserial: local ports, and remote ones by RFC 2217.

    serial:/dev/serial/by-id/usb-FTDI_…-if00-port0?baud=9600&bytesize=7&parity=E&stopbits=1
    serial:usb:0403:6001:A50285BI?baud=9600      by vendor, product and serial number; see `usb_tty`
    rfc2217:192.168.1.50:4001?baud=9600

The path is resolved anew at each opening, so a by-id link that moved is followed; one that two equal adapters share is
refused, and told of while the port is open. The port is taken for this
program alone (flock and TIOCEXCL). DTR and RTS are low before the port opens unless asked for, because some
indicators restart on them. A pseudo-terminal has no line: settings and modem lines are not applied to it.

A port is lost when a call raises or when the system says "readable" and then gives nothing (an unplugged tty
reads as an endless end of file), whatever `is_open` says.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import serial
from serial import rfc2217

from drivers.port_settings import choice, host_and_port, number, refuse_unknown, switch
from drivers.transports.descriptors import opening, read_some, vanishing, write_all
from drivers.transports.sharing import ByteCount, others
from drivers.transports.usb_tty import UsbName, ambiguous
from edge_agent.driver import (
    READ_LIMIT,
    BadSettings,
    Disconnected,
    PortUrl,
    Transport,
    TransportSpec,
)

_LINE_KEYS: Final = ("baud", "bytesize", "parity", "stopbits", "dtr", "rts", "xonxoff", "rtscts", "dsrdtr")
_USB_KEYS: Final = ("port", "interface")
_BY_ID: Final = "by-id"
_PTY_MAJORS: Final = range(136, 144)
"""Unix98 pseudo-terminals (Documentation/admin-guide/devices.txt)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """How a serial line is set."""

    baud: int
    bytesize: int
    parity: str
    stopbits: float
    dtr: bool
    rts: bool
    xonxoff: bool
    rtscts: bool
    dsrdtr: bool

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> LineSettings:
        """Read the query of a port; raises ValueError with what would be right."""
        baud = number(settings, "baud", 9600, 50, 4_000_000)
        if baud != int(baud):
            raise ValueError(f"baud={settings['baud']} is not possible; a whole number such as 9600 would be right")
        line = cls(
            baud=int(baud),
            bytesize=int(choice(settings, "bytesize", "8", ("5", "6", "7", "8"))),
            parity=choice(settings, "parity", "N", ("N", "E", "O", "M", "S")),
            stopbits=float(choice(settings, "stopbits", "1", ("1", "1.5", "2"))),
            dtr=switch(settings, "dtr", False),
            rts=switch(settings, "rts", False),
            xonxoff=switch(settings, "xonxoff", False),
            rtscts=switch(settings, "rtscts", False),
            dsrdtr=switch(settings, "dsrdtr", False),
        )
        if line.xonxoff and line.rtscts:
            raise ValueError("xonxoff and rtscts cannot both be on; choose one flow control")
        return line

    def apply(self, port: serial.SerialBase) -> None:
        """Set a port that is not open yet."""
        port.baudrate = self.baud
        port.bytesize = self.bytesize
        port.parity = self.parity
        port.stopbits = self.stopbits
        port.xonxoff = self.xonxoff
        port.rtscts = self.rtscts
        port.dsrdtr = self.dsrdtr
        port.dtr = self.dtr
        port.rts = self.rts


class SerialTransport:
    """A local serial port; see `edge_agent.driver.Transport`."""

    def __init__(self, path: str, line: LineSettings, usb: UsbName | None = None) -> None:
        self._path = path
        self._usb = usb
        self._line = line
        self._port: serial.Serial | None = None
        self._fd = -1
        self._count: ByteCount | None = None

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        if self._usb is not None:
            self._path = self._usb.find()
        port = serial.Serial()
        port.port = self._path
        port.exclusive = True
        with opening(self._path):
            pty = _is_pty(self._path)
            if (doubt := self._doubt()) is not None:
                raise BadSettings(doubt)
            if pty:
                port.dtr = port.rts = False
            else:
                self._line.apply(port)
            port.open()
            self._fd = port.fileno()
            with contextlib.suppress(OSError):  # what is not a tty has no exclusive mode
                fcntl.ioctl(self._fd, termios.TIOCEXCL)
        self._port = port
        self._count = ByteCount(self._fd)

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`."""
        data = read_some(self._fd, self._path, timeout)
        if data and self._count is not None:
            self._count.read(len(data))
        return data

    def trouble(self) -> str | None:
        """See `edge_agent.driver.Watchful`: another program that reads the same line."""
        if self._port is None:
            return None
        if (doubt := self._doubt()) is not None:
            return doubt
        found = others(self._path)
        if found:
            return f"{self._path} is open in other programs too, which take bytes away: {', '.join(found)}"
        vanished = self._count.vanished if self._count is not None else 0
        if vanished:
            return f"{self._path}: {vanished} bytes were received and read by another program"
        return None

    def _doubt(self) -> str | None:
        """Why the name of this port may be that of another."""
        return ambiguous(self._path) if Path(self._path).parent.name == _BY_ID else None

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`."""
        write_all(self._fd, self._path, data, timeout)

    def close(self) -> None:
        """See `Transport.close`."""
        port, self._port = self._port, None
        if port is None:
            return
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, termios.TIOCNXCL)
        self._fd = -1
        with contextlib.suppress(OSError, ValueError, TypeError, termios.error):
            port.close()


class Rfc2217Transport:
    """A serial port of another machine, line settings included (RFC 2217); see `edge_agent.driver.Transport`."""

    def __init__(self, host: str, port: int, line: LineSettings) -> None:
        self._url = f"rfc2217://{host}:{port}?ign_set_control&timeout=5"
        self._where = f"{host}:{port}"
        self._line = line
        self._port: rfc2217.Serial | None = None

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        port = rfc2217.Serial()
        self._line.apply(port)
        port.port = self._url
        try:
            port.open()
        except ValueError as error:
            raise BadSettings(f"{self._where}: {error}") from error
        except OSError as error:
            raise Disconnected(f"{self._where}: {error}") from error
        self._port = port

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`."""
        port = self._opened()
        with vanishing(self._where):
            port.timeout = max(0.0, timeout)
            data = port.read(min(max(1, port.in_waiting), READ_LIMIT))
            return data + port.read(min(port.in_waiting, READ_LIMIT - len(data))) if data else b""

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`. The socket's own time-out of 5 s bounds it."""
        port = self._opened()
        with vanishing(self._where):
            port.write(data)

    def close(self) -> None:
        """See `Transport.close`."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError, ValueError, TypeError):
                port.close()

    def _opened(self) -> rfc2217.Serial:
        if self._port is None:
            raise Disconnected(f"{self._where}: the port is not open")
        return self._port


def _is_pty(path: str) -> bool:
    status = os.stat(path)
    if not stat.S_ISCHR(status.st_mode):
        raise BadSettings(f"{path} is not a device; /dev/serial/by-id/… or /dev/ttyUSB0 would be right")
    return os.major(status.st_rdev) in _PTY_MAJORS


def _check_serial(url: PortUrl, line: Mapping[str, str]) -> None:
    if url.address.startswith("usb:"):
        refuse_unknown(url, (*_LINE_KEYS, *_USB_KEYS))
        UsbName.parse(url.address, url.settings())
        LineSettings.parse(url.settings(line))
        return
    refuse_unknown(url, _LINE_KEYS)
    if not url.address.startswith("/"):
        raise ValueError(
            f"serial:{url.address} is not a path; serial:/dev/serial/by-id/… or serial:usb:VVVV:PPPP would be right"
        )
    LineSettings.parse(url.settings(line))


def _make_serial(url: PortUrl, line: Mapping[str, str]) -> Transport:
    _check_serial(url, line)
    usb = UsbName.parse(url.address, url.settings()) if url.address.startswith("usb:") else None
    return SerialTransport(url.address, LineSettings.parse(url.settings(line)), usb)


def _check_rfc2217(url: PortUrl, line: Mapping[str, str]) -> None:
    refuse_unknown(url, _LINE_KEYS)
    host_and_port(url.address, url.scheme)
    LineSettings.parse(url.settings(line))


def _make_rfc2217(url: PortUrl, line: Mapping[str, str]) -> Transport:
    _check_rfc2217(url, line)
    host, port = host_and_port(url.address, url.scheme)
    return Rfc2217Transport(host, port, LineSettings.parse(url.settings(line)))


SPECS = (
    TransportSpec(
        scheme="serial",
        title="Serial port, serial:/dev/… or serial:usb:VVVV:PPPP[:SERIAL]",
        check=_check_serial,
        make=_make_serial,
    ),
    TransportSpec(
        scheme="rfc2217",
        title="Serial port of a device server, rfc2217:HOST:PORT",
        check=_check_rfc2217,
        make=_make_rfc2217,
    ),
)
