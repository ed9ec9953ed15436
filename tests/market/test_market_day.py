"""A day in a market, through the real store, stations in their threads, a real broker and the city's stand-in.

Five stalls, an intake door, a test bench and a dock work on one box: 3 intakes and an imported lot, 2 transfers, an
inspection that fails and one that releases, 400 sales by weight, by a price-computing scale and by the piece, 6
voids, 2 returns; the box is restarted at noon. The test keeps its own account of every batch beside the agent's.
"""

from __future__ import annotations

import contextlib
import csv
import io
import random
import sqlite3
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import orjson
import others_tools
import pytest
import rfc8785
from jsonschema import Draft202012Validator
from real_broker import Mosquitto

from edge_agent.board import Board
from edge_agent.cli.app import run
from edge_agent.exports import epcis, national, table
from edge_agent.exports.national import Place, profile_of
from edge_agent.exports.standings import Corrections
from edge_agent.health import Health
from edge_agent.model import Command, Instant, Observation, Reading
from edge_agent.office.bookkeeper import Bookkeeper
from edge_agent.records import canonical, corrections
from edge_agent.records.bodies import BODIES
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import GENESIS_HASH, hash_of
from edge_agent.records.schemas import record_schema
from edge_agent.station import Books, Settings, make_station
from edge_agent.station.books import Entry
from edge_agent.station.weigh_cycle import CycleRules
from edge_agent.store import Store
from edge_agent.supervisor import StationRunner
from edge_agent.uplink import Identity, LinkSettings, Relay
from hwsim import cli as hwsim
from hwsim.city import City

ZONE = ZoneInfo("Asia/Shanghai")
PROFILE = resources.files("edge_agent.exports") / "profiles" / "meat-vegetables.toml"
RECORD = Draft202012Validator(record_schema())
OPENING = ("receiving", "storing")  # how a batch comes in
SOURCE = "/market-1/gw-1"
OPENS_MS = 1_795_384_800_000  # 2026-11-23 06:00 in Shanghai
SALES = 400
KG = 1_000_000
STALLS = {f"stall-{n}": f"37060256900{n:02d}" for n in range(1, 6)}
GOODS = {
    "stall-1": ("01210101", "大白菜", 280, "500g"),
    "stall-2": ("21113001", "猪前腿肉", 2600, "kg"),
    "stall-3": ("egg", "鸡蛋", 120, "each"),
    "stall-4": ("9421025231216", "进口奶粉", 16800, "each"),
    "stall-5": ("01350101", "苹果", 990, "kg"),
}
RULES = CycleRules(
    min_load=20_000, zero_band=5_000, stable_ms=300, stable_band=2_000, stable_readings=2, additions=False
)


