"""Every field of the municipal interface and every element of GB/T 38156 is in a record, or there is a reason why not.

The lists here are written from what is known of the two, not from the table that is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edge_agent.exports.municipal import GBT_38156_ELEMENTS, MUNICIPAL_FIELDS, Absent, Here
from edge_agent.records.bodies import BODIES
from edge_agent.records.bodies.base import Body
from edge_agent.records.bodies.terms import GBT_38156, MUNICIPAL
from edge_agent.records.schemas import envelope_schema
from edge_agent.records.shape import facts, inner_kinds

MESSAGES = {
    "enterBase": "thirdEnterId thirdAccId marketId enterTime thirdGoodsId thirdGoodsName enterNum unitName"
    " productionStr brand specification transporterId thirdUpId approvalStatus certificatePictures delete",
    "inDoor": "inTime marketId thirdAccId thirdEnterIds",
    "detection": "checkNo checkOrgCode checkOrgName checkTime checkType checker checkResult goodsCode goodsName"
    " accountName idCard boothNo marketId items.project items.value items.normalValue items.result pictures",
    "check fail": "checkNo disposalDate disposalType quantity result person pictures",
    "order/sc": "thirdOrderId orderTime thirdSellId thirdBuyId thirdQrCode flag lines.detailId lines.orderNum"
    " lines.price lines.unitName lines.thirdEnterId lines.thirdOrderParentId lines.thirdOrderDetailParentId delete",
    "daily counters": "registered+kg registered+batches tested+batches traded+batches traded+kg unqualified+batches"
    " unqualified+kinds unqualified+list updateTime",
    "account": "account+save account+delete upstream+and+downstream+save code/updateAccount:+QR"
    " code/updateAccount:+colour",
}
GROUPS = {
    "5.1": "name|unified social credit code|subject trace code|type and role|address|administrative code|contact"
    "|licence number",
    "5.2": "name|category code|product code (GTIN)|trace code|batch number|specification|unit|quantity"
    "|day of production|shelf life or expiry|origin|producer|brand|certificates",
    "5.3": "voucher number|time|place|kind of act|quantity|unit price|amount|way of payment|transport",
    "6 to 10": "record id|created|creating system|how it was captured|state of update|checksum",
}


@pytest.mark.parametrize(("message", "fields"), MESSAGES.items())
def test_every_field_of_the_municipal_interface_has_an_answer(message: str, fields: str) -> None:
    [answers] = [found for name, found in MUNICIPAL_FIELDS.items() if f"({message}" in name or name == message]
    assert set(answers) == {field.replace("+", " ") for field in fields.split()}


@pytest.mark.parametrize(("group", "elements"), GROUPS.items())
def test_every_element_of_gbt_38156_has_an_answer(group: str, elements: str) -> None:
    [answers] = [found for name, found in GBT_38156_ELEMENTS.items() if name.startswith(group)]
    assert set(answers) == set(elements.split("|"))


def answers() -> Iterator[tuple[str, Here | Absent]]:
    for tables in (MUNICIPAL_FIELDS, GBT_38156_ELEMENTS):
        for name, found in tables.items():
            for field, answer in found.items():
                yield f"{name}: {field}", answer


@pytest.mark.parametrize(("theirs", "answer"), list(answers()))
def test_every_place_that_is_named_exists(theirs: str, answer: Here | Absent) -> None:
    if isinstance(answer, Absent):
        assert len(answer.reason) > 20, theirs
        return
    assert answer.places
    for place in answer.places:
        assert exists(place), (theirs, place)


def exists(place: str) -> bool:
    kind_name, *path = place.split(".")
    if path[0] in envelope_schema()["properties"]:
        return len(path) == 1 and (kind_name == "*" or f"trace.{kind_name}.v1" in BODIES)
    kind: Any = Body if kind_name == "*" else BODIES[f"trace.{kind_name}.v1"]
    for step, name in enumerate(path):
        if name not in {fact.name for fact in facts(kind)}:
            return False
        if step < len(path) - 1:
            kind = dict(inner_kinds(kind))[name]
    return True


@pytest.mark.parametrize(("mark", "tables"), [(MUNICIPAL, MUNICIPAL_FIELDS), (GBT_38156, GBT_38156_ELEMENTS)])
def test_every_field_that_is_said_to_come_from_there_is_named(mark: str, tables: dict[str, Any]) -> None:
    named = {
        part
        for found in tables.values()
        for answer in found.values()
        if isinstance(answer, Here)
        for place in answer.places
        for part in place.split(".")[1:]
    }
    marked = {
        fact.name
        for kind in BODIES.values()
        for each in (kind, *(inner for _, inner in inner_kinds(kind)))
        for fact in facts(each)
        if fact.source == mark
    }
    assert marked <= named, marked - named
