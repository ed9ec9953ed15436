"""Sales from batches: which is taken, what is left, what is flagged, what is stopped; corrections honoured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Instant
from edge_agent.records import corrections
from edge_agent.station import BatchRules, Books
from edge_agent.station.batches import MAX_BATCHES, Batches, Effect, Key

DAY_MS = int(timedelta(days=1).total_seconds() * 1000)


def correct(hall: Any, kind: str, record: dict[str, Any], changes: dict[str, Any] | None = None) -> None:
    """Void, amend or return a record as the corrector does."""
    event = next(e for e in hall.events if e["id"] == record["id"])
    occasion = corrections.Occasion(at=hall.now(), zone=hall.place("log").station._settings.zone, reason="typing error")
    makers: dict[str, Callable[[], Any]] = {
        "void": lambda: corrections.void(event, hall.events, occasion),
        "amend": lambda: corrections.amend(event, hall.events, changes or {}, occasion),
        "return": lambda: corrections.give_back(event, hall.events, occasion, **(changes or {})),
    }
    hall.keep([makers[kind]()])


# -- which batch ---------------------------------------------------------------------------------------------------


def test_the_only_open_batch_is_taken_silently(stall: Any, stocked: Any, hall: Any) -> None:
    intake = stocked(kilograms=100, goods_name="大白菜", vouchers=[{"type": "1", "no": "T-77"}])
    sale = stall.sell()
    assert (sale["batch"], sale["flags"]) == (intake["batch"], [])
    assert (sale["goods_name"], sale["upstream_ticket"]) == ("大白菜", "T-77")
    assert hall.left(intake["batch"]) == (99_000_000, 0)


def test_without_a_batch_the_sale_goes_on_with_a_flag(stall: Any, stocked: Any) -> None:
    stocked("other", 100)
    sale = stall.sell()
    assert (sale["batch"], sale["flags"]) == (None, ["no_upstream"])


def test_another_seller_s_batch_is_not_taken(hall: Any, stocked: Any) -> None:
    stocked(kilograms=100)
    assert hall.place("sale", party="3706025690999").sell()["flags"] == ["no_upstream"]


def test_several_open_batches_want_a_choice_that_holds(stall: Any, stocked: Any) -> None:
    first, second = stocked(kilograms=100), stocked(kilograms=100)
    stall.do("goods", code="veg")
    stall.load("1.000")
    assert stall.tell("confirm") == "choose-batch"
    assert [each["batch"] for each in stall.detail["batches"]] == [first["batch"], second["batch"]]  # oldest first
    stall.do("batch", batch=second["batch"])
    assert stall.do("confirm")[0]["batch"] == second["batch"]
    assert stall.sell()["batch"] == second["batch"]
    assert stall.sell(batch=first["batch"])["batch"] == first["batch"]  # for this sale only
    assert stall.sell()["batch"] == second["batch"]


def test_a_choice_ends_when_the_batch_is_sold_out(stall: Any, stocked: Any) -> None:
    first, second = stocked(kilograms=2), stocked(kilograms=100)
    stall.do("batch", goods_code="veg", batch=first["batch"])
    assert [stall.sell()["batch"] for _ in range(3)] == [first["batch"], first["batch"], second["batch"]]


def test_the_oldest_is_taken_where_the_rule_says_so_or_nobody_can_be_asked(hall: Any, stocked: Any) -> None:
    first = stocked(kilograms=100)
    stocked(kilograms=100)
    assert hall.place("sale", batches=BatchRules(choice="oldest")).sell()["batch"] == first["batch"]
    alone = hall.place("sale", "alone", auto_confirm=True)
    alone.scan("veg").load("1.000")
    assert [sale["batch"] for sale in hall.of("sale")] == [first["batch"]] * 2


def test_a_batch_by_its_number_is_kept_even_where_nobody_knows_it(stall: Any, stocked: Any) -> None:
    stocked(kilograms=100)
    sale = stall.sell(batch="??-odd-upstream-code")
    assert (sale["batch"], sale["flags"]) == ("??-odd-upstream-code", ["no_upstream"])


def test_an_old_batch_is_open_no_more(stall: Any, stocked: Any, hall: Any) -> None:
    stocked(kilograms=100)
    later = hall.now
    hall.now = lambda: Instant(wall_ms=later().wall_ms + 31 * DAY_MS, mono_ms=later().mono_ms, boot="b", synced=True)
    assert stall.sell()["flags"] == ["no_upstream"]


def test_a_batch_that_came_in_under_a_wrong_clock_does_not_age(stall: Any, stocked: Any, hall: Any) -> None:
    right = hall.now
    hall.now = lambda: Instant(wall_ms=0, mono_ms=right().mono_ms, boot="b", synced=False)
    intake = stocked(kilograms=100)
    hall.now = right
    assert stall.sell()["batch"] == intake["batch"]


# -- balance -------------------------------------------------------------------------------------------------------


def test_more_than_came_in_is_flagged_beyond_the_tolerance(stall: Any, stocked: Any) -> None:
    intake = stocked(kilograms=10)
    flags = [stall.sell(weight=text)["flags"] for text in ("10.000", "0.200", "0.020")]
    assert flags == [[], [], ["over_balance"]]  # 2 % of 10 kg, and 20 g
    assert stall.sell()["batch"] == intake["batch"]  # still the only batch that it can be of


def test_the_tolerance_is_by_goods(hall: Any, stocked: Any) -> None:
    stocked(kilograms=10)
    place = hall.place("sale", batches=BatchRules(tolerances={"veg": 0}))
    assert [place.sell(weight=text)["flags"] for text in ("10.000", "0.020")] == [[], ["over_balance"]]


def test_rules_refuse_what_is_flagged_otherwise(hall: Any, stocked: Any) -> None:
    strict = hall.place("sale", batches=BatchRules(no_upstream="refuse", over_balance="refuse"))
    strict.do("goods", code="veg")
    strict.load("1.000")
    assert strict.tell("confirm") == "no-batch"
    stocked(kilograms=1)
    assert strict.tell("confirm") is None
    strict.do("goods", code="veg")
    strict.load("1.000")
    assert strict.tell("confirm") == "over-balance"
    assert len(hall.of("sale")) == 1


def test_pieces_and_mass_are_balanced_apart(stall: Any, stocked: Any, hall: Any) -> None:
    eggs = stocked("egg", qty=30)
    stall.do("goods", code="egg", price_fen=150, price_per="each")
    assert stall.do("confirm", qty=20)[0]["batch"] == eggs["batch"]
    stall.do("goods", code="egg", price_fen=150, price_per="each")
    assert "over_balance" in stall.do("confirm", qty=11)[0]["flags"]
    assert hall.left(eggs["batch"]) == (0, -1)
    assert "over_balance" not in stall.sell("egg")["flags"]  # by mass nothing is known of them


def test_losses_counts_and_deductions_are_in_the_balance(stall: Any, stocked: Any, hall: Any) -> None:
    batch = stocked(kilograms=100)["batch"]
    stall.do("loss", goods_code="veg", cause="spoiled", net_mg=5_000_000)
    assert hall.left(batch) == (95_000_000, 0)
    count = stall.do("stocktake", batch=batch, net_mg=90_000_000)[0]
    assert (count["book_mg"], count["goods_code"]) == (95_000_000, "veg")
    assert hall.left(batch) == (90_000_000, 0)
    stall.do("deduct", permille=100)
    sale = stall.sell(weight="10.000")
    assert (sale["net_mg"], sale["deduction_mg"], sale["amount_fen"]) == (10_000_000, 1_000_000, 4500)
    assert hall.left(batch) == (81_000_000, 0)
    assert stall.sell()["deduction_mg"] is None  # it was for one weighing


# -- corrections ---------------------------------------------------------------------------------------------------


def test_voids_and_amendments_are_honoured(stall: Any, stocked: Any, hall: Any) -> None:
    batch, other = stocked(kilograms=100)["batch"], stocked("fruit", 50)["batch"]
    sale = stall.sell(weight="10.000")
    correct(hall, "amend", sale, {"goods_code": "fruit", "batch": other})
    assert (hall.left(batch)[0], hall.left(other)[0]) == (100_000_000, 40_000_000)
    correct(hall, "amend", sale, {"goods_code": "veg", "batch": batch})
    assert (hall.left(batch)[0], hall.left(other)[0]) == (90_000_000, 50_000_000)
    correct(hall, "void", sale)
    assert (hall.left(batch)[0], hall.left(other)[0]) == (100_000_000, 50_000_000)


def test_a_void_of_long_ago_is_honoured_too(stall: Any, stocked: Any, hall: Any) -> None:
    batch = stocked(kilograms=100)["batch"]
    sale = stall.sell(weight="10.000")
    hall.books.load(orjson.loads(orjson.dumps(hall.books.snapshot())))  # as after a restart: nothing recent is known
    assert hall.left(batch)[0] == 90_000_000
    correct(hall, "void", sale)
    assert hall.left(batch)[0] == 100_000_000


def test_a_void_intake_is_no_batch(stall: Any, stocked: Any, hall: Any) -> None:
    intake = stocked(kilograms=100)
    kept = stocked(kilograms=100)
    correct(hall, "void", intake)
    assert stall.sell()["batch"] == kept["batch"]


def test_goods_that_come_back_are_in_the_balance_again(stall: Any, stocked: Any, hall: Any) -> None:
    batch = stocked(kilograms=100)["batch"]
    sale = stall.sell(weight="10.000")
    correct(hall, "return", sale, {"net_mg": 4_000_000})
    assert hall.left(batch)[0] == 94_000_000
    stall.load("2.000")
    back = stall.do("return", sale=sale["trace_code"], reason="坏了", weigh=True, goods_go="disposal")[0]
    assert (back["corrects"], back["net_mg"], back["amount_fen"], back["batch"]) == (sale["id"], 2_000_000, 1000, batch)
    assert hall.left(batch)[0] == 94_000_000  # it goes to waste: it left by the sale
    assert stall.tell("return", sale=sale["id"], reason="x", net_mg=4_000_001) == "too-much"
    assert stall.do("return", sale=sale["id"], reason="x")[0]["amount_fen"] == 2000
    assert stall.tell("return", sale=sale["id"], reason="x") == "too-much"
    correct(hall, "void", hall.of("return")[-1])
    assert stall.do("return", sale=sale["id"], reason="x")[0]["net_mg"] == 4_000_000


amounts = st.integers(0, 10_000)
moves = st.lists(st.tuples(st.sampled_from("abc"), amounts, amounts, amounts, amounts), max_size=30)


@given(moves=moves, undone=st.sets(st.integers(0, 29)))
def test_what_is_taken_back_never_was(moves: list[tuple[str, int, int, int, int]], undone: set[int]) -> None:
    done, never = Batches(), Batches()
    for batch in "abc":
        for each in (done, never):
            each.apply(Effect(Key("p", "g", batch), opens=True))
    effects = [
        Effect(Key("p", "g", batch), in_mg=in_mg, in_qty=in_qty, out_mg=out_mg, out_qty=out_qty)
        for batch, in_mg, in_qty, out_mg, out_qty in moves
    ]
    for number, effect in enumerate(effects):
        done.apply(effect)
        if number not in undone:
            never.apply(effect)
    for number in undone & set(range(len(effects))):
        done.apply(effects[number].back())
    assert done.to_plain() == never.to_plain()


def test_batches_are_bounded() -> None:
    batches = Batches()
    for number in range(MAX_BATCHES + 10):
        batches.apply(Effect(Key("p", "g", str(number)), in_mg=1, opens=True))
    assert len(batches) == MAX_BATCHES
    assert batches.find("9") is None
    assert len(batches.of("p", "g", now_ms=0, days=1)) == MAX_BATCHES


# -- stops ---------------------------------------------------------------------------------------------------------


def fail(hall: Any, batch: str) -> dict[str, Any]:
    """Fail a batch's inspection; returns the stop of sale."""
    records = hall.place("inspection", party=None).do(
        "confirm", batch=batch, items=[{"project": "毒死蜱", "value": "0.3", "limit": "0.02", "result": "fail"}]
    )
    stop: dict[str, Any] = records[1]
    return stop


