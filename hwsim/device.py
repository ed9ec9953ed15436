"""Runs one simulated instrument on one port, in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from hwsim.faults import Action, Line, Unplug, Write
from hwsim.instruments import Instrument
from hwsim.ports import Port

LOOK_UP: Final = 0.05  # seconds; how long a stop or an order from another thread waits at the most
MAX_PENDING: Final = 1000  # chunks that wait behind a delay; more are lost, as on a line


class Device:
    """An instrument on a port. `start` powers it on, `stop` ends it; a context manager does both."""

    def __init__(self, instrument: Instrument, port: Port, line: Line | None = None, *, name: str = "device") -> None:
        self.instrument = instrument
        self.port = port
        self.line = line or Line()
        self.name = name
        self.bytes_sent = 0
        self.bytes_lost = 0
        self.bytes_received = 0
        self._orders: queue.SimpleQueue[Callable[[float], list[bytes]]] = queue.SimpleQueue()
        self._pending: deque[tuple[float, Action]] = deque()
        self._plug_at: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"hwsim-{name}", daemon=True)

    def start(self) -> Device:
        """Power on."""
        self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Power off and close the port. Raises TimeoutError if the thread does not end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError(f"{self.name} did not stop within {timeout} s")
        self.port.close()

    def __enter__(self) -> Device:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def order(self, act: Callable[[float], list[bytes] | None], timeout: float = 5.0) -> None:
        """Let the device's thread call `act` with the time, and wait until it did; the bytes it returns are sent.

        This is how another thread puts goods on the platter or pulls a trigger. Raises TimeoutError.
        """
        done = threading.Event()

        def run(now: float) -> list[bytes]:
            try:
                return act(now) or []
            finally:
                done.set()

        self._orders.put(run)
        if not done.wait(timeout):
            raise TimeoutError(f"{self.name} did not take the order within {timeout} s")

    def unplug(self) -> None:
        """Pull the plug until `plug` is called."""

        def pull(now: float) -> None:
            self._plug_at = None
            self.port.unplug()

        self.order(pull)

    def plug(self) -> None:
        """Put the plug in again."""
        self.order(self._replug)

    @property
    def report(self) -> dict[str, Any]:
        """What was played: the instrument's counters, the bytes, and the hits of each fault asked for."""
        return {
            **self.instrument.counters,
            "bytes_sent": self.bytes_sent,
            "bytes_lost": self.bytes_lost,
            "bytes_received": self.bytes_received,
            "faults": dict(self.line.hits),
        }

    def _run(self) -> None:
        self._send(self.instrument.power_on(time.monotonic()))
        while not self._stopping.is_set():
            now = time.monotonic()
            if self._plug_at is not None and now >= self._plug_at:
                self._replug(now)
            self._take_orders(now)
            self._send(self.instrument.tick(now))
            self._flush()
            received = self.port.read(self._patience())
            if received:
                self.bytes_received += len(received)
                self._send(self.instrument.receive(received, time.monotonic()))
                self._flush()

    def _take_orders(self, now: float) -> None:
        while True:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                return
            self._send(order(now))

    def _patience(self) -> float:
        times = [self.instrument.due, self._plug_at, self._pending[0][0] if self._pending else None]
        soonest = min((each for each in times if each is not None), default=None)
        if soonest is None:
            return LOOK_UP
        return min(LOOK_UP, max(0.0, soonest - time.monotonic()))

    def _send(self, chunks: Any) -> None:
        for chunk in chunks:
            for action in self.line.carry(chunk):
                wait = action.wait if isinstance(action, Write) else 0.0
                after = self._pending[-1][0] if self._pending else time.monotonic()
                if len(self._pending) < MAX_PENDING:
                    self._pending.append((max(after, time.monotonic()) + wait, action))
                elif isinstance(action, Write):
                    self.bytes_lost += len(action.data)

    def _flush(self) -> None:
        while self._pending and self._pending[0][0] <= time.monotonic():
            _, action = self._pending.popleft()
            if isinstance(action, Unplug):
                self._pending.clear()
                self.port.unplug()
                self._plug_at = time.monotonic() + action.seconds
            elif self._plug_at is None:
                written = self.port.write(action.data)
                self.bytes_sent += written
                self.bytes_lost += len(action.data) - written
            else:
                self.bytes_lost += len(action.data)

    def _replug(self, now: float) -> None:
        self._plug_at = None
        self.port.plug()
        self._send(self.instrument.power_on(now))
