"""Whether every part makes progress, and telling systemd so.

Each part beats when it made progress or idles healthily. systemd's watchdog is fed only while every part has
beaten lately: a part that is held up lets systemd restart the agent, instead of a timer that ticks on over a
dead heart.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from edge_agent import clock

DEFAULT_PATIENCE: Final = 20.0


class Health:
    """When each part beat last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._beats: dict[str, tuple[float, float]] = {}

    def part(self, name: str, patience: float = DEFAULT_PATIENCE) -> Callable[[], None]:
        """Register a part that has to beat at least every `patience` seconds; returns its beat."""

        def beat() -> None:
            with self._lock:
                if name in self._beats:
                    self._beats[name] = (clock.monotonic(), patience)

        with self._lock:
            self._beats[name] = (clock.monotonic(), patience)
        return beat

    def forget(self, name: str) -> None:
        """A part has ended as it should."""
        with self._lock:
            self._beats.pop(name, None)

    def held_up(self) -> Mapping[str, float]:
        """Parts that have not beaten in time, with their age in seconds."""
        at = clock.monotonic()
        with self._lock:
            return {name: at - last for name, (last, patience) in self._beats.items() if at - last > patience}


class Notifier:
    """systemd's notify protocol (sd_notify(3)): datagrams to the socket named in NOTIFY_SOCKET."""

    def __init__(self, address: str | None = None, watchdog_usec: str | None = None) -> None:
        address = address if address is not None else os.environ.get("NOTIFY_SOCKET")
        self._address = None if not address else ("\0" + address[1:] if address.startswith("@") else address)
        usec = watchdog_usec if watchdog_usec is not None else os.environ.get("WATCHDOG_USEC", "")
        self.watchdog_interval = int(usec) / 2_000_000 if usec.isdigit() and int(usec) > 0 else None

    def send(self, *lines: str) -> None:
        """Send states such as READY=1; without a socket nothing happens, and an error is only logged."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(1.0)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as problem:
            structlog.get_logger().warning("notify.failed", reason=str(problem))


class Watchdog:
    """The thread that feeds systemd's watchdog while nothing is held up."""

    def __init__(self, health: Health, notifier: Notifier, status: Callable[[], str], interval: float = 5.0) -> None:
        self._health = health
        self._notifier = notifier
        self._status = status
        self._interval = min(interval, notifier.watchdog_interval or interval)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start feeding."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop feeding; may be called without a start."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        log = structlog.get_logger()
        reported: frozenset[str] = frozenset()
        while not self._stop.wait(self._interval):
            held_up = self._health.held_up()
            if held_up:
                self._notifier.send(f"STATUS=held up: {', '.join(sorted(held_up))}")
            else:
                self._notifier.send("WATCHDOG=1", f"STATUS={self._status()}")
            names = frozenset(held_up)
            if names != reported:
                reported = names
                if names:
                    log.error("health.held_up", parts={name: round(age, 1) for name, age in held_up.items()})
                else:
                    log.info("health.recovered")
