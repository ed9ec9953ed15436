"""Receipts, labels and certificates: what stands on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.model import Document, Pair, QrCode, Text
from edge_agent.receipts import Issuer, Printout, certificate, label, receipt

MakeSale = Callable[..., dict[str, Any]]

ISSUER = Issuer(
    market="南门农贸市场",
    complaint="12315",
    query_url="https://trace.example/t/{code}",
    stalls={"A12": "A12 王记蔬菜"},
    sellers={"3706025690012": "王芳"},
)


def words(document: Document) -> dict[str, str]:
    return {part.left: part.right for part in document.parts if isinstance(part, Pair)}


def texts(document: Document) -> list[str]:
    return [part.text for part in document.parts if isinstance(part, Text)]


def test_a_receipt_says_all_that_it_has_to(sale: MakeSale) -> None:
    origins = {"20261123-07": {"data": {"origin_name": "山东寿光"}}}
    made = receipt(Printout(sales=[sale()], origins=origins, proofs={"0193": "TR1.x"}), ISSUER)
    assert words(made) == {
        "商户": "王芳",
        "摊位": "A12 王记蔬菜",
        "时间": "2026-11-23 09:15:02",
        "皮重": "0.020 公斤",
        "净重": "2.345 公斤",
        "单价": "2.80 元/500克",
        "金额": "13.10 元",
        "批次": "20261123-07",
        "产地": "山东寿光",
        "追溯码": "37060256900120000058",
        "原价": "13.13 元",
        "抹零": "-0.03 元",
        "合计": "13.10 元",
        "投诉电话": "12315",
    }
    assert texts(made) == ["南门农贸市场", "大白菜", "以秤面示值为准"]
    assert [part.text for part in made.parts if isinstance(part, QrCode)] == [
        "https://trace.example/t/37060256900120000058#TR1.x"
    ]


def test_an_unset_clock_and_a_second_print_are_said(sale: MakeSale) -> None:
    made = receipt(Printout(sales=[sale(flags=["clock_unsynced"])], again=True), ISSUER)
    assert words(made)["时间"] == "2026-11-23 09:15:02 时间待校准"
    assert "【补打】" in texts(made)


def test_a_ticket_has_all_its_lines_and_one_sum(sale: MakeSale) -> None:
    lines = [sale(amount_fen=1310), sale(mode="piece", qty=3, net_mg=None, amount_raw_fen=600, amount_fen=600)]
    made = receipt(Printout(sales=lines), ISSUER)
    assert words(made)["合计"] == "19.10 元"
    assert words(made)["数量"] == "3 件"


def test_no_sum_is_made_up_where_an_amount_is_missing(sale: MakeSale) -> None:
    made = receipt(Printout(sales=[sale(), sale(amount_fen=None, amount_raw_fen=None)]), ISSUER)
    assert "合计" not in words(made)


def test_a_mass_finer_than_a_gram_is_not_rounded_away(sale: MakeSale) -> None:
    assert words(receipt(Printout(sales=[sale(net_mg=1_234_567)]), ISSUER))["净重"] == "1.234567 公斤"


def test_a_label_has_the_code_without_the_proof(sale: MakeSale) -> None:
    made = label(Printout(sales=[sale()], proofs={"0193": "TR1.x"}), ISSUER)
    assert made.kind == "label"
    assert [p.text for p in made.parts if isinstance(p, QrCode)] == ["https://trace.example/t/37060256900120000058"]
    with pytest.raises(ValueError, match="one sale"):
        label(Printout(sales=[sale(), sale()]), ISSUER)


def test_a_certificate_is_the_commitment_where_there_is_one() -> None:
    vouchers = [
        {"type": "5", "no": "J-1"},
        {
            "type": "commitment",
            "no": "C-9",
            "issuer": "寿光合作社",
            "issued": "2026-11-22",
            "url": "https://c.example/9",
        },
    ]
    intake = {
        "id": "0192",
        "type": "trace.intake.v1",
        "data": {"batch": "B-1", "goods_name": "大白菜", "net_mg": 100_000_000, "vouchers": vouchers},
    }
    made = certificate(intake, ISSUER)
    assert texts(made)[0] == "承诺达标合格证"
    assert words(made)["编号"] == "C-9"
    assert words(made)["数量"] == "100.000 公斤"
    assert [p.text for p in made.parts if isinstance(p, QrCode)] == ["https://c.example/9"]
    with pytest.raises(ValueError, match="without a voucher"):
        certificate({**intake, "data": {**intake["data"], "vouchers": []}}, ISSUER)


def test_nothing_sold_has_no_receipt() -> None:
    with pytest.raises(ValueError, match="at least one sale"):
        receipt(Printout(sales=[]), ISSUER)
