"""Files of goods, parties and prices as people make them: what Excel does to them, and what is wrong in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.catalogue import Catalogue, read_catalogue
from edge_agent.catalogue.importing import MOST_FAULTS, MOST_ROWS
from edge_agent.catalogue.pinyin import initials_maker
from edge_agent.records.money import Quote

GOODS = (
    "编码,名称,PLU,条码,分类,单价,单位,排序\r\n"
    "01210101,大白菜,12,,叶菜,2.80,斤,2\r\n"
    "milk,鲜奶,,6901234567892,,12.5,件,1\r\n"
)
ROWS = (
    {
        "code": "01210101",
        "name": "大白菜",
        "plu": "12",
        "category": "叶菜",
        "price_fen": 280,
        "price_per": "500g",
        "order": 2,
    },
    {
        "code": "milk",
        "name": "鲜奶",
        "gtins": ("6901234567892",),
        "price_fen": 1250,
        "price_per": "each",
        "mode": "piece",
        "order": 1,
    },
)


def places(data: bytes, **more: Any) -> list[tuple[int, str]]:
    read = read_catalogue(data, **more)
    assert read.rows == ()
    assert all(fault.what and fault.hint for fault in read.faults)
    return [(fault.line, fault.column) for fault in read.faults]


@pytest.mark.parametrize(
    "data",
    [
        GOODS.encode(),
        b"\xef\xbb\xbf" + GOODS.encode(),
        GOODS.encode("gbk"),
        GOODS.replace("\r\n", "\n").encode("gb18030"),
        b"\xff\xfe" + GOODS.replace(",", "\t").encode("utf-16-le"),
        b"\xfe\xff" + GOODS.replace(",", "\t").encode("utf-16-be"),
        ("sep=;\r\n" + GOODS.replace(",", ";")).encode(),
        (GOODS.replace("\r\n", ",,\r\n") + ",,,,,,,,,\r\n\r\n").encode(),
        GOODS.replace("01210101", '"=""01210101"""').replace("12,,叶", "'12,,叶").encode(),
        GOODS.replace("12,,叶", "１２,,叶").replace("2.80", "¥2.80").encode(),
        ("\r\n\r\n" + GOODS).encode(),
        json.dumps(
            [
                {
                    "code": "01210101",
                    "name": "大白菜",
                    "plu": 12,
                    "category": "叶菜",
                    "price": 2.80,
                    "price_per": "斤",
                    "order": 2,
                },
                {
                    "code": "milk",
                    "name": "鲜奶",
                    "gtins": ["6901234567892"],
                    "price_fen": 1250,
                    "mode": "piece",
                    "order": 1,
                },
            ]
        ).encode(),
        b'{"code":"01210101","name":"\xe5\xa4\xa7\xe7\x99\xbd\xe8\x8f\x9c","plu":"12","category":"\xe5\x8f\xb6\xe8\x8f\x9c",'
        b'"price":"2.8","unit":"500g","order":"2"}\n'
        b'{"code":"milk","name":"\xe9\xb2\x9c\xe5\xa5\xb6","gtin":"6901234567892","price":12.5,"per":"each","order":1}\n',
    ],
    ids=[
        *("utf8", "bom", "gbk", "gb18030", "utf16le", "utf16be", "sep", "trailing"),
        *("text-cells", "full-width", "empty-lines", "json", "jsonl"),
    ],
)
def test_the_same_goods_whatever_wrote_the_file(data: bytes) -> None:
    read = read_catalogue(data)
    assert read.faults == ()
    assert (read.kind, read.rows) == ("goods", ROWS)


def test_every_fault_is_told_at_once_with_its_line_and_column() -> None:
    file = (
        "code,name,plu,gtins,price,price_per,mode,tint\n"
        "1.2E+12,白菜,12x,6901234567893,2.805,tonne,weight,red\n"
        ",无编码,,,,,,\n"
        'b,"两\n行",7,,1,kg,,\n'
        "c,c,007,,1,件,weight,\n"
        "b,again,,,,,,\n"
    )
    assert places(file.encode()) == [
        (1, "tint"),
        (2, "code"),
        (2, "plu"),
        (2, "gtins"),
        (2, "price"),
        (2, "price_per"),
        (3, "code"),
        (4, "name"),
        (6, "plu"),
        (6, "price_per"),
        (7, "code"),
    ]


