"""Modes intake, inspection, transfer, transform and filling, and the till."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.station import Tickets

STALL = "3706025690012"
SUPPLIER = "3706025690999"
TRACE = "37060256909990000058"


@pytest.fixture
def door(hall: Any) -> Any:
    return hall.place("intake", crates={"blue": 1_500_000})


@pytest.fixture
def dock(hall: Any) -> Any:
    return hall.place("transfer", "dock")


# -- intake --------------------------------------------------------------------------------------------------------


def test_an_intake_is_gathered_from_scans_and_commands(door: Any) -> None:
    door.scan(SUPPLIER).scan(TRACE).scan("https://certificate.example/c/1").scan("(01)06901234567892(10)L7(17)261231")
    assert door.detail["missing"] == ["origin"]
    door.do("set", origin_code="370602", origin_name="烟台", produced="2026-11-22", price_fen=300, price_per="kg")
    door.do("voucher", type="2", no="Q-1", issuer="动物卫生监督所", issued="2026-11-22")
    door.load("120.0")
    record = door.do("confirm")[0]
    assert (record["supplier"], record["goods_code"], record["lot"]) == (SUPPLIER, "6901234567892", "L7")
    assert (record["expiry"], record["origin_code"], record["party"]) == ("2026-12-31", "370602", STALL)
    assert [(v["type"], v["no"]) for v in record["vouchers"]] == [("1", TRACE), ("commitment", None), ("2", "Q-1")]
    assert record["vouchers"][1]["url"] == "https://certificate.example/c/1"
    assert record["batch"] == record["upstream_trace"] == TRACE  # what was bought under a trace code keeps it
    assert (record["net_mg"], record["indication"], record["captured_by"]) == (120_000_000, "120.0", "device")
    assert door.detail["form"] == {}
    assert door.detail["vouchers"] == []


def test_imported_goods_have_a_group_of_their_own(door: Any) -> None:
    door.do("import", country="NZ", importer="某某进出口公司", entry_no="0220261", port="烟台")
    record = door.do("confirm", goods_code="milk", qty=40, batch="IMP-1")[0]
    assert (record["import"]["country"], record["import"]["port"], record["qty"]) == ("NZ", "烟台", 40)
    assert (record["batch"], record["captured_by"], record["flags"]) == ("IMP-1", "manual", ["manual"])


def test_crates_and_deductions_are_taken_off(door: Any) -> None:
    assert door.tell("tare", crate="red") == "unknown-crate"
    door.do("tare", crate="blue", count=4)
    door.do("deduct", mass_mg=500_000, permille=20)
    door.load("106.0")
    record = door.do("confirm", goods_code="veg")[0]
    assert (record["gross_mg"], record["tare_mg"], record["net_mg"]) == (106_000_000, 6_000_000, 100_000_000)
    assert (record["tare_kind"], record["deduction_mg"]) == ("preset", 2_500_000)
    assert door.hall.left(record["batch"]) == (97_500_000, 0)
    assert door.detail["preset_tare_mg"] == 0


@pytest.mark.parametrize(
    ("command", "code"), [({"mass_mg": 5_000_000}, "tare-too-big"), ({"mass_mg": -1}, "bad-mass_mg")]
)
def test_a_tare_that_cannot_be_is_refused(door: Any, command: dict[str, int], code: str) -> None:
    first = door.tell("tare", **command)
    door.load("5.000")
    assert code in (first, door.tell("confirm", goods_code="veg"))


def test_with_an_unknown_basis_a_preset_tare_makes_the_indication_the_gross(door: Any) -> None:
    door.do("tare", mass_mg=1_000_000)
    door.load("5.000", basis=None)
    record = door.do("confirm", goods_code="veg")[0]
    assert (record["gross_mg"], record["tare_mg"], record["net_mg"]) == (5_000_000, 1_000_000, 4_000_000)
    assert record["flags"] == ["basis_unknown"]


def test_several_weighings_make_one_batch(door: Any, hall: Any) -> None:
    first = door.do("confirm", goods_code="veg", net_mg=60_000_000)[0]
    door.do("confirm", goods_code="veg", net_mg=40_000_000, batch=first["batch"])
    assert hall.left(first["batch"]) == (100_000_000, 0)


def test_a_payment_code_leaves_nothing_at_the_door(door: Any) -> None:
    door.scan("134567890123456789")
    assert (door.detail["form"], door.detail["vouchers"]) == ({}, [])
    assert "134567890123456789" not in repr(door.station.__dict__)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "no-goods"),
        ({"goods_code": "x"}, "disconnected"),
        ({"goods_code": "x", "net_mg": -1}, "bad-net_mg"),
        ({"goods_code": "x", "net_mg": 1.5}, "bad-net_mg"),
        ({"goods_code": "x", "qty": 0}, "bad-qty"),
        ({"goods_code": 7, "qty": 1}, "bad-goods_code"),
        ({"goods_code": "x", "qty": 1, "produced": "yesterday"}, "bad-produced"),
        ({"goods_code": "x", "qty": 1, "price_fen": 1}, "bad-price_per"),
        ({"goods_code": "x", "qty": 1, "vouchers": "paper"}, "bad-vouchers"),
        ({"goods_code": "x", "qty": 1, "vouchers": [{"type": "9"}]}, "bad-vouchers"),
        ({"goods_code": "x", "qty": 1, "vouchers": [{"no": "1"}]}, "bad-voucher"),
        ({"goods_code": "x", "qty": 1, "vouchers": [{"type": "1", "who": "me"}]}, "bad-voucher"),
        ({"goods_code": "x" * 501, "qty": 1}, "bad-goods_code"),
    ],
)
def test_an_intake_that_makes_no_sense_is_refused(door: Any, arguments: dict[str, Any], code: str) -> None:
    assert door.tell("confirm", **arguments) == code
    assert door.hall.events == []


def test_the_form_takes_known_fields_only(door: Any) -> None:
    assert door.tell("set", colour="green") == "bad-field"
    assert door.tell("import", planet="mars") == "bad-import"
    assert door.tell("dance") == "unknown-command"


def test_vouchers_are_bounded_for_hands_and_for_scanners(door: Any) -> None:
    for number in range(20):
        door.scan(f"https://example.org/{number}")
    assert door.tell("voucher", type="1", no="x") == "too-many-vouchers"
    door.scan("https://example.org/more").scan("https://example.org/0")
    assert len(door.detail["vouchers"]) == 20


def test_the_gate_notes_who_comes_in(door: Any) -> None:
    door.load("1250", unit="kg")
    record = door.do("entry", plate_no="鲁F12345", gate="东门", intakes=[], batches=["B1"], weigh=True)[0]
    assert (record["type"], record["plate_no"], record["net_mg"]) == ("trace.entry.v1", "鲁F12345", 1_250_000_000)


def test_a_market_s_desk_takes_in_for_its_stalls(hall: Any) -> None:
    desk = hall.place("intake", party=None)
    assert desk.tell("confirm", goods_code="veg", qty=1) == "no-party"
    desk.scan(STALL).scan(SUPPLIER)  # the owner's card first, then the supplier's
    record = desk.do("confirm", goods_code="veg", qty=1)[0]
    assert (record["party"], record["supplier"]) == (STALL, SUPPLIER)
    assert record["batch"].startswith(STALL)


# -- inspection ----------------------------------------------------------------------------------------------------


def test_an_inspection_that_is_passed_stops_nothing(hall: Any, stocked: Any) -> None:
    bench = hall.place("inspection")
    batch = stocked(kilograms=100)["batch"]
    bench.scan(batch)
    bench.do("item", project="农药残留", value="12 %", limit="50 %", result="pass")
    record = bench.do("confirm", check_no="C-1", kind="quick")
    assert len(record) == 1
    assert (record[0]["result"], record[0]["batch"], record[0]["goods_code"]) == ("pass", batch, "veg")
    assert (record[0]["inspector"], record[0]["items"][0]["project"]) == ("03", "农药残留")
    assert bench.detail["items"] == []


def test_one_failed_item_fails_the_batch_whatever_was_said(hall: Any, stocked: Any) -> None:
    items = [{"project": "a", "result": "pass"}, {"project": "b", "result": "fail"}]
    records = hall.place("inspection").do("confirm", batch=stocked(qty=3)["batch"], items=items, result="pass")
    assert [r["type"] for r in records] == ["trace.inspection.v1", "trace.stop_sale.v1"]
    assert records[0]["result"] == "fail"


def test_goods_that_failed_are_disposed_of(hall: Any, stocked: Any) -> None:
    bench, batch = hall.place("inspection"), stocked(kilograms=100)["batch"]
    assert bench.tell("dispose", batch=batch, net_mg=1) == "no-kind"
    record = bench.do("dispose", batch=batch, net_mg=100_000_000, kind="harmless-treatment", person="07")[0]
    assert (record["goods_code"], record["party"]) == ("veg", STALL)
    assert hall.left(batch) == (0, 0)
    bench.do("dispose", batch=batch, net_mg=1_000_000, kind="sealed")
    assert hall.left(batch) == (0, 0)  # sealed goods are still there


@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [
        ("confirm", {"batch": "B"}, "no-result"),
        ("confirm", {"result": "pass"}, "no-batch"),
        ("confirm", {"batch": "B", "items": [{"project": "x", "result": "maybe"}]}, "bad-item"),
        ("confirm", {"batch": "B", "result": "pass", "kind": "smell"}, "bad-kind"),
        ("stop", {"batch": "B"}, "no-reason"),
        ("release", {"reason": "x"}, "no-batch"),
        ("release", {"reason": "x", "stop_sale": "17"}, "bad-stop_sale"),
    ],
)
def test_inspections_that_make_no_sense_are_refused(
    hall: Any, command: str, arguments: dict[str, Any], code: str
) -> None:
    assert hall.place("inspection").tell(command, **arguments) == code
    assert hall.events == []


# -- transfer ------------------------------------------------------------------------------------------------------


def test_goods_go_out_from_their_batch_with_what_was_seen(dock: Any, stocked: Any, hall: Any) -> None:
    batch = stocked(kilograms=100)["batch"]
    dock.do(
        "set", direction="out", document_no="D-1", to_party="3706025690777", plate_no="鲁F1", temperature_milli_c=4_000
    )
    dock.tag("E2000017221101441890ABCD").tag("E2000017221101441890ABCD").scan("00369012340000000018")
    dock.load("30.0")
    record = dock.do("confirm", goods_code="veg")[0]
    assert (record["batch"], record["net_mg"], record["to_party"]) == (batch, 30_000_000, "3706025690777")
    assert record["tags"] == ["E2000017221101441890ABCD", "00369012340000000018"]
    assert hall.left(batch) == (70_000_000, 0)
    dock.do("confirm", goods_code="veg", net_mg=10_000_000)  # the papers hold for the next line, the tags do not
    assert hall.of("transfer")[1]["document_no"] == "D-1"
    assert hall.of("transfer")[1]["tags"] == []
    dock.do("clear")
    assert dock.tell("confirm", goods_code="veg", net_mg=1) == "no-direction"


def test_goods_that_come_in_open_a_batch(dock: Any, stall: Any) -> None:
    dock.do("set", direction="in", from_party=SUPPLIER)
    record = dock.do("confirm", goods_code="veg", goods_name="大白菜", net_mg=50_000_000)[0]
    assert record["batch"].startswith(STALL)
    sale = stall.sell()
    assert (sale["batch"], sale["goods_name"]) == (record["batch"], "大白菜")


def test_goods_without_a_batch_go_out_with_a_flag(dock: Any) -> None:
    record = dock.do("confirm", direction="out", goods_code="veg", net_mg=1_000)[0]
    assert (record["batch"], set(record["flags"])) == (None, {"manual", "no_upstream"})


def test_a_vehicle_is_weighed_empty_then_loaded(dock: Any, stocked: Any, hall: Any) -> None:
    batch = stocked(kilograms=5_000)["batch"]
    dock.do("set", direction="out", plate_no="鲁F12345", batch=batch)
    dock.load("3000")
    first = dock.do("pass")[0]
    assert (first["type"], first["net_mg"]) == ("trace.entry.v1", 3_000_000_000)
    assert dock.detail["first_passing"] == {"indication": "3000", "unit": "kg"}
    dock.load("5500")
    record = dock.do("pass")[0]
    assert (record["gross_mg"], record["tare_mg"], record["net_mg"]) == (5_500_000_000, 3_000_000_000, 2_500_000_000)
    assert (record["indication"], record["tare_record"], record["tare_kind"]) == ("5500", first["id"], "weighed")
    assert hall.left(batch) == (2_500_000_000, 0)
    assert dock.detail["first_passing"] is None


def test_a_vehicle_is_weighed_loaded_then_empty_also_over_a_restart(dock: Any, hall: Any) -> None:
    dock.load("5500")
    first = dock.do("pass", plate_no="鲁F12345")[0]
    dock = hall.place("transfer", "dock")
    dock.load("3000")
    empty, record = dock.do("pass", plate_no="鲁F12345", direction="in", goods_code="veg")
    assert (empty["type"], empty["net_mg"]) == ("trace.weighing.v1", 3_000_000_000)
    assert (record["net_mg"], record["indication"]) == (2_500_000_000, "5500")
    assert record["tare_record"] == empty["id"] != first["id"]
    assert hall.left(record["batch"]) == (2_500_000_000, 0)


def test_a_vehicle_that_has_not_changed_carries_nothing(dock: Any) -> None:
    for expected in (None, "nothing-loaded"):
        dock.load("3000")
        assert dock.tell("pass", plate_no="鲁F12345", direction="out") == expected


def test_stopped_goods_that_leave_are_told(dock: Any, stocked: Any, hall: Any) -> None:
    batch = stocked(kilograms=100)["batch"]
    hall.place("inspection").do("stop", batch=batch, reason="x")
    transfer, hit = dock.do("confirm", direction="out", batch=batch, net_mg=1_000_000)
    assert (hit["action"], hit["record"], hit["batch"]) == ("warn", transfer["id"], batch)


def test_tags_are_bounded(dock: Any) -> None:
    for number in range(1_005):
        dock.tag(f"{number:024X}")
    assert (dock.detail["tags"], dock.detail["tags_lost"]) == (1_000, 5)


def test_the_air_is_noted(dock: Any) -> None:
    assert dock.tell("environment", sensor="t1") == "nothing-measured"
    record = dock.do("environment", sensor="t1", temperature_milli_c=-18_500, door="closed")[0]
    assert (record["temperature_milli_c"], record["door"]) == (-18_500, "closed")
    assert dock.tell("environment", humidity_permille=1_001) == "bad-humidity_permille"


# -- transform -----------------------------------------------------------------------------------------------------


def test_batches_become_other_batches(hall: Any, stocked: Any) -> None:
    table = hall.place("transform")
    whole = stocked("pig", 100)["batch"]
    table.scan(whole).load("80.0")
    assert [r["type"] for r in table.do("input")] == ["trace.weighing.v1"]
    table.load("50.0")
    table.do("output", goods_code="chop", goods_name="排骨")
    table.do("output", goods_code="mince", net_mg=25_000_000, batch="M-1")
    assert table.tell("finish", process="分割") == "certificate-wanted"
    record = table.do("finish", process="分割", certificate="CN-9")[0]
    assert [(p["batch"], p["net_mg"]) for p in record["inputs"]] == [(whole, 80_000_000)]
    assert [p["net_mg"] for p in record["outputs"]] == [50_000_000, 25_000_000]
    assert (record["loss_mg"], record["certificate"]) == (5_000_000, "CN-9")
    chop = record["outputs"][0]["batch"]
    assert (hall.left(whole)[0], hall.left(chop)[0], hall.left("M-1")[0]) == (20_000_000, 50_000_000, 25_000_000)
    account = hall.books.batches.find(chop)
    assert (account.goods, account.goods_name) == ("chop", "排骨")
    assert table.detail["inputs"] == []


def test_what_is_not_whole_is_not_transformed(hall: Any, stocked: Any) -> None:
    table = hall.place("transform")
    assert table.tell("finish") == "no-input"
    assert table.tell("input", goods_code="pig", net_mg=1) == "no-batch"
    batch = stocked("pig", 100)["batch"]
    table.do("input", batch=batch, net_mg=1)
    assert table.tell("finish") == "no-output"
    assert table.tell("output", net_mg=1) == "no-goods"
    hall.place("inspection").do("stop", batch=batch, reason="x")
    assert table.tell("input", batch=batch, net_mg=1) == "stopped"


def test_no_certificate_is_an_answer(hall: Any, stocked: Any) -> None:
    table = hall.place("transform")
    table.do("input", batch=stocked("pig", 100)["batch"], net_mg=10)
    table.do("output", goods_code="chop", net_mg=11)
    record = table.do("finish", no_certificate=True)[0]
    assert (record["certificate"], record["loss_mg"]) == (None, None)  # more came out than went in: no loss is made up


# -- filling -------------------------------------------------------------------------------------------------------


@pytest.fixture
def head(hall: Any) -> Any:
    return hall.place("filling")


@pytest.mark.parametrize("stays_on_the_scale", [True, False])
def test_a_cylinder_is_weighed_before_and_after(head: Any, stays_on_the_scale: bool) -> None:
    head.scan("CYL-0001")
    assert head.detail["step"] == "inspected_until"
    head.load("16.50")
    assert head.tell("before") == "no-inspected_until"
    head.do("cylinder", inspected_until="2099-01-31", medium="LPG", limit_mg=15_000_000)
    head.do("before")
    assert head.detail["step"] == "after"
    head.scan("CYL-0002")  # not while one is being filled
    if stays_on_the_scale:
        head.show("31.00").show("31.00")
    else:
        head.load("31.00")
    record = head.do("after")[0]
    assert (record["cylinder"], record["result"], record["net_mg"]) == ("CYL-0001", "filled", 14_500_000)
    assert (record["before_mg"], record["after_mg"], record["indication"]) == (16_500_000, 31_000_000, "31.00")
    assert record["flags"] == []
    assert head.detail["step"] == "cylinder"


def test_a_cylinder_whose_inspection_ran_out_is_refused(head: Any) -> None:
    record = head.do("cylinder", code="CYL-1", inspected_until="2020-01-01")[0]
    assert (record["result"], record["cylinder"], record["inspected_until"]) == ("refused", "CYL-1", "2020-01-01")
    assert head.tell("before") == "no-cylinder"


def test_a_cylinder_that_is_too_full_is_recorded_as_refused(head: Any) -> None:
    head.do("cylinder", code="CYL-1", inspected_until="2099-01-01", limit_mg=14_000_000)
    head.load("16.50").do("before")
    head.load("31.00")
    record = head.do("after")[0]
    assert (record["result"], record["net_mg"], record["captured_by"]) == ("refused", 14_500_000, "device")


def test_fillings_that_make_no_sense_are_refused(head: Any) -> None:
    assert head.tell("cylinder") == "no-cylinder"
    assert head.tell("cylinder", code="C", inspected_until="soon") == "bad-inspected_until"
    assert head.tell("cylinder", code="C", limit_mg="much") == "bad-limit_mg"
    assert head.tell("after") == "no-before"
    head.do("cylinder", code="C", inspected_until="2099-01-01")
    head.load("16.50").do("before")
    assert head.tell("after") == "already-sold"
    head.load("16.50")
    assert head.tell("after") == "nothing-filled"


# -- the till ------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_ticket_are_paid_together(stall: Any, hall: Any) -> None:
    stall.do("ticket")
    sales = [stall.sell(weight=text) for text in ("1.111", "2.222")]
    assert [(s["line"], s["ticket"]) for s in sales] == [(1, stall.detail["ticket"]), (2, stall.detail["ticket"])]
    assert stall.tell("settle", pay_method="wechat", total_fen=1_668) == "rounded-up"
    record = stall.do("settle", pay_method="wechat", total_fen=1_660)[0]
    assert (record["lines"], record["lines_fen"], record["total_fen"]) == ([s["id"] for s in sales], 1_667, 1_660)
    assert stall.detail["ticket"] is None
    assert stall.sell()["ticket"] is None
    assert stall.tell("settle", lines=[sales[0]["id"]]) == "already-settled"


def test_single_sales_are_paid_by_their_trace_code_less_what_came_back(stall: Any) -> None:
    sale = stall.sell(weight="2.000")
    stall.do("return", sale=sale["id"], reason="x", net_mg=500_000)
    record = stall.do("settle", lines=[sale["trace_code"]], pay_method="cash")[0]
    assert (record["lines_fen"], record["pay_method"]) == (750, "cash")


def test_tickets_are_taken_up_after_a_restart(hall: Any) -> None:
    """What outlives a station is which tickets there are; the books bring the rest."""
    tickets = Tickets()
    before = hall.place("sale", "stall", tickets=tickets)
    before.do("ticket")
    on_hold, sale = before.detail["ticket"], before.sell()
    before.do("ticket", hold=True)
    before.do("ticket")
    still_open = before.detail["ticket"]
    before.sell()
    after = hall.place("sale", "stall", tickets=Tickets.of(tickets.facts()))
    assert after.detail["held"] == [{"ticket": on_hold, "lines": 1, "fen": sale["amount_fen"], "goods": ["veg"]}]
    assert after.detail["ticket"] == still_open
    assert after.sell()["line"] == 2
    # The payment was committed, and the power went before that it is paid was noted.
    noted = Tickets.of(tickets.facts())
    after.do("settle", pay_method="cash")
    again = hall.place("sale", "stall", tickets=noted)
    assert again.detail["ticket"] is None
    assert again.sell()["ticket"] is None
    # A ticket of which every line is void is on hold no longer, and a part of it paid leaves the rest there.
    again.do("ticket", ticket=on_hold)
    second = again.sell()
    again.do("settle", lines=[sale["id"]], pay_method="cash")
    assert (again.detail["ticket"], again.detail["ticket_fen"]) == (on_hold, second["amount_fen"])
    again.do("settle", lines=[second["id"]], pay_method="cash")
    assert again.detail["ticket"] is None


def test_what_cannot_be_settled_is_refused(stall: Any) -> None:
    assert stall.tell("settle") == "unknown-sale"
    assert stall.tell("settle", lines=["no-such"]) == "unknown-sale"
    stall.do("goods", code="x")
    stall.load("1.000")
    sale = stall.do("confirm")[0]
    assert stall.tell("settle", lines=[sale["id"]]) == "no-amount"
    assert stall.tell("return", sale="no-such", reason="x") == "unknown-sale"
    assert stall.tell("return", sale=sale["id"]) == "no-reason"


def test_the_scale_s_amount_is_not_for_what_is_left_after_crates(stall: Any) -> None:
    stall.do("goods", code="x", price_fen=500)
    stall.do("tare", mass_mg=500_000)
    stall.load("1.500", unit_price="5.00", amount="7.50")
    sale = stall.do("confirm")[0]
    assert (sale["net_mg"], sale["amount_fen"], sale["amount_source"]) == (1_000_000, 500, "agent")
    assert "amount_mismatch" not in sale["flags"]
