"""The catalogue in the store: versions, what survives, and what becomes of it at stations and in records."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent import clock
from edge_agent.agent import Agent
from edge_agent.office.cataloguer import Cataloguer
from edge_agent.preparing import prepare
from edge_agent.store import CommitFailed, Reader, Store
from edge_agent.store.catalogues import KEPT_VERSIONS, Catalogues

ZONE = ZoneInfo("Asia/Shanghai")
GOODS = (
    "code,name,plu,gtins,price,price_per,order\n01210101,大白菜,12,,2.80,500g,2\nmilk,鲜奶,,6901234567892,12.5,each,1\n"
)
PARTIES = "code,name,position,uscc,contact\n3706025690012,张记蔬菜,A12,91350100M000100Y43,13800138000\n"
CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
[store]
path = "{folder}/records.db"
[[device]]
id = "s"
driver = "st-gs"
port = "memory:s"
[[station]]
id = "A12"
mode = "sale"
devices = ["s"]
party = "3706025690012"
[[station]]
id = "door"
mode = "intake"
devices = ["s"]
"""


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store.open(tmp_path / "records.db", source="/market-1/gw-1", zone=ZONE))
        return opened[-1]

    yield make
    opened[-1].stop()


def cataloguer(store: Store) -> Cataloguer:
    made = Cataloguer(store, ZONE, "gw-1")
    made.open()
    return made


def test_versions_are_kept_and_bad_files_change_nothing(open_store: Callable[[], Store], tmp_path: Path) -> None:
    store = open_store()
    keeper = cataloguer(store)
    assert keeper.take(GOODS.encode("gbk"), source="goods.csv").version == 1
    assert keeper.take(GOODS.encode(), source="again.csv").version == 1  # the same goods: no new version
    bad = keeper.take(GOODS.replace("2.80", "2.805").encode(), source="bad.csv")
    assert (bad.version, [(f.line, f.column) for f in bad.faults]) == (None, [(2, "price")])
    assert keeper.catalogue.versions["goods"] == 1
    assert keeper.take(GOODS.replace("2.80", "3.80").encode(), source="goods2.csv").version == 2
    store.stop()

    store = open_store()
    assert cataloguer(store).catalogue.goods["01210101"].price_fen == 380
    with Reader.open(tmp_path / "records.db") as reader:
        listed = [(v.kind, v.version, v.rows, v.source) for v in reader.catalogue_versions()]
        first = reader.catalogue("goods", 1)
    assert listed == [("goods", 2, 2, "goods2.csv"), ("goods", 1, 2, "goods.csv")]
    assert first is not None
    assert orjson.loads(first.body)[0]["price_fen"] == 280


def test_only_so_many_versions_stay(open_store: Callable[[], Store], tmp_path: Path) -> None:
    store = open_store()
    for number in range(KEPT_VERSIONS + 3):
        version = store.keep_catalogue("prices", b"[%d]" % number, rows=1, source="s", at=clock.now())
        assert version.version == number + 1
    with Reader.open(tmp_path / "records.db") as reader:
        assert len(reader.catalogue_versions()) == KEPT_VERSIONS


def test_what_is_not_kept_in_time_is_not_kept_at_all() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE catalogue (kind, version, time_ms, source, rows, sha256, body)")
    catalogues = Catalogues(connection)
    with pytest.raises(CommitFailed, match="goods were not kept"):
        catalogues.put("goods", b"[]", rows=0, source="s", at=clock.now(), timeout=0.01)
    assert not catalogues.waiting()
    assert catalogues.newest("goods") is None


