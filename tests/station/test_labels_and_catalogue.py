"""Labels that a scale printed elsewhere in the shop, sold at a counter: both lengths, both orders, checked against the
catalogue's price."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.catalogue import Catalogue
from edge_agent.city import load_city
from edge_agent.codes.check_digits import mod10

CITY = load_city("sample-city", None)[0].codes
CABBAGE = {"code": "01210101", "name": "大白菜", "plu": "12", "price_fen": 640, "price_per": "500g"}


def label(body: str) -> str:
    return body + str(mod10(body))


@pytest.fixture
def stall(hall: Any) -> Any:
    hall.books.catalogue = Catalogue.of_rows({"goods": [CABBAGE]})
    hall.place("intake", "door").do("confirm", goods_code="12", net_mg=50_000_000, batch="B")
    return hall.place("sale", "A", codes=CITY).show("0.000").show("0.000")


@pytest.mark.parametrize(
    ("body", "amount", "source", "flags"),
    [
        ("210001201234", 1580, "agent", []),  # 1.234 kg at 12.80: 15.7952
        ("26000120158001234", 1580, "device", []),
        ("27000120123401580", 1580, "device", []),
        ("26000120157901234", 1579, "device", []),  # the label's scale cuts what is below a fen
        ("26000120167801234", 1678, "device", ["amount_mismatch"]),
    ],
)
def test_a_label_is_sold_by_its_own_weight_and_amount(
    stall: Any, body: str, amount: int, source: str, flags: list[str]
) -> None:
    stall.scan(label(body))
    assert (stall.detail["can_confirm"], stall.detail["amount_raw_fen"]) == (True, amount)
    (sale,) = stall.do("confirm")
    assert (sale["goods_code"], sale["goods_name"], sale["batch"]) == ("01210101", "大白菜", "B")
    assert (sale["net_mg"], sale["indication"], sale["unit"]) == (1_234_000, "1.234", "kg")
    assert (sale["amount_fen"], sale["amount_source"], sale["price_fen"]) == (amount, source, 640)
    assert (sale["device"], sale["flags"]) == ("c", flags)
    assert stall.tell("confirm") == "no-goods"  # one label, one sale


def test_a_label_with_an_amount_only_names_goods_that_are_weighed(stall: Any) -> None:
    stall.scan(label("220001201580"))
    assert stall.tell("confirm") == "no-load"
    stall.load("1.000")
    assert stall.do("confirm")[0]["net_mg"] == 1_000_000


def test_the_price_is_seen_before_the_weight_is_at_rest(stall: Any) -> None:
    stall.scan(label("220001201580"))
    assert (stall.detail["why_not"], stall.detail["price_fen"], stall.detail["price_per"]) == ("no-load", 640, "500g")


def test_what_lies_on_the_scale_comes_before_what_a_label_says(stall: Any) -> None:
    stall.load("0.500")
    stall.scan(label("210001201234"))
    assert stall.do("confirm")[0]["net_mg"] == 500_000


@pytest.mark.parametrize("body", ["210001200000", "210009901234"])
def test_a_label_without_weight_or_of_unknown_goods_is_no_catalogue_sale(stall: Any, body: str) -> None:
    stall.scan(label(body))
    if body.endswith("00000"):
        assert stall.tell("confirm") == "no-load"
    else:
        (sale,) = stall.do("confirm")
        assert (sale["goods_code"], sale["price_fen"], sale["flags"]) == ("00099", None, ["no_upstream"])


def test_a_label_with_a_wrong_check_digit_is_weighed_and_flagged(stall: Any) -> None:
    right = label("210001201234")
    stall.scan(right[:-1] + str((int(right[-1]) + 1) % 10))
    assert stall.tell("confirm") == "no-load"
    stall.load("1.000")
    assert "code_invalid" in stall.do("confirm")[0]["flags"]
