"""The XML messages of a city's node software: names and content by profile, corrections honoured, bad profiles told."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any
from xml.etree import ElementTree

import pytest

from edge_agent.exports import national
from edge_agent.exports.national import BadProfile, Place, XmlProfile, profile_of
from edge_agent.records.bodies import Inspection, InspectionItem

FILE = resources.files("edge_agent.exports") / "profiles" / "meat-vegetables.toml"


@pytest.fixture
def settings() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture
def profile(settings: dict[str, Any]) -> XmlProfile:
    return profile_of(settings, "p.toml")


def messages(day: Any, profile: XmlProfile, node_type: str = "wet-market") -> list[ElementTree.Element]:
    place = Place(
        site="market-1",
        node_type=node_type,
        market_id="370602001",
        market_name="城北<市场>",
        parties={"3706025690012": "王记肉铺"},
        vouchers={"PIG-1": {"2": "JY-1"}},
    )
    data = b"".join(
        national.document(day.events, profile=profile, place=place, corrections=day.corrections, created="2026-11-23")
    )
    root = ElementTree.fromstring(data)
    assert root.tag == profile.root
    return list(root)


def content(message: ElementTree.Element) -> dict[str, str]:
    return {element.tag: element.text or "" for element in message}


def test_an_intake_is_base_and_detail_of_the_retail_market(day: Any, profile: XmlProfile) -> None:
    day.intake(price_fen=900, price_per="500g")
    base, detail = messages(day, profile)
    assert base.tag == "retail_market_in_info_base"
    assert content(base) == {
        "retail_market_id": "370602001",
        "retail_market_name": "城北<市场>",
        "in_date": "2026-11-23",
        "retailer_id": "3706025690012",
        "retailer_name": "王记肉铺",
        "tran_id": "00012",
        "quarantine_animal_products_id": "JY-1",
        "inspection_meat_id": "",
        "prov_id": "",
        "batch_id": "PIG-1",
    }
    assert detail.tag == "retail_market_in_info_detail"
    facts = content(detail)
    assert (facts["weight"], facts["price"], facts["area_origin_id"]) == ("300.000", "18.00", "370602")


def test_a_sale_is_a_summary_with_its_trace_code(day: Any, profile: XmlProfile) -> None:
    sale = day.sale(2, position="A-12")
    [summary] = messages(day, profile)
    facts = content(summary)
    assert summary.tag == "retail_market_tran_info_summ"
    assert facts["sale_tran_id"] == sale["data"]["trace_code"]
    assert (facts["weight"], facts["price"], facts["position_id"]) == ("2.000", "10.00", "A-12")
    assert facts["quarantine_animal_products_id"] == "JY-1"


def test_voids_are_withdrawn_amendments_and_returns_show_what_stands(day: Any, profile: XmlProfile) -> None:
    void, amended, back, whole = day.sale(2), day.sale(3), day.sale(4), day.sale(5)
    day.void(void)
    day.amend(amended, goods_name="猪后腿肉")
    day.give_back(back, net_mg=1_000_000)
    day.give_back(whole)
    first, second, third, fourth = messages(day, profile)
    assert (first.tag, first.attrib["message"]) == ("withdrawn", "retail_market_tran_info_summ")
    assert (first.attrib["record"], content(first)) == (void["id"], {"sale_tran_id": void["data"]["trace_code"]})
    assert content(second)["goods_name"] == "猪后腿肉"
    assert content(third)["weight"] == "3.000"
    assert fourth.tag == "withdrawn"


@pytest.mark.parametrize(
    ("node_type", "names"),
    [
        ("wholesale", ["market_in_info_base", "market_in_info_detail", "market_tran_info", "detection_info"]),
        ("supermarket", ["supermarket_in_info_base", "supermarket_in_info_detail", "detection_info"]),
        ("group-consumer", ["team_consume_in_info", "detection_info"]),
    ],
)
def test_each_kind_of_node_has_its_messages(day: Any, profile: XmlProfile, node_type: str, names: list[str]) -> None:
    day.intake()
    day.sale(1)
    item = InspectionItem(project="氯霉素", result="fail")
    day.record(Inspection, "bench", check_no="C-1", batch="PIG-1", result="fail", items=(item,))
    found = messages(day, profile, node_type)
    assert [message.tag for message in found] == names
    assert (content(found[-1])["result"], content(found[-1])["items"]) == ("0", "氯霉素")


def test_hostile_texts_stay_texts(every_event: list[dict[str, Any]], profile: XmlProfile, day: Any) -> None:
    day.events = every_event
    assert len(messages(day, profile)) > 10
    day.events = []
    day.sale(1, goods_name="</weight>\x00\x1b&<![CDATA[")
    assert content(messages(day, profile)[0])["goods_name"] == "</weight>\ufffd\ufffd&<![CDATA["


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "p.toml: unknown key 'colour'"),
        ({"messages": []}, r"\[\[messages\]\] is missing"),
        ({"root": "1x"}, "p.toml: root: '1x' is no name"),
        ({"name": ""}, "name must be a text"),
    ],
)
def test_a_bad_profile_is_told_with_its_place(settings: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadProfile, match=words):
        profile_of(settings | change, "p.toml")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("datum:batch", r"messages\[0\].fields.weight: 'datum:batch' must begin with one of data,"),
        ("data:wieght", "'wieght' is not one of"),
        ("table:colours:batch", "there is no table 'colours'"),
        ("place:owner", "'owner' is not one of market_id"),
        (7, "7 must begin with"),
    ],
)
def test_a_bad_source_of_an_element_is_told(settings: dict[str, Any], source: Any, words: str) -> None:
    settings["messages"][0]["fields"]["weight"] = source
    with pytest.raises(BadProfile, match=words):
        profile_of(settings, "p.toml")