def test_a_failed_inspection_stops_the_batch_at_once(stall: Any, stocked: Any, hall: Any) -> None:
    intake = stocked(kilograms=100)
    stop = fail(hall, intake["batch"])
    assert (stop["type"], stop["cause"], stop["reason"]) == ("trace.stop_sale.v1", "inspection", "毒死蜱")
    assert stop["inspection"] == hall.of("inspection")[0]["id"]
    stall.do("goods", code="veg")
    stall.load("1.000")
    assert stall.tell("confirm") == "stopped"
    hit = hall.of("recall_hit")[0]
    assert (hit["action"], hit["stop_sale"], hit["batch"]) == ("block", stop["id"], intake["batch"])
    assert (hit["matched"], hit["remaining_mg"]) == (f"batch:{intake['batch']}", 100_000_000)
    assert stall.tell("confirm") == "stopped"
    assert len(hall.of("recall_hit")) == 1  # told once, however often it is tried
    assert hall.of("sale") == []
    hall.place("inspection").do("release", stop_sale=stop["id"], reason="复检合格")
    assert stall.do("confirm")[0]["batch"] == intake["batch"]


def test_a_stopped_batch_leaves_the_others_to_be_sold(stall: Any, stocked: Any, hall: Any) -> None:
    bad, good = stocked(kilograms=100), stocked(kilograms=100)
    fail(hall, bad["batch"])
    assert stall.sell()["batch"] == good["batch"]
    stall.do("goods", code="veg")
    stall.load("1.000")
    assert stall.tell("confirm", batch=bad["batch"]) == "stopped"


