"""One log line for each kept record, written off the committing thread.

The queue is bounded; what does not fit becomes one counted line, because the log must never hold up a commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from edge_agent.board import Board
from edge_agent.store import Kept

_BOUND: Final = 10_000


class KeptLog:
    """Writes `record.kept` lines and tells the board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._queue: deque[Kept] = deque()
        self._condition = threading.Condition()
        self._stopping = False
        self._overflow = 0
        self._thread = threading.Thread(target=self._run, name="kept-log", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Write what is queued and end."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(timeout)

    def __call__(self, kept: Sequence[Kept]) -> None:
        """Take what was committed; called by the committer and never waits."""
        with self._condition:
            room = _BOUND - len(self._queue)
            self._queue.extend(kept[:room] if room < len(kept) else kept)
            self._overflow += max(0, len(kept) - room)
            self._condition.notify()

    def _run(self) -> None:
        log = structlog.get_logger()
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._queue or self._stopping, timeout=1.0)
                batch, overflow = list(self._queue), self._overflow
                self._queue.clear()
                self._overflow = 0
                done = self._stopping and not batch
            for kept in batch:
                log.info(
                    "record.kept",
                    id=kept.id,
                    sequence=kept.sequence,
                    chain=kept.chain,
                    type=kept.type,
                    station=kept.subject,
                )
                self._board.tell("record", kept)
            if overflow:
                log.warning("record.kept.overflow", lines=overflow)
            if done:
                return