class Market:
    """The box in the market, and hands that work on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._steps = 0
        self._random = random.Random(11)
        self.account: Counter[str] = Counter()  # what the test reckons to be left, by goods: mg or pieces
        self.sales: list[dict[str, Any]] = []
        self.codes: list[str] = []
        self.start()

    def start(self) -> None:
        self.store = Store.open(self._folder / "records.db", source=SOURCE, zone=ZONE)
        self.keeper = Bookkeeper(self.store)
        self.store.on_kept(self.keeper.kept)
        self.keeper.open()
        board, health = Board(), Health()
        modes = {**dict.fromkeys(STALLS, "sale"), "door": "intake", "bench": "inspection", "dock": "transfer"}
        self.stations = {
            name: StationRunner(name, self._maker(name, mode), self.store, self.keeper, board, health)
            for name, mode in modes.items()
        }
        for runner in self.stations.values():
            runner.start()

    def _maker(self, name: str, mode: str) -> Callable[[], Any]:
        settings = Settings(
            id=name,
            mode=mode,
            zone=ZONE,
            rules=RULES,
            party=STALLS.get(name),
            scales=(f"scale-{name}",),
            crates={"blue": 2 * KG},
        )
        return lambda: make_station(settings, self.keeper.books)

    def stop(self) -> None:
        for runner in self.stations.values():
            runner.stop()
        assert all(runner.join(10) for runner in self.stations.values())
        self.keeper.close(5.0)
        self.store.stop()

    def now(self, seconds: int = 1) -> Instant:
        self._steps += seconds
        return Instant(wall_ms=OPENS_MS + self._steps * 1000, mono_ms=self._steps * 1000, boot="b", synced=True)

    # -- hands -----------------------------------------------------------------------------------------------------

    def load(self, station: str, text: str, **more: Any) -> None:
        device = f"scale-{station}"
        for shown, told in (("0.000", {}), ("0.000", {}), (text, more), (text, more)):
            reading = Reading(weight=shown, unit="kg", basis="gross", stability="stable", raw=shown.encode(), **told)
            observation = Observation(device=device, driver="d", at=self.now(), event=reading)
            assert self.stations[station].mailbox.put(observation)

    def ask(self, station: str, name: str, /, **arguments: Any) -> tuple[str | None, list[dict[str, Any]]]:
        command = Command(name=name, at=self.now(), arguments=arguments, operator="03")
        outcome, kept = self.stations[station].command(command, 30)
        rows = [self.store.find(str(each.sequence)) for each in kept]
        events = [orjson.loads(row.body) for row in rows if row is not None]
        return (outcome.refused.code if outcome.refused else None), events

    def do(self, station: str, name: str, /, **arguments: Any) -> list[dict[str, Any]]:
        refused, events = self.ask(station, name, **arguments)
        assert refused is None, (station, name, refused)
        return events

    # -- the day ---------------------------------------------------------------------------------------------------

    def morning(self) -> None:
        vouchers = [{"type": "4", "no": "CD-1"}, {"type": "commitment", "url": "https://certificate.example/1"}]
        self.batches = {}
        self.load("door", "408.0")
        self.do("door", "tare", crate="blue", count=4)
        self.take_in("stall-1", vouchers=vouchers, origin_code="370602", supplier="3706025690777")
        pork = [{"type": "2", "no": "JY-1"}, {"type": "3", "no": "RP-1"}]
        self.take_in("stall-2", vouchers=pork, net_mg=300 * KG, batch="PIG-2026-11-23")
        self.take_in("stall-3", vouchers=vouchers, qty=1_200, upstream_trace="37060256907770000058")
        self.do("door", "import", country="NZ", importer="某某进出口公司", entry_no="022026", port="烟台")
        self.take_in("stall-4", qty=200, lot="NZ-77")
        fruit = self.do(
            "dock",
            "confirm",
            direction="in",
            document_no="D-1",
            from_place="仓库",
            to_party=STALLS["stall-5"],
            goods_code=GOODS["stall-5"][0],
            goods_name=GOODS["stall-5"][1],
            net_mg=400 * KG,
            batch="APPLE-1",
        )
        self.account["stall-5"] = 400 * KG
        self.batches["stall-5"] = fruit[0]["data"]["batch"]
        self.account["stall-1"] = 400 * KG

    def take_in(self, stall: str, **more: Any) -> None:
        code, name, _, _ = GOODS[stall]
        event = self.do("door", "confirm", party=STALLS[stall], goods_code=code, goods_name=name, **more)[0]
        self.batches[stall] = event["data"]["batch"]
        self.account[stall] = more.get("net_mg", more.get("qty", 0))

    def sell(self, number: int) -> None:
        stall = f"stall-{number % 5 + 1}"
        code, _, price, per = GOODS[stall]
        if number % 40 == 1:  # herbs that nobody took in
            self.do(stall, "goods", code="herbs", price_fen=100, price_per="each")
            self._sold(stall, self.do(stall, "confirm", qty=1)[0], None)
            return
        self.do(stall, "goods", code=code, price_fen=price if per == "each" else None, price_per=per)
        if per == "each":
            pieces = self._random.randint(1, 2)
            self._sold(stall, self.do(stall, "confirm", qty=pieces)[0], pieces)
            return
        grams = self._random.randrange(200, 3_000, 5)
        kilogram = price * 2 if per == "500g" else price
        amount = (2 * grams * kilogram + 1000) // 2000  # half up, as the scale does it
        own = {"unit_price": f"{price / 100:.2f}", "amount": f"{amount / 100:.2f}"} if number % 2 else {}
        if not own:
            self.do(stall, "goods", code=code, price_fen=price, price_per=per)
        self.load(stall, f"{grams / 1000:.3f}", **own)
        event = self.do(stall, "confirm")[0]
        data = event["data"]
        assert (data["net_mg"], data["amount_fen"]) == (grams * 1000, amount)
        assert data["amount_source"] == ("device" if own else "agent")
        assert "amount_mismatch" not in data["flags"]
        self._sold(stall, event, grams * 1000)

    def _sold(self, stall: str, event: dict[str, Any], amount: int | None) -> None:
        data = event["data"]
        assert data["batch"] == (None if amount is None else self.batches[stall])
        assert ("no_upstream" in data["flags"]) == (amount is None)
        assert data["seller"] == STALLS[stall]
        self.codes.append(data["trace_code"])
        self.sales.append(event)
        self.account[stall] -= amount or 0

    def correct(self, kind: str, number: int, **details: Any) -> None:
        """Void or return the sale of a number, as the corrector does; at a time of the day that is played."""
        sale = self.sales[number]
        stall, data = sale["subject"], sale["data"]
        occasion = corrections.Occasion(at=self.now(), zone=ZONE, reason="顾客退货", operator="03")
        if kind == "void":
            draft = corrections.void(sale, [], occasion)
            self.account[stall] += data["qty"] if data["mode"] == "piece" else data["net_mg"]
        else:
            draft = corrections.give_back(sale, [], occasion, **details)
            self.account[stall] += details.get("qty", details.get("net_mg", 0))
        self.store.keep(draft)

    def stop_and_release(self) -> None:
        """The pork fails its test at noon, is refused at the counter, passes the second test and is sold again."""
        batch = self.batches["stall-2"]
        item = {"project": "盐酸克伦特罗", "method": "胶体金", "value": "阳性", "limit": "阴性"}
        failed, stop = self.do("bench", "confirm", batch=batch, check_no="C-1", items=[item | {"result": "fail"}])
        assert (failed["data"]["party"], stop["data"]["inspection"]) == (STALLS["stall-2"], failed["id"])
        self.do("stall-2", "goods", code=GOODS["stall-2"][0], price_fen=2600)
        self.load("stall-2", "1.000")
        refused, events = self.ask("stall-2", "confirm")
        assert (refused, [e["type"] for e in events]) == ("stopped", ["trace.recall_hit.v1"])
        assert events[0]["data"]["remaining_mg"] == self.account["stall-2"]
        again = item | {"value": "阴性", "result": "pass"}
        assert len(self.do("bench", "confirm", batch=batch, check_no="C-2", items=[again])) == 1
        self.do("bench", "release", stop_sale=stop["id"], reason="复检合格")
        self.do("stall-2", "clear")

    def play(self, at_noon: Callable[[Market], None]) -> None:
        self.morning()
        for number in range(SALES):
            self.sell(number)
            if number % 60 == 59:
                self.correct("void", number - 5)
            if number == 150:
                self.stop_and_release()
            if number == SALES // 2:
                at_noon(self)
        self.correct("return", 100, net_mg=100_000)
        eggs = next(s for s in reversed(self.sales) if s["subject"] == "stall-3" and s["data"]["batch"])
        back = self.do("stall-3", "return", sale=eggs["data"]["trace_code"], reason="破损", qty=1, goods_go="stock")
        assert back[0]["data"]["corrects"] == eggs["id"]
        self.account["stall-3"] += 1
        rest = self.account["stall-1"] - 5 * KG
        self.do("dock", "set", direction="out", from_party=STALLS["stall-1"], to_place="社区食堂", document_no="D-2")
        self.do("dock", "confirm", batch=self.batches["stall-1"], net_mg=rest)
        self.account["stall-1"] -= rest

    def restart(self) -> None:
        self.stop()
        self.start()


# -- the platform ----------------------------------------------------------------------------------------------------


def stored(database: Path) -> list[dict[str, Any]]:
    """What the platform has accepted, in the order of the chain."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT body FROM records ORDER BY chain, sequence").fetchall()
    return [orjson.loads(body) for (body,) in rows]


