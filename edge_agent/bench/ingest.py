"""How fast records become durable, beside two limits: the disk's own sync, and SQLite without us.

The limit is always measured between the measured runs, because a shared disk changes from second to second.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Final

from edge_agent import clock
from edge_agent.records.envelope import GENESIS_HASH, Draft, draft, seal
from edge_agent.store import Store, baseline

SYNC_BYTES: Final = 4120
"""One page and its header in the write-ahead log: what a commit of one record must write at least."""

_SOURCE: Final = "/market-1/gw-1"
_IO: Final = Path("/proc/self/io")
_PATIENCE: Final = 120.0


def sample_drafts(count: int) -> list[Draft]:
    """Weighings as a stall makes them, about 670 bytes when sealed with their envelope."""
    at = clock.now()
    return [
        draft(
            type="trace.weighing.v1",
            subject="stall-7",
            at=at,
            zone=UTC,
            data={
                "device": "scale-1",
                "driver": "xk3190-continuous",
                "captured_by": "device",
                "clock": {"synced": at.synced, "boot": at.boot, "mono_ms": at.mono_ms + number},
                "flags": [],
                "gross_mg": number * 1000,
                "raw": "022b3030313233343231420d",
            },
        )
        for number in range(count)
    ]


def sealed_bodies(drafts: list[Draft]) -> list[bytes]:
    """The same drafts as the store would keep them, for a baseline that need not chain them."""
    bodies: list[bytes] = []
    previous = GENESIS_HASH
    for sequence, each in enumerate(drafts, 1):
        row = seal(each, source=_SOURCE, chain="0" * 36, sequence=sequence, prevhash=previous)
        previous = row.hash
        bodies.append(row.body)
    return bodies


def ingest_1(directory: Path, *, rounds: int = 12, records: int = 300) -> dict[str, float]:
    """Records kept one by one from one thread, each waited for, beside as many appends of 4,120 bytes with fdatasync.

    Returns the median rates and the median of the rounds' ratios: `fdatasync_per_s`, `ingest_1_per_s`,
    `ingest_1_vs_fdatasync`.
    """
    drafts = iter(sample_drafts(rounds * records))
    syncs: list[float] = []
    keeps: list[float] = []
    with _new_store(directory) as store, tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(rounds):
            syncs.append(_fdatasync_per_s(file.fileno(), records))
            batch = [next(drafts) for _ in range(records)]
            began = clock.monotonic()
            for each in batch:
                store.keep(each, timeout=_PATIENCE)
            keeps.append(records / (clock.monotonic() - began))
    return {
        "fdatasync_per_s": statistics.median(syncs),
        "ingest_1_per_s": statistics.median(keeps),
        "ingest_1_vs_fdatasync": statistics.median(keep / sync for keep, sync in zip(keeps, syncs, strict=True)),
    }


def _fdatasync_per_s(fd: int, count: int) -> float:
    block = b"\xa5" * SYNC_BYTES
    began = clock.monotonic()
    for _ in range(count):
        os.write(fd, block)
        os.fdatasync(fd)
    return count / (clock.monotonic() - began)


def ingest_group(directory: Path, *, rounds: int = 3, records: int = 50_000) -> dict[str, float]:
    """Ready drafts submitted as fast as the queue takes them, until the last is durable; beside bare executemany.

    Returns `ingest_group_per_s`, `executemany_per_s` and the median of the rounds' ratios,
    `ingest_group_vs_executemany`.
    """
    drafts = sample_drafts(records)
    bodies = sealed_bodies(drafts)
    plain: list[float] = []
    ours: list[float] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=directory) as place:
            plain.append(baseline.executemany_per_s(Path(place) / "plain.db", bodies))
        with _new_store(directory) as store:
            began = clock.monotonic()
            _submit_all(store, drafts)
            ours.append(records / (clock.monotonic() - began))
    return {
        "ingest_group_per_s": statistics.median(ours),
        "executemany_per_s": statistics.median(plain),
        "ingest_group_vs_executemany": statistics.median(mine / bare for mine, bare in zip(ours, plain, strict=True)),
    }


def disk_bytes(directory: Path, *, records: int = 20_000) -> dict[str, float]:
    """Bytes that this process sent to the disk for each record (proc_pid_io(5), write_bytes), checkpoints included.

    Returns `disk_bytes_per_record` with groups as they come and `disk_bytes_per_record_alone` with a commit for each.
    """
    alone = sample_drafts(records // 10)
    grouped = sample_drafts(records)
    with _new_store(directory) as store:
        before = _written()
        for each in alone:
            store.keep(each, timeout=_PATIENCE)
        middle = _written()
        _submit_all(store, grouped)
    return {
        "disk_bytes_per_record": (_written() - middle) / len(grouped),
        "disk_bytes_per_record_alone": (middle - before) / len(alone),
    }


def _written() -> int:
    for line in _IO.read_text().splitlines():
        name, _, value = line.partition(": ")
        if name == "write_bytes":
            return int(value)
    raise LookupError(f"{_IO} tells no write_bytes")


def _submit_all(store: Store, drafts: list[Draft]) -> None:
    ticket = None
    for each in drafts:
        ticket = store.submit(each, timeout=_PATIENCE)
    if ticket is not None:
        ticket.wait(_PATIENCE)


@contextmanager
def _new_store(directory: Path) -> Iterator[Store]:
    with tempfile.TemporaryDirectory(dir=directory) as place:
        store = Store.open(Path(place) / "bench.db", source=_SOURCE, zone=UTC)
        try:
            yield store
        finally:
            store.stop(_PATIENCE)