def test_a_stopped_batch_is_sold_and_told_where_the_rule_says_so(hall: Any, stocked: Any) -> None:
    intake = stocked(kilograms=100)
    fail(hall, intake["batch"])
    sale = hall.place("sale", batches=BatchRules(stopped="flag")).sell()
    hit = hall.of("recall_hit")[0]
    assert (hit["action"], hit["record"]) == ("warn", sale["id"])


def test_auto_confirm_reports_a_stop_once(hall: Any, stocked: Any) -> None:
    fail(hall, stocked(kilograms=100)["batch"])
    place = hall.place("sale", auto_confirm=True)
    place.scan("veg").load("1.000").show("1.000").show("1.000")
    assert (len(hall.of("recall_hit")), hall.of("sale")) == (1, [])


@pytest.mark.parametrize("what", [{"goods_code": "veg"}, {"lot": "L1", "goods_code": "06901234567892"}])
def test_goods_and_lots_can_be_stopped_without_a_batch(hall: Any, what: dict[str, str]) -> None:
    bench, stall = hall.place("inspection"), hall.place("sale")
    if "lot" in what:
        what = what | {"goods_code": "6901234567892"}
    bench.do("stop", reason="召回", **what)
    if "lot" in what:
        stall.scan("(01)06901234567892(10)L1")
    else:
        stall.do("goods", code="veg")
    stall.load("1.000")
    assert stall.tell("confirm") == "stopped"
    bench.do("release", goods_code=what["goods_code"], reason="ok")
    assert stall.tell("confirm") is None


