"""The ingest benchmark measures what it says; how fast is not tested here."""

from __future__ import annotations

import json
from pathlib import Path

from edge_agent import clock
from edge_agent.bench import ingest, split
from edge_agent.records.bodies import Sale, Weighing
from edge_agent.records.check import body_problems
from edge_agent.store import baseline


def test_ingest_1(tmp_path: Path) -> None:
    figures = ingest.ingest_1(tmp_path, rounds=2, records=10)
    assert figures.keys() == {"fdatasync_per_s", "ingest_1_per_s", "ingest_1_vs_fdatasync"}
    assert all(value > 0 for value in figures.values())
    assert not list(tmp_path.iterdir())


def test_ingest_group(tmp_path: Path) -> None:
    figures = ingest.ingest_group(tmp_path, rounds=1, records=2000)
    assert figures["ingest_group_vs_executemany"] == figures["ingest_group_per_s"] / figures["executemany_per_s"]
    assert not list(tmp_path.iterdir())


def test_disk_bytes(tmp_path: Path) -> None:
    figures = ingest.disk_bytes(tmp_path, records=200)
    assert figures.keys() == {"disk_bytes_per_record", "disk_bytes_per_record_alone"}


def test_the_baseline_writes_the_same_bytes(tmp_path: Path) -> None:
    bodies = ingest.sealed_bodies(ingest.sample_drafts(3))
    assert baseline.executemany_per_s(tmp_path / "s.db", bodies, per_commit=2) > 0
    events = [json.loads(body) for body in bodies]
    assert [event["sequence"] for event in events] == [f"{n:016d}" for n in (1, 2, 3)]
    assert events[2]["prevhash"] == events[1]["hash"]


def test_the_split_of_one_records_cost(tmp_path: Path) -> None:
    figures = split.measure(tmp_path, records=200)
    parts = ("typing", "check", "canonical", "envelope", "hashing", "keeping", "total")
    assert figures.keys() == {f"split_{name}_{part}_us" for name in ("weighing", "sale") for part in parts}
    assert all(value >= 0 for value in figures.values())
    for kind, body in ((Weighing, split.weighing), (Sale, split.sale)):
        assert body_problems(kind, body(1, clock.now()).to_data()) == []
