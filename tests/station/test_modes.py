"""Stations: observations and commands in, records out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent.model import (
    Command,
    DeviceState,
    Instant,
    Observation,
    Reading,
    Rejected,
    Scan,
    StateChange,
    TagRead,
)
from edge_agent.station import MODES, Books, Settings, Station, make_station
from edge_agent.station.weigh_cycle import CycleRules


class Place:
    """A station with a scale `s` (frames without unit, shown in kg) and a scanner `c`."""

    def __init__(self, mode: str, instants: Callable[[], Instant], **changes: Any) -> None:
        rules = CycleRules(
            min_load=20_000,
            zero_band=5_000,
            stable_ms=300,
            stable_band=2_000,
            stable_readings=2,
            additions=mode == "sale",
        )
        settings: dict[str, Any] = {
            "operator": "03",
            "party": "3706025690012",
            "units": {"s": "kg"},
            "scales": ("s", "t"),
        }
        self.station: Station = make_station(
            Settings(id="A12", mode=mode, zone=ZoneInfo("Asia/Shanghai"), rules=rules, **(settings | changes)), Books()
        )
        self._now = instants
        self.records: list[dict[str, Any]] = []

    def _see(self, device: str, event: Any) -> None:
        observation = Observation(device=device, driver="d", at=self._now(), event=event)
        self._keep(self.station.observe(observation))

    def _keep(self, drafts: Any) -> None:
        self.records += [{"type": d.type, "time": d.time, **orjson.loads(d.data)} for d in drafts]

    def weigh(self, *texts: str, unit: str | None = None, **more: Any) -> Place:
        for text in texts:
            self._see("s", Reading(weight=text, unit=unit, raw=text.encode(), **({"stability": "stable"} | more)))
        return self

    def scan(self, text: str, **more: Any) -> Place:
        self._see("c", Scan(text=text, raw=text.encode("utf-8", "surrogatepass"), **more))
        return self

    def see(self, event: Any, device: str = "s") -> Place:
        self._see(device, event)
        return self

    def tell(self, name: str, /, **arguments: Any) -> str | None:
        outcome = self.station.command(Command(name=name, at=self._now(), arguments=arguments))
        self._keep(outcome.drafts)
        return None if outcome.refused is None else outcome.refused.code


@pytest.fixture
def log(instants: Callable[[], Instant]) -> Place:
    return Place("log", instants)


@pytest.fixture
def sale(instants: Callable[[], Instant]) -> Place:
    return Place("sale", instants)


def reading(text: str) -> Reading:
    return Reading(weight=text, unit="kg", raw=text.encode(), stability="stable")


def test_two_scales_of_a_station_never_mix(log: Place) -> None:
    for left, right in (
        ("0.000", "7.000"),
        ("1.500", "7.000"),
        ("1.500", "0.000"),
        ("1.500", "2.000"),
        ("0.000", "2.000"),
    ):
        log.see(reading(left), "s").see(reading(right), "t")
    assert [(r["device"], r["indication"]) for r in log.records] == [("s", "1.500"), ("t", "2.000")]


def test_a_sale_confirmed_at_a_bad_frame_is_of_what_the_other_frames_say(sale: Place) -> None:
    """The newest reading is off by a gram: mass, indication, raw bytes and price are those of the reading before."""
    sale.weigh("0.000", "0.000", "1.500", "1.500", unit_price="4.00", amount="6.00")
    sale.weigh("1.501", unit_price="7.00", amount="9.99")
    assert sale.tell("goods", code="veg") is None
    assert sale.tell("confirm") is None
    record = sale.records[-1]
    told = [record[key] for key in ("net_mg", "indication", "raw", "price_fen", "amount_fen")]
    assert told == [1_500_000, "1.500", b"1.500".hex(), 400, 600]


def test_a_sale_is_of_the_scale_that_has_a_load(sale: Place) -> None:
    for text in ("0.000", "0.000"):
        sale.see(reading(text), "s").see(reading(text), "t")
    for _ in range(2):
        sale.see(reading("2.000"), "t").see(reading("0.000"), "s")
    sale.scan("x")
    assert sale.station.view.weight == "2.000"
    assert sale.tell("confirm") is None
    assert sale.records[0]["device"] == "t"


def test_a_scanner_that_is_lost_is_no_scale_that_is_lost(log: Place) -> None:
    log.weigh("0.000", "0.000").see(StateChange(state=DeviceState.LOST, reason="unplugged"), "c")
    assert log.station.view.state == "empty"


def test_every_mode_can_be_made(instants: Callable[[], Instant]) -> None:
    for mode in MODES:
        assert Place(mode, instants).station.view.mode == mode


# -- log ---------------------------------------------------------------------------------------------------------


def test_log_records_each_weigh_cycle(log: Place) -> None:
    log.weigh("0.000", "1.500", "1.500", "1.500", "0.000", "1.500", "1.500")
    assert [r["type"] for r in log.records] == ["trace.weighing.v1"] * 2
    record = log.records[0]
    assert record["net_mg"] == 1_500_000
    assert (record["indication"], record["unit"], record["stability"]) == ("1.500", "kg", "stable")
    assert (record["device"], record["operator"], record["party"]) == ("s", "03", "3706025690012")
    assert record["raw"] == b"1.500".hex()
    assert record["clock"] == {"synced": True, "boot": "b00t", "mono_ms": 1_200}
    assert record["time"].endswith("+08:00")


@pytest.mark.parametrize(
    ("basis", "tare", "masses", "flags"),
    [
        (None, None, (None, None, 1_500_000), ["basis_unknown"]),
        ("gross", None, (1_500_000, 0, 1_500_000), []),
        ("net", None, (None, None, 1_500_000), []),
        ("net", "0.250", (1_750_000, 250_000, 1_500_000), []),
    ],
)
def test_gross_tare_and_net_follow_the_basis(
    log: Place, basis: Any, tare: str | None, masses: tuple[int | None, int | None, int], flags: list[str]
) -> None:
    log.weigh("0.000", "1.500", "1.500", basis=basis, tare=tare)
    record = log.records[0]
    assert (record["gross_mg"], record["tare_mg"], record["net_mg"]) == masses
    assert record["flags"] == flags


def test_the_frame_s_own_unit_wins_over_the_configured_one(log: Place) -> None:
    log.weigh("0", "1500", "1500", unit="g")
    assert log.records[0]["net_mg"] == 1_500_000


def test_log_records_each_scan_even_the_same_one(log: Place) -> None:
    log.scan("6901028225168", symbology="]E0").scan("6901028225168", symbology="]E0")
    assert [r["text"] for r in log.records] == ["6901028225168"] * 2
    assert log.records[0]["symbology"] == "]E0"


def test_a_scan_that_is_no_unicode_is_kept_with_a_flag(log: Place) -> None:
    log.scan("a\ud800b")
    assert log.records[0]["text"] == "a\ufffdb"
    assert log.records[0]["flags"] == ["text_replaced"]


def test_log_records_tags(log: Place) -> None:
    log.see(TagRead(tag_id="E200", kind="epc", raw=b"\x01", rssi_dbm=-55), device="gate")
    assert log.station.view.detail["tags_in_view"] == 1
    log.weigh(*["0.000"] * 49)
    assert log.records == []
    log.weigh("0.000")  # five seconds later
    assert log.records[0]["type"] == "trace.tag.v1"
    assert (log.records[0]["tag_id"], log.records[0]["rssi_dbm"]) == ("E200", -55)
    assert log.station.view.detail["tags_in_view"] == 0


def test_rejected_bytes_change_nothing(log: Place) -> None:
    log.weigh("0.000", "1.500").see(Rejected(reason="checksum", raw=b"x")).weigh("1.500")
    assert len(log.records) == 1


def test_capture_of_a_load_that_was_there_at_the_start(log: Place) -> None:
    log.weigh("1.500", "1.500")
    assert log.records == []
    assert log.station.view.state == "loaded-at-start"
    assert log.tell("capture") is None
    assert "loaded_at_start" in log.records[0]["flags"]
    assert log.tell("capture") == "nothing-to-capture"


@pytest.mark.parametrize(
    ("state", "word"),
    [(DeviceState.LOST, "disconnected"), (DeviceState.STALE, "stale"), (DeviceState.BAD_DATA, "bad-data")],
)
def test_without_data_there_is_no_weight_on_the_page(log: Place, state: DeviceState, word: str) -> None:
    log.weigh("0.000", "1.500").see(StateChange(state=state, reason="gone"))
    view = log.station.view
    assert (view.state, view.weight) == (word, None)
    log.weigh("1.500")
    assert log.records == []  # one agreeing reading before the gap does not count with one after it


@pytest.mark.parametrize("condition", ["overload", "underload"])
def test_conditions_are_shown_and_never_weighed(log: Place, condition: Any) -> None:
    log.weigh("0.000")
    for _ in range(5):
        log.see(Reading(weight=None, raw=b"", condition=condition, stability="stable"))
    assert log.station.view.state == condition
    assert log.station.view.weight is None
    assert log.records == []


# -- sale --------------------------------------------------------------------------------------------------------


def test_a_cycle_without_goods_or_confirmation_is_no_sale(sale: Place) -> None:
    sale.weigh("0.000", "1.500", "1.500")
    assert sale.tell("confirm") == "no-goods"
    sale.scan("6901028225168").weigh("1.500", "0.000")
    assert sale.records == []


def test_goods_weight_and_confirmation_are_one_sale(sale: Place) -> None:
    sale.scan("6901028225168").weigh("0.000", "1.500", "1.500")
    assert sale.station.view.detail["can_confirm"] is True
    assert sale.tell("confirm") is None
    assert sale.tell("confirm") == "no-goods"  # cleared: the next customer does not pay for the last one's
    assert len(sale.records) == 1
    record = sale.records[0]
    assert (record["type"], record["goods_code"], record["net_mg"]) == ("trace.sale.v1", "6901028225168", 1_500_000)
    sale.scan("6901028225168")
    assert sale.tell("confirm") == "already-sold"


def test_goods_may_come_after_the_weight(sale: Place) -> None:
    sale.weigh("0.000", "1.500", "1.500").scan("x")
    assert sale.tell("confirm") is None


def test_the_weight_at_confirmation_counts(sale: Place) -> None:
    sale.scan("x").weigh("0.000", "1.500", "1.500").weigh("1.700", stability="moving")
    assert sale.tell("confirm") == "not-stable"
    sale.weigh("1.800", "1.800")
    assert sale.tell("confirm") is None
    assert sale.records[0]["net_mg"] == 1_800_000


def test_goods_added_without_return_to_zero_are_a_second_sale(sale: Place) -> None:
    sale.scan("a").weigh("0.000", "1.500", "1.500")
    sale.tell("confirm")
    sale.scan("b").weigh("2.000", "2.000")
    assert sale.tell("confirm") is None
    second = sale.records[1]
    assert (second["gross_mg"], second["tare_mg"], second["net_mg"]) == (2_000_000, 1_500_000, 500_000)
    assert "added" in second["flags"]


@pytest.mark.parametrize(
    ("price", "per", "amount"),
    [(280, "500g", 840), (560, "kg", 840), (333, "kg", 500), (1, "kg", 2), (None, "kg", None)],
)
def test_amounts_are_rounded_half_up(sale: Place, price: int | None, per: str, amount: int | None) -> None:
    sale.tell("goods", code="veg", name="大白菜", price_fen=price, price_per=per)
    sale.weigh("0.000", "1.500", "1.500")
    sale.tell("confirm")
    record = sale.records[0]
    assert (record["amount_raw_fen"], record["price_fen"]) == (amount, price)
    assert record["amount_source"] == (None if amount is None else "agent")


def test_the_scale_s_own_amount_is_the_amount(sale: Place) -> None:
    sale.tell("goods", code="veg", price_fen=280, price_per="kg")
    sale.weigh("0.000", "1.500", "1.500", unit_price="2.80", amount="4.21")
    sale.tell("confirm")
    assert (sale.records[0]["amount_fen"], sale.records[0]["amount_source"]) == (421, "device")


def test_goods_by_the_piece_need_no_weight(sale: Place) -> None:
    sale.tell("goods", code="egg", price_fen=150, price_per="each")
    assert sale.tell("confirm", qty=0) == "bad-quantity"
    assert sale.tell("confirm", qty=6) is None
    record = sale.records[0]
    assert (record["mode"], record["qty"], record["amount_fen"], record["net_mg"]) == ("piece", 6, 900, None)


def test_auto_confirm_is_a_rule(instants: Callable[[], Instant]) -> None:
    place = Place("sale", instants, auto_confirm=True)
    place.weigh("0.000", "1.500", "1.500")
    assert place.records == []
    place.scan("x")
    assert len(place.records) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "bad-goods"),
        ({"code": " "}, "bad-goods"),
        ({"code": "x", "price_per": "斤"}, "bad-goods"),
        ({"code": "x", "price_fen": -1}, "bad-price"),
        ({"code": "x", "price_fen": 2.5}, "bad-price"),
    ],
)
def test_goods_that_make_no_sense_are_refused(sale: Place, arguments: dict[str, Any], code: str) -> None:
    assert sale.tell("goods", **arguments) == code


def test_why_a_confirmation_is_refused(sale: Place) -> None:
    sale.scan("x")
    sale.weigh("0.000")
    assert sale.tell("confirm") == "no-load"
    sale.weigh("1.5", stability="moving")
    assert sale.tell("confirm") == "not-stable"
    sale.see(Reading(weight=None, raw=b"", condition="overload"))
    assert sale.tell("confirm") == "overload"
    sale.see(StateChange(state=DeviceState.LOST, reason="unplugged"))
    assert sale.tell("confirm") == "disconnected"
    assert sale.tell("dance") == "unknown-command"
