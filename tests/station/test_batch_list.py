"""The lists of batches that scales are given, byte for byte."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from edge_agent.station.batch_list import Layout, batch_list, file_name
from edge_agent.station.batches import Account

SHANGHAI = ZoneInfo("Asia/Shanghai")
OPENED = 1_795_363_200_000  # 2026-11-22T16:00:00Z, which is midnight in Shanghai


def account(**changes: object) -> Account:
    fields: dict[str, object] = {"party": "P", "goods": "2001", "batch": "11010100000020000003", "goods_name": "土豆"}
    return Account(**(fields | {"opened_ms": OPENED, "in_mg": 50_000_000, "out_mg": 1_250_000} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layout", "unit", "text"),
    [
        (
            "jz",
            "kg",
            "进货日期\t批次号\t重量\t商品编码\t商品名称\r\n2026-11-23\t11010100000020000003\t48.75\t2001\t土豆\r\n",
        ),
        ("traceno", "g", "2026/11/23\t11010100000020000003\t48750\t2001\t土豆\r\n"),
    ],
)
def test_the_two_layouts(layout: Layout, unit: str, text: str) -> None:
    assert batch_list([account()], layout=layout, unit=unit, zone=SHANGHAI) == text  # type: ignore[arg-type]


def test_a_name_cannot_break_the_line_and_more_sold_than_came_in_is_nothing_left() -> None:
    odd = account(goods_name="a\tb\r\nc", out_mg=60_000_000, opened_ms=None)
    assert batch_list([odd], layout="traceno", unit="kg", zone=SHANGHAI) == (
        "\t11010100000020000003\t0\t2001\ta b  c\r\n"
    )


def test_names_of_the_files_and_how_long_a_list_gets() -> None:
    assert file_name("jz", "031") == "M_JZ_031.txt"
    assert file_name("traceno", "7") == "M_Traceno_7.txt"
    many = batch_list([account(batch=str(n)) for n in range(3_000)], layout="traceno", unit="kg", zone=SHANGHAI)
    assert many.count("\r\n") == 2_000
    assert "\t2999\t" in many
