"""Whether another program reads a port that we hold: two readers of one line each get half of the bytes.

A program that locks, or opens after us without being root, is refused (flock, TIOCEXCL). One that opened before us
without locking, or as root, is not: it is found in /proc where its descriptors may be seen, and by the kernel's count
of received bytes where the line's driver keeps one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Final

PROC = Path("/proc")
FRESH = 10.0
_looking = threading.Lock()
_seen: tuple[float, dict[str, list[str]]] = (-1e9, {})
_TIOCGICOUNT: Final = 0x545D
_COUNTERS: Final = struct.Struct("20i")  # struct serial_icounter_struct: cts, dsr, rng, dcd, rx, tx, frame, …
_RECEIVED: Final = 4
_TOLERANCE: Final = 512
"""Bytes that may be counted and neither be read yet nor wait in the terminal: a FIFO and a tty's flip buffer."""
_BEHIND: Final = 2048
"""Of the 4,096 bytes that wait in a terminal at most. Near them more wait where nobody can count them."""


def others(path: str) -> list[str]:
    """The other programs that have this port open, as `NAME (PID)`; those that may be seen.

    One look through /proc serves every port of the box for `FRESH` seconds.
    """
    global _seen
    with _looking:
        if time.monotonic() - _seen[0] >= FRESH:
            _seen = (time.monotonic(), _look())
        return _seen[1].get(os.path.realpath(path), [])


def _look() -> dict[str, list[str]]:
    """The programs that hold each device node."""
    holders: dict[str, list[str]] = {}
    mine = str(os.getpid())
    for folder in PROC.glob("[0-9]*"):
        if folder.name == mine:
            continue
        held = _held(folder)
        if not held:
            continue
        try:
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue  # it has just ended
        for target in held:
            holders.setdefault(target, []).append(f"{name} ({folder.name})")
    return holders


def _held(process: Path) -> set[str]:
    """The device nodes that a process has open."""
    held = set()
    try:
        for descriptor in os.listdir(process / "fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                target = os.readlink(process / "fd" / descriptor)
                if target.startswith("/dev/"):
                    held.add(target)
    except OSError:
        return set()  # another user's, or one that has just ended
    return held


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
        """Bytes that were received and never came to us; 0 where the line keeps no count.

        What waits in the terminal is not gone: a program that was held up for a while has not read it yet.
        """
        now = _received(self._fd)
        waiting = _waiting(self._fd)
        if self._first is None or now is None or waiting >= _BEHIND:
            return 0
        missing = (now - self._first) % 2**32 - self._read - waiting
        return missing if _TOLERANCE < missing < 2**31 else 0


def _received(fd: int) -> int | None:
    try:
        counters = fcntl.ioctl(fd, _TIOCGICOUNT, bytes(_COUNTERS.size))
    except OSError:
        return None
    return int(_COUNTERS.unpack(counters)[_RECEIVED]) & 0xFFFFFFFF


def _waiting(fd: int) -> int:
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0
