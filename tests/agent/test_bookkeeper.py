"""The bookkeeper on the real store: books over restarts, what others keep, and numbers that are durable in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent.model import Command, Instant, Observation, PushedSale
from edge_agent.office import bookkeeper as module
from edge_agent.office.bookkeeper import BALANCES, Bookkeeper
from edge_agent.office.corrector import Corrector
from edge_agent.records.bodies import StopSale, clock_facts
from edge_agent.records.envelope import draft
from edge_agent.station import Settings, make_station
from edge_agent.station.weigh_cycle import CycleRules
from edge_agent.store import Store

ZONE = ZoneInfo("Asia/Shanghai")
STALL = "3706025690012"
RULES = CycleRules(
    min_load=20_000, zero_band=5_000, stable_ms=300, stable_band=2_000, stable_readings=2, additions=True
)


class Box:
    """A store with its bookkeeper, and stations that are told what to do."""

    def __init__(self, path: Path, instants: Callable[[], Instant]) -> None:
        self._path = path
        self._now = instants
        self.start()

    def start(self) -> Box:
        self.store = Store.open(self._path, source="/market-1/gw-1", zone=ZONE)
        self.keeper = Bookkeeper(self.store)
        self.store.on_kept(self.keeper.kept)
        self.keeper.open()
        self.stations = {
            mode: make_station(Settings(id=mode, mode=mode, zone=ZONE, rules=RULES, party=STALL), self.keeper.books)
            for mode in ("intake", "sale", "inspection")
        }
        return self

    def stop(self, *, in_order: bool = True) -> Box:
        if in_order:
            self.keeper.close(5.0)
        self.store.stop()
        return self

    def do(self, mode: str, name: str, **arguments: Any) -> list[dict[str, Any]]:
        with self.keeper.turn():
            outcome = self.stations[mode].command(Command(name=name, at=self._now(), arguments=arguments))
            self.keeper.post(outcome.drafts)
        assert outcome.refused is None, outcome.refused
        kept = [self.store.submit(each) for each in outcome.drafts]
        for ticket in kept:
            ticket.wait(10)
        return [{"id": each.id, **orjson.loads(each.data)} for each in outcome.drafts]

    def take_in(self, pieces: int = 1_000) -> str:
        return str(self.do("intake", "confirm", goods_code="egg", qty=pieces)[0]["batch"])

    def sell(self, pieces: int = 1) -> dict[str, Any]:
        self.do("sale", "goods", code="egg", price_fen=100, price_per="each")
        return self.do("sale", "confirm", qty=pieces)[0]

    def push(self, number: str) -> list[str]:
        """A scale hands over a sale; returns what was recorded."""
        sold = PushedSale(number=number, raw=b"", weight="500", unit="g", amount_raw_fen=100, amount_fen=100)
        with self.keeper.turn():
            station = self.stations["sale"]
            drafts = station.observe(Observation(device="front", driver="sale-files", at=self._now(), event=sold))
            self.keeper.post(drafts)
        for ticket in [self.store.submit(each) for each in drafts]:
            ticket.wait(10)
        return [each.type for each in drafts]

    def left(self, batch: str) -> int:
        with self.keeper.turn() as books:
            account = books.batches.find(batch)
            assert account is not None
            return account.left_qty


@pytest.fixture
def box(tmp_path: Path, instants: Callable[[], Instant]) -> Iterator[Box]:
    box = Box(tmp_path / "records.db", instants)
    yield box
    box.stop()


@pytest.mark.parametrize("in_order", [True, False])
def test_the_books_outlive_a_restart(box: Box, in_order: bool) -> None:
    batch = box.take_in()
    sale = box.sell(10)
    box.stop(in_order=in_order).start()
    assert (box.store.note(BALANCES) is not None) == in_order
    assert box.left(batch) == 990
    assert box.sell(10)["batch"] == batch
    assert box.do("sale", "return", sale=sale["trace_code"], reason="x")[0]["qty"] == 10  # recent sales are known again
    assert box.left(batch) == 990


def test_a_start_after_a_note_reads_the_newest_records_only(
    box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    batch = box.take_in()
    for _ in range(30):
        box.sell()
    box.stop().start()
    box.sell()
    box.stop(in_order=False)
    folded: list[str] = []
    monkeypatch.setattr(module.Books, "fold", lambda self, entry, corrected=None: folded.append(entry.type))
    box.start()
    assert folded == ["trace.sale.v1"]
    monkeypatch.undo()
    box.stop(in_order=False).start()
    assert box.left(batch) == 969


@pytest.mark.parametrize("in_order", [True, False])
def test_sales_that_a_scale_pushed_long_ago_are_known_after_a_restart(
    box: Box, monkeypatch: pytest.MonkeyPatch, in_order: bool
) -> None:
    """A file of a whole day is read again after a crash, or the scale sends its day again: further back than what a
    person may look up."""
    monkeypatch.setattr(module, "RECENT", 20)
    monkeypatch.setattr(module, "NOTED_EVERY", 50)
    assert [len(box.push(str(number))) for number in range(150)] == [1] * 150
    box.stop(in_order=in_order).start()
    assert box.store.note(BALANCES) is not None
    assert [len(box.push(str(number))) for number in (0, 60, 149, 150)] == [0, 0, 0, 1]


def test_a_note_that_is_damaged_is_no_note(box: Box) -> None:
    batch = box.take_in()
    box.sell(10)
    box.keeper.close(5.0)
    box.store.set_note(BALANCES, '{"chain": 3')
    box.store.stop()
    box.start()
    assert box.left(batch) == 990


def test_numbers_never_come_twice_over_any_ending(box: Box) -> None:
    codes = [box.take_in()]
    for in_order in (True, False, True, False):
        codes += [box.sell()["trace_code"] for _ in range(15)]
        box.stop(in_order=in_order).start()
    assert len(set(codes)) == len(codes) == 61


def test_the_lease_is_durable_no_later_than_the_record_that_uses_it(box: Box, tmp_path: Path) -> None:
    box.take_in()
    for _ in range(50):
        code = box.sell()["trace_code"]
        with_note = box.store._reader.note(module.NUMBERS)  # as another process would read it from the file
        assert with_note is not None
        assert int(code[13:]) < orjson.loads(with_note)[STALL] % 10_000_000


def test_a_correction_that_somebody_else_makes_is_booked_at_the_next_turn(box: Box) -> None:
    batch = box.take_in()
    sale = box.sell(10)
    corrector = Corrector(box.store, ZONE)
    corrector.correct("amend", sale["id"], reason="miscounted", details={"qty": 7})
    assert box.left(batch) == 993
    corrector.correct("void", sale["id"], reason="not sold")
    assert box.left(batch) == 1_000
    box.stop(in_order=False).start()
    assert box.left(batch) == 1_000


def test_a_correction_of_a_record_from_before_the_note_is_booked(box: Box) -> None:
    batch = box.take_in()
    sale = box.sell(10)
    box.stop().start()
    Corrector(box.store, ZONE).correct("void", sale["id"], reason="not sold")
    assert box.left(batch) == 1_000


def test_the_platform_s_stop_of_sale_is_met_at_the_next_sale(box: Box, instants: Callable[[], Instant]) -> None:
    batch = box.take_in()
    at = instants()
    body = StopSale(clock=clock_facts(at), batch=batch, cause="directive", directive="D-1")
    box.store.keep(draft(type=body.TYPE, subject="gw-1", at=at, zone=ZONE, data=body.to_data()))
    box.do("sale", "goods", code="egg", price_per="each")
    with pytest.raises(AssertionError, match="stopped"):
        box.do("sale", "confirm")


def test_records_that_the_books_cannot_read_are_passed_over(box: Box, instants: Callable[[], Instant]) -> None:
    batch = box.take_in()
    for data in ({}, {"batch": batch}, {"batch": 7, "clock": None}):
        for name in ("sale", "void", "intake", "transform", "stop_sale"):
            box.store.keep(draft(type=f"trace.{name}.v1", subject="x", at=instants(), zone=ZONE, data=data))
    assert box.left(batch) == 1_000
    box.stop(in_order=False).start()
    assert box.left(batch) == 1_000


def test_too_much_that_others_keep_at_once_is_read_again_from_the_store(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_UNREAD", 3)
    batch = box.take_in()
    sales = [box.sell() for _ in range(10)]
    for sale in sales:
        Corrector(box.store, ZONE).correct("void", sale["id"], reason="x")
    assert box.left(batch) == 1_000


def test_nobody_has_a_turn_during_another_s(box: Box) -> None:
    had = threading.Event()

    def wait_for_a_turn() -> None:
        with box.keeper.turn():
            had.set()

    with box.keeper.turn():
        other = threading.Thread(target=wait_for_a_turn)
        other.start()
        assert not had.wait(0.2)
    assert had.wait(10)
    other.join(10)


def test_balances_are_not_noted_while_something_booked_is_not_kept(box: Box) -> None:
    batch = box.take_in()
    with box.keeper.turn():
        for name, arguments in (("goods", {"code": "egg", "price_per": "each"}), ("confirm", {"qty": 10})):
            outcome = box.stations["sale"].command(Command(name=name, at=box._now(), arguments=arguments))
        box.keeper.post(outcome.drafts)
    box.stop().start()  # the power went before the draft reached the store
    assert box.left(batch) == 1_000


def test_stations_in_threads_of_their_own_never_sell_the_same_piece_unflagged(box: Box) -> None:
    batch = box.take_in(100)
    flags: list[list[str]] = []

    def work(name: str) -> None:
        station = make_station(Settings(id=name, mode="sale", zone=ZONE, rules=RULES, party=STALL), box.keeper.books)
        for _ in range(30):
            with box.keeper.turn():
                station.command(Command(name="goods", at=box._now(), arguments={"code": "egg", "price_per": "each"}))
                outcome = station.command(Command(name="confirm", at=box._now()))
                box.keeper.post(outcome.drafts)
            box.store.keep(outcome.drafts[0])
            flags.append(orjson.loads(outcome.drafts[0].data)["flags"])

    threads = [threading.Thread(target=work, args=(f"stall-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert box.left(batch) == -20
    assert sum("over_balance" in each for each in flags) == 18  # 2 % of 100 pieces may go out beyond what came in
