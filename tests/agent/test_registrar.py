"""The ledger: events on the chain, flags that follow from them, and what survives a set-aside store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent import clock
from edge_agent.ledger import Asset, event, fact_problems, flags, fold_all, setup_text
from edge_agent.model import Instant
from edge_agent.office.registrar import Configured, Registrar, ledger_file
from edge_agent.records.bodies import BODIES
from edge_agent.records.check import body_problems
from edge_agent.store import Store

ZONE = ZoneInfo("Asia/Shanghai")
SETUP = setup_text("st-gs", None, {})
DEVICES = {
    "scale-1": Configured(kind="scale", setup=SETUP, facts={"maker": "T-Scale"}),
    "scanner-1": Configured(kind="scanner", setup="serial-scanner", facts={}),
}


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store.open(tmp_path / "records.db", source="/s/g", zone=ZONE))
        return opened[-1]

    yield make
    for store in opened[-1:]:
        store.stop()


def registrar(store: Store, **changes: Any) -> Registrar:
    scale = replace(DEVICES["scale-1"], **changes)
    made = Registrar(store, ZONE, {**DEVICES, "scale-1": scale})
    made.open()
    return made


def at(text: str) -> Instant:
    wall = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    return Instant(wall_ms=wall, mono_ms=1, boot="b", synced=True)


def test_a_scale_is_uncommissioned_until_it_passed_and_only_with_that_setup(open_store: Callable[[], Store]) -> None:
    store = open_store()
    ledger = registrar(store)
    now = clock.now()
    assert ledger.flags("scale-1", now) == ("uncommissioned",)
    assert ledger.flags("scanner-1", now) == ()
    ledger.set("scale-1", {"commissioning": "failed"})
    assert ledger.flags("scale-1", now) == ("uncommissioned",)
    ledger.set("scale-1", {"commissioning": "passed", "verified_until": "2099-01-01"})
    assert ledger.flags("scale-1", now) == ()
    assert registrar(store, setup=setup_text("st-gs", "g", {})).flags("scale-1", now) == ("uncommissioned",)
    ledger.set("scale-1", {"state": "repair"})
    ledger.set("scale-1", {"state": "in-use"})
    assert ledger.flags("scale-1", now) == ("uncommissioned",)


def test_verification_runs_out_at_the_end_of_its_last_day(open_store: Callable[[], Store]) -> None:
    ledger = registrar(open_store())
    ledger.set("scale-1", {"commissioning": "passed"})
    assert ledger.flags("scale-1", at("2026-01-01T00:00")) == ("scale_unverified",)  # none is on file
    ledger.set("scale-1", {"verified_until": "2026-03-31"})
    assert ledger.flags("scale-1", at("2026-03-31T15:59")) == ()  # 23:59 in Shanghai
    assert ledger.flags("scale-1", at("2026-03-31T16:00")) == ("scale_unverified",)
    ledger.set("scale-1", {"verified_until": "2027-03-31", "seal_ok": False})
    assert ledger.flags("scale-1", at("2026-03-31T15:59")) == ("scale_unverified",)
    ledger.set("scale-1", {"compulsory": False})
    assert ledger.flags("scale-1", at("2026-03-31T15:59")) == ()


def test_events_are_records_on_the_chain_and_fold_to_the_same_ledger(open_store: Callable[[], Store]) -> None:
    store = open_store()
    ledger = registrar(store)
    ledger.set("scale-1", {"serial_no": "A1", "max_mg": 15_000_000}, operator="07")
    ledger.set("scale-1", {"commissioning": "passed", "reason": "new"})
    ledger.set("scale-1", {"seal_no": "S-9"})
    events = [orjson.loads(row.body) for row in store.read(1, limit=100)]
    mine = [each for each in events if each["type"] == "trace.device_state.v1"]
    assert [each["subject"] for each in mine] == ["scale-1"] * 3
    assert all(body_problems(BODIES[each["type"]], each["data"]) == [] for each in mine)
    assert mine[1]["data"]["setup"] == SETUP
    folded = fold_all(events)["scale-1"]
    assert dict(folded.facts) == {"serial_no": "A1", "max_mg": 15_000_000, "seal_no": "S-9"}
    assert ledger.asset("scale-1").facts == {"maker": "T-Scale", **folded.facts}
    assert folded.commissioned == SETUP


def test_the_ledger_outlives_the_agent_and_a_store_set_aside(open_store: Callable[[], Store], tmp_path: Path) -> None:
    store = open_store()
    registrar(store).set("scale-1", {"commissioning": "passed", "verified_until": "2099-01-01"})
    store.stop()
    ledger_file(tmp_path / "records.db").unlink()
    store = open_store()
    assert registrar(store).flags("scale-1", clock.now()) == ()  # from the store's note
    registrar(store).set("scale-1", {"seal_no": "1"})
    store.stop()
    for file in tmp_path.glob("records.db*"):
        if not file.name.endswith(".ledger"):
            file.write_bytes(b"not a database" * 1000)
    store = open_store()
    assert store.head.sequence == 1
    assert registrar(store).flags("scale-1", clock.now()) == ()  # from the file beside it


def test_what_is_no_fact_is_refused_with_what_would_be_right() -> None:
    problems = {name: (what, hint) for name, what, hint in fact_problems({"wheels": 4, "max_mg": "15", "maker": ""})}
    assert problems["wheels"][0] == "is no fact of the ledger"
    assert "maker" in problems["wheels"][1]
    assert problems["max_mg"][1] == "a whole number of milligrams"
    assert problems["maker"][0] == "must not be empty"
    assert [name for name, _, _ in fact_problems({"verified_until": "2027-02-30"})] == ["verified_until"]
    assert fact_problems({"accuracy_class": "V"})[0][2] == "one of I, II, III, IIII"
    common: Any = {"clock": {"synced": True, "boot": "b", "mono_ms": 1}}
    with pytest.raises(ValueError, match="in-use, idle"):
        event(Asset(device="x"), {"state": "lost"}, **common)


def test_flags_of_other_kinds_are_none() -> None:
    assert flags(Asset(device="x"), kind="rfid", setup="x", day=date(2026, 1, 1)) == ()
