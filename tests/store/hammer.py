"""A child process for the power-cut tests: submits as fast as it can and prints what its tickets say.

hammer.py PATH            prints "SEQUENCE HASH ID" for each resolved ticket, one write a line, until killed
"""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from edge_agent import clock
from edge_agent.records.envelope import draft
from edge_agent.store import CommitFailed, Limits, Store, StoreFull, Ticket

ZONE = ZoneInfo("Asia/Shanghai")


def main(path: Path) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    store = Store.open(path, source="/s/g", zone=ZONE, limits=Limits(reserve_bytes=65536, keep_days=1))
    waiting: deque[Ticket] = deque()
    number = 0
    while True:
        number += 1
        burst = 1 if number % 50 < 10 else 20  # lone commits and groups
        try:
            waiting.append(
                store.submit(
                    draft(
                        type="trace.scan.v1",
                        subject="s",
                        at=clock.now(),
                        zone=ZONE,
                        data={"text": "x" * (number % 700)},
                    )
                )
            )
            while len(waiting) >= burst:
                kept = waiting.popleft().wait(30)
                os.write(1, f"{kept.sequence} {kept.hash} {kept.id}\n".encode())
        except (CommitFailed, StoreFull) as problem:
            os.write(1, f"FAILED {problem}\n".encode())
        if number % 20 == 0:
            store.outbox().settle([(1, store.head.sequence - 30)], [], clock.now())


main(Path(sys.argv[1]))
