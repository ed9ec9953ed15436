"""A dock door as it is at work: a network reader, the whole agent, records in its store."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hwsim.rfid.field import Field, make_tags
from hwsim.rfid.llrp import LlrpReader
from tests.faults.conftest import AgentProcess
from tests.readers.gate import gate_config


class Dock:
    def __init__(self, folder: Path, field: Field, lost_ms: int) -> None:
        self.reader = LlrpReader(field).start()
        self.agent = AgentProcess(folder, gate_config(self.reader.name, tag_lost_ms=lost_ms)).start()

    def records(self) -> list[dict[str, Any]]:
        """The bodies of the tag records in the store."""
        with contextlib.closing(sqlite3.connect(f"file:{self.agent.database}?mode=ro", uri=True)) as connection:
            events = [json.loads(row[0]) for row in connection.execute("SELECT body FROM records ORDER BY sequence")]
        return [event["data"] for event in events if event["type"] == "trace.tag.v1"]

    def states(self) -> list[tuple[str, str]]:
        return [(e["state"], e["reason"]) for e in self.agent.log() if e["event"] == "device.state"]

    def close(self) -> None:
        self.agent.stop()
        self.reader.stop()


@pytest.fixture
def dock(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Dock]:
    field, lost_ms = request.param
    made = Dock(tmp_path, field(), lost_ms)
    yield made
    made.close()


def full_door() -> Field:
    """Three hundred tags that stay for good, 500 reads a second, three in ten missed."""
    return Field(make_tags(300, antennas=4), missed=0.3, noise_db=3.0, rate=500.0)


def passing() -> Field:
    """Sixty tags that pass within a second and are gone."""
    return Field(make_tags(60, antennas=4, stay=1.5, away=3600.0), missed=0.3, noise_db=3.0, rate=500.0)


@pytest.mark.parametrize("dock", [(passing, 1_000)], indirect=True)
def test_goods_that_pass_are_one_record_each(dock: Dock) -> None:
    dock.agent.wait(lambda: dock.agent.count("record.kept") >= 61, 30, "every tag is recorded")
    records = dock.records()
    assert Counter(record["tag_id"] for record in records) == Counter({r["tag_id"]: 1 for r in records})
    assert len(records) == 60
    assert sum(record["reads"] for record in records) == dock.reader.reports
    for record in records:
        assert record["class"] == "epc"
        assert record["fields"]["gtin"]
        assert record["first"] < record["last"]


@pytest.mark.parametrize("dock", [(full_door, 10_000)], indirect=True)
def test_a_full_door_keeps_up_and_survives_its_reader(dock: Dock) -> None:
    reader, agent = dock.reader, dock.agent
    agent.wait(lambda: reader.reports > 1_500, 30, "it reads")
    reader.silence()
    agent.wait(lambda: any("fallen silent" in reason for _, reason in dock.states()), 30, "the silence is noticed")
    assert ("lost", "unplugged or gone: the reader has fallen silent: no keepalive came") in dock.states()
    reader.hold()
    reader.speak()
    agent.wait(lambda: reader.refused >= 2, 30, "it is refused")
    assert any("in use by another program: the reader is connected to another client" in r for _, r in dock.states())
    reader.hold(False)
    before = reader.reports
    agent.wait(lambda: reader.reports > before + 500, 30, "it reads again")
    assert dock.records() == []  # all are in view all the time
    assert agent.terminate() == 0
    records = dock.records()
    assert len({record["tag_id"] for record in records}) == len(records) == 300
    # What was on its way when the connection ended is not read, and nothing is read twice.
    told = sum(record["reads"] for record in records)
    assert 0.8 * reader.reports < told <= reader.reports
    assert reader.wrong == []