def test_a_new_store_takes_the_catalogue_of_one_that_was_set_aside(
    open_store: Callable[[], Store], tmp_path: Path
) -> None:
    store = open_store()
    cataloguer(store).take(GOODS.encode(), source="goods.csv")
    store.stop()
    file = tmp_path / "records.db"
    connection = sqlite3.connect(file)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'").fetchone()
    connection.close()
    with file.open("r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(b"\xff" * 4096)
    store = open_store()
    assert list(tmp_path.glob("records.db.*"))
    assert store.head.sequence == 1  # a new chain
    assert cataloguer(store).catalogue.goods["01210101"].name == "大白菜"
    store.stop()
    assert cataloguer(open_store()).catalogue.versions["goods"] == 1  # and now it is its own


def test_a_version_that_was_tampered_with_is_left_out(open_store: Callable[[], Store], tmp_path: Path) -> None:
    store = open_store()
    keeper = cataloguer(store)
    keeper.take(GOODS.encode(), source="g")
    keeper.take(PARTIES.encode(), source="p")
    store.stop()
    connection = sqlite3.connect(tmp_path / "records.db")
    connection.execute(
        "UPDATE catalogue SET body = CAST(replace(CAST(body AS TEXT), '280', '28') AS BLOB) WHERE kind = 'goods'"
    )
    connection.commit()
    connection.close()
    known = cataloguer(open_store()).catalogue
    assert (len(known.goods), list(known.parties)) == (0, ["3706025690012"])


def test_participants_become_records_once_and_their_contacts_never_do(open_store: Callable[[], Store]) -> None:
    store = open_store()
    keeper = cataloguer(store)
    keeper.take(PARTIES.encode(), source="p")
    keeper.take(PARTIES.replace("13800138000", "13900139000").encode(), source="p")  # nothing public changed
    keeper.take(PARTIES.replace("A12", "A13").encode(), source="p")
    bodies = [row.body for row in store.read(1, limit=100)]
    events = [orjson.loads(body) for body in bodies if b"trace.party.v1" in body]
    assert [event["data"]["position"] for event in events] == ["A12", "A13"]
    assert all(event["data"]["uscc"] == "91350100M000100Y43" for event in events)
    assert not [body for body in bodies if b"13800138000" in body or b"13900139000" in body]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    (tmp_path / "agent.toml").write_text(CONFIG.format(folder=tmp_path))
    agent = Agent(*prepare(tmp_path / "agent.toml"))
    agent.start()
    yield agent
    agent.stop()


def body_of(agent: Agent, result: Any) -> Any:
    assert result.refused is None
    row = agent.store.find(result.kept[0]["id"])
    assert row is not None
    return orjson.loads(row.body)["data"]


def test_a_sale_takes_name_and_price_from_the_catalogue_and_shows_the_open_batches(agent: Agent) -> None:
    assert agent.import_catalogue(GOODS.encode(), source="page")["version"] == 1
    agent.import_catalogue(PARTIES.encode())
    agent.import_catalogue(b"goods,since,price\nmilk,2020-01-01,11.00\nmilk,2999-01-01,99\n")
    for named in ("06901234567892", "milk"):  # by article number and by code: the same goods
        agent.command(
            "door", "confirm", {"party": "3706025690012", "goods_code": named, "qty": 5, "batch": f"B-{named}"}
        )
    shown = agent.catalogue("A12")
    assert [item["code"] for item in shown["goods"]] == ["milk", "01210101"]
    milk = shown["goods"][0]
    assert (milk["price_fen"], milk["price_per"], milk["initials"]) == (1100, "each", "xn")
    assert [(b["batch"], b["left_qty"]) for b in milk["batches"]] == [("B-06901234567892", 5), ("B-milk", 5)]
    assert agent.catalogue()["goods"][0]["batches"] == []
    assert shown["parties"][0]["name"] == "张记蔬菜"
    assert "contact" not in shown["parties"][0]
    with pytest.raises(KeyError):
        agent.catalogue("nowhere")

    agent.command("A12", "goods", {"code": "06901234567892"})
    sold = body_of(agent, agent.command("A12", "confirm", {"qty": 2, "batch": "B-milk"}))
    assert (sold["goods_code"], sold["goods_name"], sold["mode"]) == ("milk", "鲜奶", "piece")
    assert (sold["price_fen"], sold["amount_fen"], sold["relief"]) == (1100, 2200, False)
    agent.command("A12", "goods", {"code": "milk", "price_fen": 110})
    sold = body_of(agent, agent.command("A12", "confirm", {"batch": "B-milk"}))
    assert "price_suspect" in sold["flags"]


def test_a_new_catalogue_reaches_a_running_station_and_the_board(agent: Agent) -> None:
    with agent.watch() as watcher:
        agent.import_catalogue(GOODS.encode())
        assert any(event.topic == "catalogue" for event in watcher.take(20.0))
    agent.command("A12", "goods", {"code": "milk"})
    assert body_of(agent, agent.command("A12", "confirm", {}))["goods_name"] == "鲜奶"
    faults = agent.import_catalogue(b"code,name,plu\nx,,\n")
    assert (faults["version"], [f["column"] for f in faults["faults"]]) == (None, ["name"])
    with pytest.raises(ValueError, match="no kind of catalogue"):
        agent.import_catalogue(b"", kind="fruit")
