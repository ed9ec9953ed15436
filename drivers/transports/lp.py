"""USB printers through the kernel's own driver (usblp).

    lp:/dev/usb/lp0
    lp:usb:0416:5011               by vendor and product; with :SERIAL, or ?port=1-1.4, where there are two

The kernel's driver hands on bytes both ways and keeps the printer for one program at a time. Found anew at each
opening, so a printer that comes back as another lp number is found. Source: Linux, drivers/usb/class/usblp.c.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

from drivers.port_settings import refuse_unknown
from drivers.transports.descriptors import opening, read_some, write_all
from drivers.transports.usb_tty import PRINTER, UsbName
from edge_agent.driver import BadSettings, PortUrl, TransportSpec

_USB_KEYS: Final = ("port", "interface")


class LpTransport:
    """One printer; see `edge_agent.driver.Transport`."""

    def __init__(self, path: str, usb: UsbName | None = None) -> None:
        self._path = path
        self._usb = usb
        self._fd = -1

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        if self._usb is not None:
            self._path = self._usb.find(PRINTER)
        with opening(self._path):
            if not stat.S_ISCHR(os.stat(self._path).st_mode):
                raise BadSettings(f"{self._path} is not a device; /dev/usb/lp0 would be right")
            self._fd = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`."""
        return read_some(self._fd, self._path, timeout)

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`."""
        write_all(self._fd, self._path, data, timeout)

    def close(self) -> None:
        """See `Transport.close`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _make(url: PortUrl, line: Mapping[str, str]) -> LpTransport:
    if url.address.startswith("usb:"):
        refuse_unknown(url, _USB_KEYS)
        return LpTransport(url.address, UsbName.parse(url.address, url.settings(), "lp"))
    refuse_unknown(url, ())
    if not url.address.startswith("/"):
        raise ValueError(f"lp:{url.address} is not a path; lp:/dev/usb/lp0 or lp:usb:VVVV:PPPP would be right")
    return LpTransport(url.address)


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)


SPEC = TransportSpec(
    scheme="lp", title="USB printer, lp:/dev/usb/lp0 or lp:usb:VVVV:PPPP[:SERIAL]", check=_check, make=_make
)