def balances(books: Books) -> dict[str, tuple[int, int]]:
    return {account.batch: (account.left_mg, account.left_qty) for account in books.batches}


def folded(events: list[dict[str, Any]]) -> Books:
    books = Books()
    for event in events:
        entry = Entry.of_body(orjson.dumps(event))
        wanted = books.wanted(entry)
        books.fold(entry, None if wanted is None else Entry.of_body(orjson.dumps(events[wanted - 1])))
    return books


def comparable(events: list[dict[str, Any]]) -> list[Any]:
    """The same day has the same records, but for ids, the chain's name, and its beginning before the day began."""
    text = orjson.dumps([{k: v for k, v in e.items() if k not in ("hash", "prevhash", "chain")} for e in events[1:]])
    for event in events:
        text = text.replace(event["id"].encode(), b"record " + event["sequence"].encode())
    return orjson.loads(text.replace(events[0]["chain"].encode(), b"chain"))  # type: ignore[no-any-return]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.kill()


def by_courier(market: Market, folder: Path) -> None:
    """What the box kept goes to the platform on a stick, and the platform's verdicts come back on it."""
    config, stick = folder / "agent.toml", folder / "stick.courier"
    config.write_text(f'[gateway]\nid = "gw-1"\nsite = "market-1"\n[store]\npath = "{folder / "records.db"}"\n')
    assert run(["buffer", "export", str(stick), "--config", str(config)]) == 0
    hwsim.main(["city", "--import", str(stick), "--store", f"sqlite:{folder}/city.db"], standalone_mode=False)
    market.stop()
    assert run(["buffer", "import", f"{stick}.verdicts", "--config", str(config)]) == 0
    market.start()
    counts = market.store.outbox().counts()
    assert (counts.delivered, counts.pending) == (market.store.head.sequence, 0)


