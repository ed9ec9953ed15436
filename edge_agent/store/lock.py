"""One process per store: a lock file beside the database, held by flock(2) for as long as the process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edge_agent.store.errors import StoreBusy, StoreUnusable


class Lock:
    """Held from construction to `release`. The file stays: removing it would let two processes hold "the" lock.

    Raises `StoreBusy` where another process (or this one) has it, `StoreUnusable` where it cannot be made.
    """

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(store.name + ".lock")
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as problem:
            raise StoreUnusable(
                f"cannot make the lock file {self.path}: {problem.strerror}; the agent's user must own its directory"
            ) from problem
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = self._read_pid()
            os.close(self._fd)
            holder = f"process {pid}" if pid is not None else "another process"
            raise StoreBusy(f"{store} is in use by {holder} (lock file {self.path})", pid=pid) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def _read_pid(self) -> int | None:
        text = os.pread(self._fd, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def release(self) -> None:
        """Let the next process in; closing the descriptor drops the lock. A second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.ftruncate(fd, 0)
            os.close(fd)