def test_a_cell_of_two_lines_is_counted_by_where_it_begins() -> None:
    file = 'code,name\na,"甲"\n"b\nb",乙\nc,丙\nc,丁\n'
    assert places(file.encode(), kind="goods") == [(3, "code"), (6, "code")]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"PK\x03\x04\x00\x00", "no text"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"code,name\n\xff\xff,x\n", "GB18030"),
        (b"a,b\n1,2\n", "do not tell"),
        (b'[{"code":"1","name":"x","plu":1}', "does not end"),
        (b'[{"code":"1","name":"x","plu":1} {"code":"2"}]', "does not end"),
        (b"[1,2]", "not an object"),
        (b'{"code": ', "not JSON"),
        (b'code,name,plu\n"1,x,2\n', "not CSV"),
        (b"code,name,plu\n1,x,2,3\n", "4 cells"),
        (b"code,name,plu\n", "no rows"),
        (b"code,,plu\n1,2,3\n", "no name"),
        (b"[" * 100_000, "not"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(data: bytes, what: str) -> None:
    read = read_catalogue(data)
    assert read.rows == ()
    assert len(read.faults) == 1
    assert what in read.faults[0].what


def test_numbers_belong_to_one_goods_only() -> None:
    file = "code,name,plu,gtins\na,a,12,69012341;6901234567892\nb,b,0012,06901234567892\n"
    assert places(file.encode()) == [(3, "plu"), (3, "gtins")]


def test_parties_have_a_right_credit_code_and_prices_name_goods_that_are_there() -> None:
    parties = (
        "主体编码,名称,统一社会信用代码,许可证,电话\n"
        "3706025690012,张记蔬菜,91350100M000100Y43,食品经营:JY13706020001234,13800138000\n"
    )
    read = read_catalogue(parties.encode("gbk"))
    assert read.kind == "parties"
    assert read.rows[0]["licences"] == {"食品经营": "JY13706020001234"}
    assert places(parties.replace("Y43", "Y44").encode()) == [(2, "统一社会信用代码")]
    known = Catalogue.of_rows({"goods": ROWS})
    prices = (
        "编码,日期,单价,单位\n01210101,2026/11/6,3.2,斤\nmilk,2026-11-26,13,\nnone,2026-11-26,1,kg\nmilk,46352,1,件\n"
    )
    assert places(prices.encode(), known=known) == [(4, "编码"), (5, "日期")]
    good = read_catalogue(prices.encode().split(b"none")[0], known=known)
    assert good.kind == "prices"
    assert [row["since"] for row in good.rows] == ["2026-11-06", "2026-11-26"]
    assert good.rows[1]["price_per"] == "each"


def test_rows_are_added_beside_others_and_take_the_place_of_their_own() -> None:
    read = read_catalogue(b"code,name,plu\nmilk,fresh milk,15\n", beside=lambda _kind: ROWS)
    assert [row["code"] for row in read.rows] == ["01210101", "milk"]
    assert read.rows[1] == {"code": "milk", "name": "fresh milk", "plu": "15"}
    assert places(b"code,name,plu\nkale,kale,12\n", beside=lambda _kind: ROWS) == [(2, "plu")]


def test_bounds_hold() -> None:
    many = b"code,name,plu\n" + b"".join(b"c%d,n,\n" % n for n in range(MOST_ROWS + 1))
    assert "more than" in read_catalogue(many).faults[0].what
    wrong = b"code,name,plu\n" + b"c,n,x\n" * 3_000
    assert len(read_catalogue(wrong).faults) == MOST_FAULTS


def test_prices_rule_by_day_and_by_party() -> None:
    prices = (
        {"goods": "01210101", "since": "2026-11-01", "price_fen": 300, "price_per": "500g"},
        {"goods": "01210101", "since": "2026-11-20", "price_fen": 320, "price_per": "500g"},
        {"goods": "01210101", "since": "2026-11-10", "price_fen": 310, "price_per": "500g", "party": "p"},
    )
    known = Catalogue.of_rows({"goods": ROWS, "prices": prices})
    assert known.price("01210101", "2026-10-31") == Quote(280, "500g")
    assert known.price("01210101", "2026-11-19") == Quote(300, "500g")
    assert known.price("01210101", "2026-11-20") == Quote(320, "500g")
    assert known.price("01210101", "2026-11-20", "p") == Quote(310, "500g")
    assert known.price("01210101", "2026-11-09", "p") == Quote(300, "500g")
    assert known.price("nothing", "2026-11-09") is None


def test_goods_are_found_by_code_plu_and_article_number() -> None:
    known = Catalogue.of_rows({"goods": ROWS})
    for text, code in (("01210101", "01210101"), ("00012", "01210101"), ("12", "01210101"), ("06901234567892", "milk")):
        item = known.find(text)
        assert item is not None, text
        assert item.code == code
    assert known.find("13") is None
    assert [item.code for item in known.in_order()] == ["milk", "01210101"]


def test_initials_are_made_by_phrase_and_given_ones_win() -> None:
    make = initials_maker()
    assert make is not None  # the development set has pypinyin
    file = "code,name,拼音,plu\na,大白菜,,1\nb,重庆火锅底料ABC,,2\nc,番茄(西红柿),xhs,3\nd,???,,4\n".encode()
    rows = read_catalogue(file, initials=make).rows
    assert [row.get("initials") for row in rows] == ["dbc", "cqhgdlabc", "xhs", None]
    assert [row.get("initials") for row in read_catalogue(file).rows] == [None, None, "xhs", None]


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=200).map(lambda text: ("code,name,plu\n" + text).encode(errors="replace")),
    )
)
def test_any_bytes_give_rows_or_faults(data: bytes) -> None:
    read = read_catalogue(data)
    assert bool(read.rows) != bool(read.faults)
    if read.rows:
        assert read.kind is not None
        Catalogue.of_rows({read.kind: read.rows})