def a_day(
    folder: Path, broker: Mosquitto, *, offline: bool, courier: bool = False
) -> tuple[Market, list[dict[str, Any]]]:
    """Play the day with the link up (but for an outage), or without one; deliver all; return what the platform has."""
    folder.mkdir()
    market = Market(folder)
    link: list[Relay] = []

    def connect() -> None:
        settings = LinkSettings(
            host="127.0.0.1", port=broker.port, progress_timeout=2.0, connect_timeout=2.0, reconnect_max=0.2
        )
        relay = Relay(market.store, settings, Identity(site="market-1", gateway="gw-1", source=SOURCE, zone=ZONE))
        relay.start()
        link.append(relay)

    def at_noon(market: Market) -> None:
        if link:
            broker.kill()
            assert link.pop().stop(10)
        market.restart()
        if not offline:
            broker.start()
            connect()

    with City(broker.address, store=folder / "city.db", client_id=f"city-{folder.name}") as city:
        if not offline:
            connect()
        market.play(at_noon)
        if offline:
            assert city.stats.received == 0
        if courier:
            by_courier(market, folder)
            return market, stored(folder / "city.db")
        if offline:
            connect()
        head = market.store.head.sequence
        stats = city.wait(lambda s: s.distinct == head, 60)
        assert link.pop().stop(10)
        assert (stats.gaps, stats.rejected, stats.chain_ok, stats.malformed) == (0, 0, True, 0)
    return market, stored(folder / "city.db")


