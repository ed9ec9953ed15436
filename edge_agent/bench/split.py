"""What one record costs in CPU, stop by stop: typing, checking, canonical form, hashing, keeping.

CPU seconds, not wall time: of the thread for what one thread does, of the process for keeping, which the committer's
thread does. Each figure is the least of several rounds, for another process's cache misses are not ours.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from edge_agent import clock
from edge_agent.model import Instant
from edge_agent.records import canonical
from edge_agent.records.bodies import Body, Sale, Weighing, clock_facts
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import GENESIS_HASH, Draft, draft, seal
from edge_agent.store import Store

_SOURCE: Final = "/market-1/gw-1"
_ROUNDS: Final = 5
_PATIENCE: Final = 120.0
_RAW: Final = b"ST,GS,+  1.236kg\r\n".hex()

Maker = Callable[[int], Body]


def weighing(number: int, at: Instant) -> Weighing:
    """A weighing as a stall's log makes it."""
    return Weighing(
        device="scale-1",
        driver="st-gs",
        party="3701120000012",
        clock=clock_facts(at),
        raw=_RAW,
        gross_mg=number * 1000,
        tare_mg=0,
        net_mg=number * 1000,
        tare_kind="weighed",
        indication="1.236",
        unit="kg",
        stability="stable",
    )


def sale(number: int, at: Instant) -> Sale:
    """A line of a sale by weight, with batch and trace code."""
    return Sale(
        device="scale-1",
        driver="st-gs",
        party="3701120000012",
        clock=clock_facts(at),
        raw=_RAW,
        gross_mg=number * 1000,
        tare_mg=0,
        net_mg=number * 1000,
        tare_kind="weighed",
        indication="1.236",
        unit="kg",
        stability="stable",
        goods_code="01210101",
        goods_name="大白菜",
        batch="20261123-001",
        trace_code=f"3701120000012{number % 10_000_000:07d}",
        mode="weight",
        qty=1,
        price_fen=350,
        price_per="kg",
        amount_raw_fen=433,
        amount_fen=430,
        amount_source="agent",
        seller="3701120000012",
        position="A12",
        line=1,
        ticket="A12-000001",
    )


def measure(directory: Path, records: int = 20_000) -> dict[str, float]:
    """Microseconds of CPU for each record: `split_{weighing,sale}_{PART}_us`.

    `typing` makes the typed body and its plain values, `check` holds it against its schema (a station's command does
    that; the log of a scale does not need it), `canonical` is the canonical form, `envelope` id, time and draft,
    `hashing` seals it onto the chain, `keeping` is the rest of the way through queue and committer to COMMIT, in
    groups as they come. `total` is all of it measured as one, not the sum: typed, checked (a sale only), drafted,
    sealed and kept.
    """
    at = clock.now()
    figures: dict[str, float] = {}
    for name, kind, make in (("weighing", Weighing, weighing), ("sale", Sale, sale)):
        bodies: Sequence[Body] = [make(number, at) for number in range(records)]
        data = [body.to_data() for body in bodies]
        drafts = [_draft(kind, at, each) for each in data]

        def type_all(make: Any = make) -> None:
            for number in range(records):
                make(number, at).to_data()

        def check_all(data: Any = data, kind: type[Body] = kind) -> None:
            for each in data:
                body_problems(kind, each)

        def draft_all(data: Any = data, kind: type[Body] = kind) -> None:
            for each in data:
                _draft(kind, at, each)

        def dump_all(data: Any = data) -> None:
            for each in data:
                canonical.dumps(each)

        def seal_all(drafts: Any = drafts) -> None:
            _seal(drafts)

        parts = {
            "typing": _thread_us(type_all, records),
            "check": _thread_us(check_all, records),
            "canonical": _thread_us(dump_all, records),
            "hashing": _thread_us(seal_all, records),
        }
        parts["envelope"] = max(0.0, _thread_us(draft_all, records) - parts["canonical"])
        kept = _kept_us(directory, records, drafts.__getitem__)
        parts["keeping"] = max(0.0, kept - parts["hashing"])
        checked = name == "sale"

        def whole(number: int, make: Any = make, kind: type[Body] = kind, checked: bool = checked) -> Draft:
            data = make(number, at).to_data()
            if checked and body_problems(kind, data):
                raise ValueError("the sample is not what a record may hold")
            return _draft(kind, at, data)

        parts["total"] = _kept_us(directory, records, whole)
        figures |= {f"split_{name}_{part}_us": round(value, 2) for part, value in parts.items()}
    return figures


def _draft(kind: type[Body], at: Instant, data: dict[str, Any]) -> Draft:
    return draft(type=kind.TYPE, subject="stall-7", at=at, zone=UTC, data=data)


def _seal(drafts: Sequence[Draft]) -> None:
    previous = GENESIS_HASH
    for sequence, each in enumerate(drafts, 1):
        previous = seal(each, source=_SOURCE, chain="0" * 36, sequence=sequence, prevhash=previous).hash


def _thread_us(work: Callable[[], None], records: int) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best / records * 1e6


def _kept_us(directory: Path, records: int, make: Callable[[int], Draft]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory(dir=directory) as place:
            store = Store.open(Path(place) / "split.db", source=_SOURCE, zone=UTC)
            try:
                began = time.process_time()
                ticket = None
                for number in range(records):
                    ticket = store.submit(make(number), timeout=_PATIENCE)
                if ticket is not None:
                    ticket.wait(_PATIENCE)
                best = min(best, time.process_time() - began)
            finally:
                store.stop(_PATIENCE)
    return best / records * 1e6