def test_a_stop_ends_at_its_time(stall: Any, stocked: Any, hall: Any) -> None:
    batch = stocked(kilograms=100)["batch"]
    hall.place("inspection").do("stop", batch=batch, reason="x", until="2020-01-01T00:00:00.000+08:00")
    assert stall.sell()["batch"] == batch


def test_an_intake_that_the_market_refused_is_no_batch(stall: Any, stocked: Any, hall: Any) -> None:
    intake = stocked(kilograms=100)
    door = hall.place("intake")
    assert door.tell("review", intake=intake["id"], batch=intake["batch"], decision="refused") == "bad-reason"
    door.do("review", intake=intake["id"], batch=intake["batch"], decision="refused", reason="无票")
    assert stall.sell()["flags"] == ["no_upstream"]
    door.do("review", intake=intake["id"], batch=intake["batch"], decision="approved")
    assert stall.sell()["batch"] == intake["batch"]


# -- over a restart ------------------------------------------------------------------------------------------------


def test_the_same_records_give_the_same_books_with_and_without_a_snapshot(stall: Any, stocked: Any, hall: Any) -> None:
    batches = [stocked(kilograms=100)["batch"], stocked("fruit", 50)["batch"]]
    sales = [stall.sell(weight=f"{n}.000") for n in range(1, 5)]
    correct(hall, "void", sales[0])
    correct(hall, "amend", sales[1], {"goods_code": "fruit", "batch": batches[1]})
    fail(hall, batches[1])
    half = Books()
    for event in hall.events:
        hall.fold(event, half)
    assert half.snapshot() == hall.books.snapshot()
    restarted = Books()
    restarted.load(orjson.loads(orjson.dumps(hall.books.snapshot())))
    assert restarted.snapshot() == hall.books.snapshot()
    assert [stop.id for stop in restarted.stops] == [hall.of("stop_sale")[0]["id"]]