def check(market: Market, events: list[dict[str, Any]]) -> None:
    """Records, links, trace codes, balances and chain of a day."""
    types = Counter(event["type"].split(".")[1] for event in events)
    assert types == {
        "chain": 1,
        "intake": 4,
        "transfer": 2,
        "sale": SALES,
        "void": 6,
        "return": 2,
        "inspection": 2,
        "stop_sale": 1,
        "recall_hit": 1,
        "release": 1,
    }
    for event in events:
        assert body_problems(BODIES[event["type"]], event["data"]) == [], event["type"]
        assert list(RECORD.iter_errors(event)) == [], event["type"]
        assert canonical.dumps(event) == rfc8785.dumps(event)

    opened = {e["data"]["batch"] for e in events if e["type"] in ("trace.intake.v1", "trace.transfer.v1")}
    linked = [e for e in events if e["type"] == "trace.sale.v1" and e["data"]["batch"] in opened]
    assert len(linked) * 100 >= SALES * 95
    assert sum(e["data"]["mode"] == "piece" for e in linked) > 100

    assert len(set(market.codes)) == SALES
    assert all(e["data"]["trace_code"].startswith(e["data"]["seller"]) for e in linked)

    expected = {
        batch: (0, market.account[stall]) if GOODS[stall][3] == "each" else (market.account[stall], 0)
        for stall, batch in market.batches.items()
    }
    assert balances(folded(events)) == expected  # by the platform's records alone
    with market.keeper.turn() as books:
        assert balances(books) == expected  # on the box, after its restart
    assert expected[market.batches["stall-1"]] == (5 * KG, 0)

    check_exports(market, events)

    before = GENESIS_HASH
    for number, event in enumerate(events, 1):
        assert (int(event["sequence"]), event["prevhash"], event["hash"]) == (number, before, hash_of(event))
        before = event["hash"]


def epcis_document(events: list[dict[str, Any]]) -> bytes:
    """The day as EPCIS."""

    def read(sequence: int) -> dict[str, Any]:
        return events[sequence - 1]

    corrections = Corrections.among(events, read)
    created = "2026-11-23T20:00:00.000+08:00"
    return b"".join(
        epcis.document(events, created=created, corrections=corrections, read=read, selected=lambda _: True)
    )


