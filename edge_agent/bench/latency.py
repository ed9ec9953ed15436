"""From the last byte on a pty to COMMIT, through every stop of the way, beside a bare fdatasync.

The device's thread, the station's thread and the committer are those of the agent. One weigh cycle is three
frames (zero, load, load); the second load frame completes it, and its last byte starts the clock.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
import tty
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from edge_agent.bench.ingest import sample_drafts
from edge_agent.board import Board
from edge_agent.config import Device, Rules
from edge_agent.health import Health
from edge_agent.office.bookkeeper import Bookkeeper
from edge_agent.registry import discover
from edge_agent.station import Settings, make_station
from edge_agent.station.weigh_cycle import CycleRules
from edge_agent.store import Kept, Store
from edge_agent.supervisor import DeviceRunner, StationRunner, Supervisor

_DRIVER: Final = "st-gs"
_ZERO: Final = b"ST,GS,+  0.000kg\r\n"
_PATIENCE: Final = 10.0
_BETWEEN: Final = 0.003
_PAGE_IN_LOG: Final = 4_120
_WARM: Final = 1_500  # commits until the write-ahead log has its size and is written over instead of growing


def measure(folder: Path, cycles: int) -> dict[str, Any]:
    """Latency of `cycles` weighings; figures in milliseconds and as a ratio to fdatasync's."""
    with ExitStack() as stack:
        near, far = os.openpty()
        stack.callback(os.close, near)
        stack.callback(os.close, far)
        tty.setraw(far)
        store = Store.open(folder / "latency.db", source="/bench/latency", zone=ZoneInfo("UTC"))
        stack.callback(store.stop)
        committed: list[float] = []
        arrived = threading.Semaphore(0)

        def note(kept: Sequence[Kept]) -> None:
            committed.append(time.perf_counter())
            arrived.release(len(kept))

        for draft in sample_drafts(_WARM):
            store.keep(draft)
        store.on_kept(note)
        supervisor = _supervise(os.ttyname(far), store)
        supervisor.start()
        stack.callback(supervisor.stop, _PATIENCE)
        sync = os.open(folder / "fdatasync", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, sync)
        page = os.urandom(_PAGE_IN_LOG)
        latencies, syncs = [], []
        os.write(near, _ZERO)
        time.sleep(0.5)
        for number in range(cycles):
            load = b"ST,GS,+%7.3fkg\r\n" % (1.0 + number % 900 / 1000)
            for frame in (_ZERO, load):
                os.write(near, frame)
                time.sleep(_BETWEEN)
            start = time.perf_counter()
            os.write(near, load)
            if not arrived.acquire(timeout=_PATIENCE):
                raise TimeoutError(f"weighing {number + 1} of {cycles} was not kept within {_PATIENCE:g} s")
            latencies.append(committed[-1] - start)
            time.sleep(2 * _BETWEEN)  # the machine is as idle before the baseline as before the weighing
            start = time.perf_counter()
            os.write(sync, page)
            os.fdatasync(sync)
            syncs.append(time.perf_counter() - start)
    p50, base = statistics.median(latencies), statistics.median(syncs)
    return {
        "latency_p50_ms": round(p50 * 1e3, 3),
        "latency_p99_ms": round(statistics.quantiles(latencies, n=100)[98] * 1e3, 3),
        "latency_fdatasync_p50_ms": round(base * 1e3, 3),
        "latency_p50_vs_fdatasync": round(p50 / base, 2),
        "latency_weighings": cycles,
    }


def _supervise(port: str, store: Store) -> Supervisor:
    registry, board, health = discover(), Board(), Health()
    rules = Rules.model_validate({})
    settings = Settings(
        id="bench",
        mode="log",
        scales=("scale",),
        zone=ZoneInfo("UTC"),
        rules=CycleRules(
            min_load=rules.min_load,
            zero_band=rules.zero_band,
            stable_ms=rules.stable_ms,
            stable_band=rules.stable_band,
            stable_readings=rules.stable_readings,
            additions=False,
        ),
    )
    books = Bookkeeper(store)
    station = StationRunner("bench", lambda: make_station(settings, books.books), store, books, board, health)
    device = Device.model_validate({"id": "scale", "driver": _DRIVER, "port": f"serial:{port}"})
    spec = registry.drivers[_DRIVER]

    def session() -> Any:
        transport = registry.make_transport(device.port_url, spec)
        return registry.session(transport, registry.make_codec(_DRIVER, {}))

    return Supervisor([DeviceRunner("scale", spec, session, [station.mailbox], board, health)], [station])
