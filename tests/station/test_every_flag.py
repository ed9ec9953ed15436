"""Each flag of the vocabulary is raised by something that really happens at a station, and by nothing before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.catalogue import Catalogue
from edge_agent.codes import profile_from_mapping
from edge_agent.model import Instant
from edge_agent.records.flags import FLAGS
from edge_agent.station.base import Capacity

MILK = {"code": "veg", "name": "白菜", "price_fen": 5000, "tolerance_permille": 0}
PLATE = Capacity(min_mg=100_000, max_mg=15_000_000, e_mg=5_000, d_mg=5_000)


def sale(hall: Any, weight: str = "1.000", **changes: Any) -> Any:
    hall.place("sale", "A", **changes).sell("veg", weight)


def plain(hall: Any) -> None:
    sale(hall)


def more_than_came_in(hall: Any) -> None:
    hall.books.catalogue = Catalogue.of_rows({"goods": [MILK]})
    hall.place("intake", "door").do("confirm", goods_code="veg", net_mg=900_000, batch="B")
    sale(hall)


def the_scales_amount_is_another(hall: Any) -> None:
    stall = hall.place("sale", "A")
    stall.do("goods", code="veg")
    stall.load("1.000", unit_price="5.00", amount="5.01")
    stall.do("confirm")


def a_tenth_of_the_price(hall: Any) -> None:
    hall.books.catalogue = Catalogue.of_rows({"goods": [MILK]})
    sale(hall)


def goods_were_added(hall: Any) -> None:
    stall = hall.place("sale", "A")
    stall.sell()
    stall.do("goods", code="veg", price_fen=500)
    for _ in range(4):
        stall.show("1.500")
    stall.do("confirm")


def a_frame_without_basis(hall: Any) -> None:
    hall.place("log", "L").load("1.000", basis=None)


def loaded_when_watching_began(hall: Any) -> None:
    log = hall.place("log", "L")
    for _ in range(4):
        log.show("1.000")
    log.do("capture")


def cattle_on_the_platform(hall: Any) -> None:
    log = hall.place("log", "L")
    log.show("0.000").show("0.000")
    for weight in ("410.0", "415.5", "405.0"):
        log.show(weight, stability="moving")
    assert log.tell("capture") == "nothing-to-capture"
    log.do("capture", unstable=True)
    for _ in range(4):
        log.show("408.0")  # captured once: coming to rest makes no second record of it
    assert len(hall.of("weighing")) == 1


def nobody_stands_at_the_scale(hall: Any) -> None:
    hall.place("intake", "door").do("confirm", goods_code="veg", net_mg=1, batch="B")


def a_wedge_lost_its_separator(hall: Any) -> None:
    hall.place("log", "L").scan("010690123456789210AB1217261231")


def a_wrong_check_digit(hall: Any) -> None:
    hall.place("log", "L").scan("6901234567893")


def a_payer_shows_a_code(hall: Any) -> None:
    hall.place("log", "L").scan("134567890123456789")


def bytes_that_are_no_text(hall: Any) -> None:
    hall.place("log", "L").scan("x\ufffd", lossy=True)


def ledger_says(*flags: str) -> Callable[[Any], None]:
    return lambda hall: sale(hall, device_flags=lambda _device, _at: flags)


def plate(weight: str) -> Callable[[Any], None]:
    return lambda hall: sale(hall, weight, capacity=lambda _device: PLATE)


def unset_clock(hall: Any) -> None:
    instants = hall.now
    hall.now = lambda: replace(instants(), synced=False)
    sale(hall)


RAISED: dict[str, Callable[[Any], None]] = {
    "above_max": plate("15.050"),
    "added": goods_were_added,
    "amount_mismatch": the_scales_amount_is_another,
    "basis_unknown": a_frame_without_basis,
    "below_min": plate("0.095"),
    "clock_unsynced": unset_clock,
    "code_invalid": a_wrong_check_digit,
    "loaded_at_start": loaded_when_watching_began,
    "manual": nobody_stands_at_the_scale,
    "no_upstream": plain,
    "off_step": plate("1.001"),
    "over_balance": more_than_came_in,
    "price_suspect": a_tenth_of_the_price,
    "private_masked": a_payer_shows_a_code,
    "scale_unverified": ledger_says("scale_unverified"),
    "text_replaced": bytes_that_are_no_text,
    "uncommissioned": ledger_says("uncommissioned"),
    "unstable": cattle_on_the_platform,
    "wedge_suspect": a_wedge_lost_its_separator,
}


def flags_of(hall: Any) -> set[str]:
    return {flag for event in hall.events for flag in event["data"]["flags"]}


@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_every_flag_is_raised_by_what_it_means(hall: Any, flag: str) -> None:
    RAISED[flag](hall)
    assert flag in flags_of(hall)


def test_a_sale_in_order_has_no_flag(hall: Any, instants: Callable[[], Instant]) -> None:
    hall.books.catalogue = Catalogue.of_rows({"goods": [{"code": "veg", "name": "白菜", "price_fen": 500}]})
    hall.place("intake", "door").load("5.000").do("confirm", goods_code="veg", batch="B")
    sale(hall, capacity=lambda _device: PLATE, codes=profile_from_mapping({}))
    assert flags_of(hall) == set()