def exports(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Each export of a day, read back."""

    def read(sequence: int) -> dict[str, Any]:
        return events[sequence - 1]

    found = Corrections.among(events, read)
    csv_bytes = b"".join(table.document(events, corrections=found, language="zh"))
    profile = profile_of(tomllib.loads(PROFILE.read_text(encoding="utf-8")), "profile")
    place = Place(site="market-1", node_type="wet-market", market_id="370602001", market_name="城北市场")
    xml_bytes = b"".join(
        national.document(events, profile=profile, place=place, corrections=found, created="2026-11-23")
    )
    return {
        "csv": list(csv.DictReader(io.StringIO(csv_bytes.decode("utf-8-sig"), newline=""))),
        "epcis": orjson.loads(epcis_document(events))["epcisBody"]["eventList"],
        "xml": [(e.tag, {c.tag: c.text or "" for c in e}) for e in ElementTree.fromstring(xml_bytes)],
    }


def comparable_exports(events: list[dict[str, Any]]) -> Any:
    """The exports of a day without what no two days have in common: ids, hashes, the name of the chain."""
    out = exports(events)
    for row in out["csv"]:
        del row["校验值"]
    for event in out["epcis"]:
        del event["eventID"], event["trace:recordHash"]
    out["csv"], out["epcis"] = out["csv"][1:], out["epcis"][1:]  # the chain began when the test did
    text = orjson.dumps(out)
    for event in events:
        text = text.replace(event["id"].encode(), b"record " + event["sequence"].encode())
    return orjson.loads(text.replace(events[0]["chain"].encode(), b"chain"))


def milligrams(text: str) -> int:
    return int(Decimal(text or 0) * KG)


def check_exports(market: Market, events: list[dict[str, Any]]) -> None:
    """Counts, sums, links, voids and returns of a day in each of its exports, against the test's own account."""
    out = exports(events)
    sales = [sale for sale in market.sales if sale["data"]["batch"]]
    taken_in = {"stall-1": 400 * KG, "stall-2": 300 * KG, "stall-3": 1_200, "stall-4": 200, "stall-5": 400 * KG}
    moved = {"stall-1": taken_in["stall-1"] - market.account["stall-1"] - sum_sold(out["csv"], "stall-1")}
    assert moved["stall-1"] > 0  # what went to the canteen, by the transfer
    transfer = next(row for row in out["csv"] if row["移入方"] == "社区食堂")
    assert milligrams(transfer["净重(千克)"]) == moved["stall-1"]
    for stall, came in taken_in.items():
        assert came - sum_sold(out["csv"], stall) - moved.get(stall, 0) == market.account[stall], stall
    assert Counter(row["状态"] for row in out["csv"]) == {
        "有效": len(events) - 8,
        "已作废": 6,
        "有退货": 2,
    }

    steps = Counter(event.get("bizStep") for event in out["epcis"])
    assert len(out["epcis"]) == len(events)
    herbs = sum(sale["data"]["goods_code"] == "herbs" for sale in market.sales)
    assert steps["retail_selling"] == SALES + 6  # each void repeats its sale
    declared = [event for event in out["epcis"] if "errorDeclaration" in event]
    assert len(declared) == 6
    assert {event["eventID"] for event in declared} <= {
        e["eventID"] for e in out["epcis"] if "errorDeclaration" not in e
    }
    opened = {each["epcClass"] for e in out["epcis"] if e.get("bizStep") in OPENING for each in e["quantityList"]}
    sold = [e for e in out["epcis"] if e.get("bizStep") == "retail_selling" and e not in declared]
    linked = [e for e in sold if e["quantityList"][0]["epcClass"] in opened]
    assert (len(linked), len(sold) - len(linked)) == (len(sales), herbs)

    tags = Counter(tag for tag, _ in out["xml"])
    whole = sum(row["状态"] == "有退货" and row["计入件数"] == "0" for row in out["csv"])
    assert tags == {
        "retail_market_in_info_base": 4,
        "retail_market_in_info_detail": 4,
        "retail_market_tran_info_summ": SALES - 6 - whole,
        "withdrawn": 6 + whole,
        "detection_info": 2,
    }
    weights = sum(milligrams(c["weight"]) for tag, c in out["xml"] if tag == "retail_market_tran_info_summ")
    assert weights == sum(milligrams(row["计入重量(千克)"]) for row in out["csv"])
    assert len({c["sale_tran_id"] for tag, c in out["xml"] if "sale_tran_id" in c}) == SALES


def sum_sold(rows: list[dict[str, str]], stall: str) -> int:
    """What of the sales of a stall's batch still stands, by the columns that may be added up."""
    mine = [row for row in rows if row["工位"] == stall and row["类型"] == "销售" and row["批次"]]
    if GOODS[stall][3] == "each":
        return sum(int(row["计入件数"] or 0) for row in mine)
    return sum(milligrams(row["计入重量(千克)"]) for row in mine)


def test_a_day_in_a_market_gives_the_same_platform_state_online_offline_and_by_courier(
    tmp_path: Path, broker: Mosquitto
) -> None:
    days = []
    for name in ("online", "offline", "courier"):
        market, events = a_day(tmp_path / name, broker, offline=name != "online", courier=name == "courier")
        check(market, events)
        market.stop()
        days.append((comparable(events), comparable_exports(events)))
    for records, views in days[1:]:
        assert records == days[0][0]
        assert views == days[0][1]


def test_others_tools_take_the_day(tmp_path: Path, broker: Mosquitto) -> None:
    market, events = a_day(tmp_path / "day", broker, offline=False)
    market.stop()
    file = tmp_path / "day.jsonld"
    file.write_bytes(epcis_document(events))
    assert others_tools.epcis2js(file) == [{"problems": [], "events": len(events)}]
    ours = [event["eventID"] for event in exports(events)["epcis"]]
    assert ours == others_tools.generated_ids(file.read_bytes())
