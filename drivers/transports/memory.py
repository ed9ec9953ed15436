"""A pipe inside the process, for tests and for programs that embed the agent: `memory:NAME`.

The embedding side offers the far end with `offer(name)`, writes what the device says and reads what it is told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final

from drivers.port_settings import refuse_unknown
from edge_agent.driver import READ_LIMIT, Busy, Disconnected, PortUrl, TransportSpec

_CAPACITY: Final = 65536

_offered: dict[str, FarEnd] = {}
_lock: Final = threading.Lock()


class _Direction:
    """Bytes one way; at most `_CAPACITY` of them wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._ended = False

    def put(self, data: bytes, timeout: float) -> bool:
        """Add all of `data`; False if there was no room within `timeout` seconds, or the other side has gone."""
        with self._changed:
            room = self._changed.wait_for(lambda: self._ended or len(self._bytes) + len(data) <= _CAPACITY, timeout)
            if not room or self._ended:
                return False
            self._bytes += data
            self._changed.notify_all()
            return True

    def take(self, timeout: float) -> bytes | None:
        """What one read brings, waiting for the first byte; None when the other side has gone and all is read."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._bytes, timeout)
            data = bytes(self._bytes[:READ_LIMIT])
            del self._bytes[: len(data)]
            self._changed.notify_all()
            return None if self._ended and not data else data

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class FarEnd:
    """The device's side of a memory port."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.to_agent = _Direction()
        self.to_device = _Direction()
        self.taken = False

    def write(self, data: bytes, timeout: float = 5.0) -> None:
        """Say something; raises BlockingIOError when nobody reads it within `timeout` seconds."""
        until = time.monotonic() + timeout
        for at in range(0, len(data), _CAPACITY):
            if not self.to_agent.put(data[at : at + _CAPACITY], max(0.0, until - time.monotonic())):
                raise BlockingIOError(f"memory:{self._name}: nobody reads")

    def read(self, timeout: float) -> bytes:
        """What the agent wrote; empty when nothing came within `timeout` seconds or the agent has closed."""
        return self.to_device.take(timeout) or b""

    def close(self) -> None:
        """Unplug: the agent reads what was written before, then sees the port gone."""
        with _lock:
            if _offered.get(self._name) is self:
                del _offered[self._name]
        self.to_agent.end()
        self.to_device.end()


def offer(name: str) -> FarEnd:
    """Plug in a device as `memory:NAME`, unplugging the one that was there."""
    far_end = FarEnd(name)
    with _lock:
        earlier = _offered.pop(name, None)
        _offered[name] = far_end
    if earlier:
        earlier.to_agent.end()
        earlier.to_device.end()
    return far_end


class MemoryTransport:
    """The agent's side; see `edge_agent.driver.Transport`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._far_end: FarEnd | None = None

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        with _lock:
            far_end = _offered.get(self._name)
            if far_end is None:
                raise Disconnected(f"memory:{self._name} is not offered by anyone")
            if far_end.taken:
                raise Busy(f"memory:{self._name} is open already")
            far_end.taken = True
            self._far_end = far_end

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`."""
        data = self._opened().to_agent.take(max(0.0, timeout))
        if data is None:
            raise Disconnected(f"memory:{self._name} was unplugged")
        return data

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`."""
        if not self._opened().to_device.put(data, timeout):
            raise Disconnected(f"memory:{self._name} took nothing for {timeout:g} s")

    def close(self) -> None:
        """See `Transport.close`."""
        far_end, self._far_end = self._far_end, None
        if far_end:
            with _lock:
                far_end.taken = False

    def _opened(self) -> FarEnd:
        if self._far_end is None:
            raise Disconnected(f"memory:{self._name} is not open")
        return self._far_end


def _make(url: PortUrl, line: Mapping[str, str]) -> MemoryTransport:
    refuse_unknown(url, ())
    return MemoryTransport(url.address)


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)


SPEC = TransportSpec(scheme="memory", title="Pipe inside the process, memory:NAME", check=_check, make=_make)
