"""Our store, driven like a peer's for the loss at kill -9.

python peer_ours.py trickle FOLDER PER_SECOND   keep one record after the other, and say after each, until killed
python peer_ours.py count   FOLDER              how many a new start finds
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent import clock, logs
from edge_agent.records import envelope
from edge_agent.store import Store

ZONE = ZoneInfo("UTC")


def open_store(folder: Path) -> Store:
    """The store as the agent opens it."""
    return Store.open(folder / "agent.db", source="/bench/box-1", zone=ZONE)


def trickle(folder: Path, per_second: float) -> None:
    """One after the other; each is told only after its COMMIT."""
    store = open_store(folder)
    data = {
        "device": "scale-1",
        "net_mg": 1_236_000,
        "indication": "1.236",
        "unit": "kg",
        "raw": "53" * 60,
        "flags": [],
    }
    for number in range(1_000_000):
        draft = envelope.draft(type="trace.weighing.v1", subject="A12", at=clock.now(), zone=ZONE, data=data)
        store.submit(draft).wait(30)
        print(number + 1, flush=True)
        time.sleep(1 / per_second)


def count(folder: Path) -> int:
    """The weighings that are there."""
    store = open_store(folder)
    try:
        return sum(row.body.endswith(b'"type":"trace.weighing.v1"}') for row in store.read(1, limit=1_000_000))
    finally:
        store.stop(60)


def main() -> None:
    """One of the two."""
    logs.configure("warning")
    match sys.argv[1:]:
        case ["trickle", folder, number]:
            trickle(Path(folder), float(number))
        case ["count", folder]:
            print(count(Path(folder)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
