"""Whether another program reads a port that we hold: two readers of one line each get half of the bytes.

A program that locks, or opens after us without being root, is refused (flock, TIOCEXCL). One that opened before us
without locking, or as root, is not: it is found in /proc where its descriptors may be seen, and by the kernel's count
of received bytes where the line's driver keeps one.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

PROC = Path("/proc")
_TIOCGICOUNT: Final = 0x545D
_COUNTERS: Final = struct.Struct("20i")  # struct serial_icounter_struct: cts, dsr, rng, dcd, rx, tx, frame, …
_RECEIVED: Final = 4
_TOLERANCE: Final = 512
"""Bytes that may be counted and not be read yet: a FIFO and a tty's flip buffer."""


def others(path: str) -> list[str]:
    """The other programs that have this port open, as `NAME (PID)`; those that may be seen."""
    target = os.path.realpath(path)
    found = []
    for folder in PROC.glob("[0-9]*"):
        if folder.name == str(os.getpid()) or not _holds(folder, target):
            continue
        try:
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue  # it has just ended
        found.append(f"{name} ({folder.name})")
    return found


def _holds(process: Path, target: str) -> bool:
    try:
        descriptors = os.listdir(process / "fd")
    except OSError:
        return False  # another user's, or one that has just ended
    for descriptor in descriptors:
        try:
            if os.readlink(process / "fd" / descriptor) == target:
                return True
        except OSError:
            continue
    return False


class ByteCount:
    """What the kernel received on a line, against what was read from it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._first = _received(fd)
        self._read = 0

    def read(self, size: int) -> None:
        """So many bytes were read."""
        self._read += size

    @property
    def vanished(self) -> int:
        """Bytes that were received and never came to us; 0 where the line keeps no count."""
        now = _received(self._fd)
        if self._first is None or now is None:
            return 0
        missing = (now - self._first) % 2**32 - self._read
        return missing if _TOLERANCE < missing < 2**31 else 0


def _received(fd: int) -> int | None:
    try:
        counters = fcntl.ioctl(fd, _TIOCGICOUNT, bytes(_COUNTERS.size))
    except OSError:
        return None
    return int(_COUNTERS.unpack(counters)[_RECEIVED]) & 0xFFFFFFFF
