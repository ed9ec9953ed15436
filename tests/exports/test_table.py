"""The table: what stands in it, what it may be added up to, and that a spreadsheet runs nothing of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any, Literal

import pytest

from edge_agent.exports import table
from edge_agent.exports.standings import Corrections
from edge_agent.records.bodies import ScanBody


def rows(
    events: Iterable[dict[str, Any]], corrections: Corrections, language: Literal["zh", "en"] = "zh"
) -> list[dict[str, str]]:
    data = b"".join(table.document(events, corrections=corrections, language=language))
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_headings_and_words_are_chinese_or_english(day: Any) -> None:
    day.sale(2)
    [chinese] = rows(day.events, day.corrections)
    assert (chinese["类型"], chinese["状态"], chinese["净重(千克)"], chinese["金额(元)"]) == (
        "销售",
        "有效",
        "2.000",
        "20.00",
    )
    assert (chinese["日期"], chinese["时间"]) == ("2026-11-23", "06:00:01")
    [english] = rows(day.events, day.corrections, "en")
    assert (english["type"], english["state"], english["net (kg)"]) == ("sale", "valid", "2.000")


def test_sums_honour_voids_amendments_and_returns(day: Any) -> None:
    sold, void, amended, back = day.sale(2), day.sale(3), day.sale(4), day.sale(5)
    pieces = day.sale(
        0, mode="piece", qty=10, net_mg=None, price_fen=90, price_per="each", amount_raw_fen=900, amount_fen=900
    )
    day.void(void)
    day.amend(amended, price_fen=900)
    day.give_back(back, net_mg=1_500_000)
    gone = day.give_back(sold)
    day.void(gone)
    day.give_back(pieces, qty=3)
    found = rows(day.events, day.corrections)
    assert [row["状态"] for row in found[:5]] == ["有效", "已作废", "已更正", "有退货", "有退货"]
    assert [row["计入重量(千克)"] for row in found[:5]] == ["2.000", "0.000", "4.000", "3.500", ""]
    assert [row["计入金额(元)"] for row in found] == ["20.00", "0.00", "36.00", "35.00", "6.30", *[""] * 6]
    assert found[4]["计入件数"] == "7"
    assert found[2]["单价(元)"] == "9.00"
    assert found[1]["作废记录"] == day.events[5]["id"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        *((text, f"'{text}") for text in ("=1+1", "+86", "-x", "@SUM(A1)", "\t=1", " =1", "＝1", "0012", "1E5")),
        ("37060256900120000058", "'37060256900120000058"),
        ("69012345678", "69012345678"),
        ("-0.005", "-0.005"),
        ("猪肉", "猪肉"),
        ('a,"b"\nc', 'a,"b"\nc'),
    ],
)
def test_no_cell_is_a_formula_and_no_code_becomes_a_number(day: Any, text: str, cell: str) -> None:
    day.record(ScanBody, text=text)
    [row] = rows(day.events, day.corrections)
    assert row["扫描内容"] == cell


def test_every_type_makes_a_row(every_event: list[dict[str, Any]]) -> None:
    by_sequence = {int(event["sequence"]): event for event in every_event}
    found = rows(every_event, Corrections.among(every_event, by_sequence.get))
    assert [int(row["序号"]) for row in found] == list(range(1, len(every_event) + 1))
    risky = ("=", "+", "@", "\t", "\r")
    assert not [cell for row in found for cell in row.values() if cell.startswith(risky)]


def test_masses_and_amounts_are_exact() -> None:
    assert [table.kilograms(mass) for mass in (1_234_000, -5_000, 1, 0, None)] == [
        "1.234", "-0.005", "0.000001", "0.000", None,
    ]  # fmt: skip
    assert [table.yuan(fen) for fen in (1580, 5, -120, None)] == ["15.80", "0.05", "-1.20", None]
