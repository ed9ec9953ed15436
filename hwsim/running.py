"""How a hwsim command runs: JSON lines on stdout, until a signal or a time is up."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson


def say(line: dict[str, Any] | bytes) -> None:
    """One line of JSON on stdout, at once."""
    text = line if isinstance(line, bytes) else orjson.dumps(line)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()


class Halt:
    """Takes SIGINT and SIGTERM from the moment it is made, so that what is under way ends in order.

    Made before the first line is printed: whoever reads that line may already want the command to end.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._asked.set())

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._asked.is_set()

    def wait(
        self,
        seconds: float | None = None,
        *,
        each_second: Callable[[], None] | None = None,
        over: Callable[[], bool] | None = None,
    ) -> None:
        """Wait for a signal, the end of `seconds`, or until `over` says so, calling `each_second` meanwhile."""
        end = None if seconds is None else time.monotonic() + seconds
        beat = time.monotonic() + 1.0
        while not self._asked.is_set():
            now = time.monotonic()
            if (end is not None and now >= end) or (over is not None and over()):
                return
            if now >= beat:
                beat += 1.0
                if each_second is not None:
                    each_second()
            self._asked.wait(0.1 if end is None else max(0.0, min(0.1, end - now)))
