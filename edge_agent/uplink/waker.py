"""A flag that ends a wait on file descriptors; set from any thread (eventfd(2))."""

from __future__ import annotations

import contextlib
import os
import select


class Waker:
    """Set by others, waited for by one thread together with its socket."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor that is readable while the flag is set."""
        return self._fd

    def set(self) -> None:
        """Set the flag; never blocks."""
        with contextlib.suppress(BlockingIOError):  # the counter is full, so the flag is set
            os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        """Take the flag back."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def wait(self, timeout: float) -> None:
        """Wait until the flag is set, at most `timeout` seconds, and take it back."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if poller.poll(max(0.0, timeout) * 1000):
            self.clear()

    def __del__(self) -> None:
        os.close(self._fd)
