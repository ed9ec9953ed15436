"""Reading and writing a device's file: with deadlines, and with every way in which a port can fail mapped.

Shared by the transports whose port is a character device.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import math
import os
import select
import termios
import time
from collections.abc import Iterator

from edge_agent.driver import READ_LIMIT, BadSettings, Busy, Disconnected, PermissionDenied, TransportError


def read_some(fd: int, where: str, timeout: float) -> bytes:
    """What is there, at most `READ_LIMIT` bytes, waiting at most `timeout` seconds; raises `Disconnected`."""
    with vanishing(where):
        if not wait(fd, select.POLLIN, timeout):
            return b""
        try:
            data = os.read(fd, READ_LIMIT)
        except BlockingIOError:
            return b""
        if not data:
            raise Disconnected(f"{where}: the port is gone (readable, but nothing to read)")
        return data


def write_all(fd: int, where: str, data: bytes, timeout: float) -> None:
    """Write all of it within `timeout` seconds; raises `Disconnected`."""
    until = time.monotonic() + timeout
    rest = memoryview(data)
    while rest:
        with vanishing(where):
            if not wait(fd, select.POLLOUT, until - time.monotonic()):
                raise Disconnected(f"{where}: the port took nothing for {timeout:g} s")
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(fd, rest) :]


def wait(fd: int, event: int, timeout: float) -> bool:
    poller = select.poll()
    poller.register(fd, event)
    return bool(poller.poll(math.ceil(max(0.0, timeout) * 1000)))


@contextlib.contextmanager
def opening(path: str) -> Iterator[None]:
    """What the ways of failing to open mean."""
    try:
        yield
    except (OSError, termios.error) as error:
        raise meaning(path, error) from error
    except ValueError as error:
        raise BadSettings(f"{path}: {error}") from error


def meaning(path: str, error: OSError | termios.error) -> TransportError:
    cause = error.__context__ if isinstance(error.__context__, termios.error) else error  # pyserial drops its number
    number = cause.errno if isinstance(cause, OSError) else cause.args[0]
    if number in (errno.EACCES, errno.EPERM):
        return PermissionDenied(
            f"{path} may not be opened by this user: add it to the group {group(path)!r} "
            f"(usermod -aG {group(path)} USER), or install the udev rule of this package"
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return Busy(f"{path} is in use by another program (fuser -v {path} names it)")
    if number in (errno.EINVAL, errno.ENOTTY):
        return BadSettings(f"{path} does not take these line settings, or is no serial port: {error}")
    return Disconnected(f"{path} cannot be opened: {error}")


def group(path: str) -> str:
    try:
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


@contextlib.contextmanager
def vanishing(where: str) -> Iterator[None]:
    """Every way in which an open port can vanish: EIO, ENXIO, ENODEV, ENOTTY, a closed descriptor …"""
    try:
        yield
    except (OSError, termios.error, ValueError, TypeError) as error:
        raise Disconnected(f"{where}: the port is gone: {error}") from error
