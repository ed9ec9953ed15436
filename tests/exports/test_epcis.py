"""EPCIS output against what others wrote: epcis2.js, GS1's JSON-LD context, the event hash generator."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from others_tools import generated_ids
from pyld import jsonld

from edge_agent.city import load_city
from edge_agent.exports import epcis, national, table
from edge_agent.exports.epcis_hash import event_id
from edge_agent.exports.epcis_text import BIZ_STEPS, DISPOSITIONS, plain_text
from edge_agent.exports.national import Place
from edge_agent.exports.standings import Corrections
from edge_agent.records.bodies import BODIES, Party, Transform
from edge_agent.records.bodies.movement import Part

CREATED = "2026-11-23T20:00:00.000+08:00"


def written(
    events: Iterable[dict[str, Any]],
    corrections: Corrections,
    read: Callable[[int], Any],
    selected: Callable[[Any], bool] = lambda _: True,
) -> bytes:
    return b"".join(epcis.document(events, created=CREATED, corrections=corrections, read=read, selected=selected))


def listed(document: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(document)["epcisBody"]["eventList"]
    return found


def of_day(day: Any) -> list[dict[str, Any]]:
    return listed(written(day.events, day.corrections, day.read))


@pytest.fixture(scope="module")
def everything(every_event: list[dict[str, Any]]) -> bytes:
    by_sequence = {int(event["sequence"]): event for event in every_event}
    return written(every_event, Corrections.among(every_event, by_sequence.get), by_sequence.get)


def test_every_type_of_record_validates_with_epcis2js(
    everything: bytes, tmp_path: Path, epcis2js: Callable[[Path], dict[str, Any]]
) -> None:
    file = tmp_path / "all.jsonld"
    file.write_bytes(everything)
    verdict = epcis2js(file)
    assert verdict["problems"] == []
    assert verdict["events"] >= len(BODIES) * 7


def test_epcis2js_sees_what_is_wrong(everything: bytes, tmp_path: Path, epcis2js: Any) -> None:
    """The check has teeth: each of these is refused."""
    good = orjson.loads(everything)
    at = next(n for n, e in enumerate(good["epcisBody"]["eventList"]) if e["trace:recordType"] == "trace.intake.v1")
    wrongs: list[dict[str, Any]] = [
        {"eventTimeZoneOffset": "+8"},
        {"action": "SEEN"},
        {"bizStep": "selling"},
        {"disposition": "sold"},
        {"notPrefixed": 1},
        {"other:field": 1},
        {"action": "OBSERVE", "ilmd": {"cbvmda:lotNumber": "1"}},
        {"quantityList": [{"epcClass": "urn:x:y", "quantity": 1, "uom": "kilogram"}]},
    ]
    files = []
    for number, wrong in enumerate(wrongs):
        bad = copy.deepcopy(good)
        bad["epcisBody"]["eventList"] = [good["epcisBody"]["eventList"][at] | wrong]
        files.append(tmp_path / f"{number}.jsonld")
        files[-1].write_bytes(orjson.dumps(bad))
    for wrong, verdict in zip(wrongs, epcis2js(*files), strict=True):
        assert verdict["problems"], wrong


def test_ids_agree_with_the_event_hash_generator(everything: bytes) -> None:
    ours = [event["eventID"] for event in listed(everything)]
    assert ours == generated_ids(everything)
    assert len(set(ours)) == len(ours)


def test_every_change_of_an_event_gives_another_id(everything: bytes) -> None:
    for event in listed(everything)[::7]:
        for name, value in event.items():
            if name in ("eventID", "type", "errorDeclaration") or not isinstance(value, str) or name == "eventTime":
                continue
            assert event_id(event | {name: value + "x"}, epcis.NAMESPACES) != event["eventID"], name


def test_documents_are_json_ld_in_which_nothing_gets_lost(everything: bytes) -> None:
    """Expansion drops what the context does not define: every property must come out with an address."""
    document = orjson.loads(everything)
    [expanded] = jsonld.expand(document)
    [body] = expanded["https://ref.gs1.org/epcis/epcisBody"]
    events = body["https://ref.gs1.org/epcis/eventList"]
    assert len(events) == len(document["epcisBody"]["eventList"])
    for event, plain in zip(events, document["epcisBody"]["eventList"], strict=True):
        names = {name for name in event if not name.startswith("@")}
        assert all(":" in name for name in names)
        assert len(event) == len(plain), (sorted(event), sorted(plain))
        for word, known in (("bizStep", BIZ_STEPS), ("disposition", DISPOSITIONS)):
            assert plain.get(word) is None or plain[word] in known


def test_the_rules_of_gs1_hold(everything: bytes) -> None:
    for event in listed(everything):
        assert event["eventTimeZoneOffset"] == event["eventTime"][-6:]
        own = event["type"].startswith("trace:")
        assert own == ("bizStep" not in event)
        assert own or event["trace:recordType"] == "trace.amend.v1" or event["trace:recordType"] not in epcis.OWN_TYPES
        if own:
            continue
        if event["type"] == "TransformationEvent":
            assert "action" not in event
            assert event["transformationID"]
        else:
            assert event["action"] in ("ADD", "OBSERVE", "DELETE")
            objects = ("epcList", "quantityList", "sensorElementList")
            assert any(event.get(name) for name in objects), event
        assert "ilmd" not in event or event["action"] == "ADD"
        lists = (event.get(name, []) for name in ("quantityList", "inputQuantityList", "outputQuantityList"))
        for element in (element for each in lists for element in each):
            assert set(element) <= {"epcClass", "quantity", "uom"}
            assert element.get("uom", "KGM") == "KGM"
        if event["type"] == "TransactionEvent":
            assert event["bizTransactionList"]


def test_acts_of_a_market_are_the_events_that_they_should_be(day: Any) -> None:
    intake = day.intake(lot="L-7", expiry=None)
    sale = day.sale(2, ticket="T-1")
    trade = day.sale(50, buyer="3706025690099", ticket="T-2")
    day.record(
        Transform,
        "bench",
        inputs=(Part(batch="PIG-1", net_mg=10_000_000),),
        outputs=(Part(batch="CUT-1", net_mg=6_500_000), Part(batch="CUT-2", net_mg=3_000_000)),
        loss_mg=500_000,
    )
    first, second, third, fourth = of_day(day)
    batch = "urn:trace-edge-agent:market-1:batch:PIG-1"
    assert (first["type"], first["action"], first["bizStep"]) == ("ObjectEvent", "ADD", "receiving")
    assert first["quantityList"] == [{"epcClass": batch, "quantity": 300, "uom": "KGM"}]
    assert first["ilmd"] == {"cbvmda:lotNumber": "L-7"}
    assert [each["type"] for each in first["bizTransactionList"]] == ["cert", "inv"]
    assert first["sourceList"][0]["source"].endswith(":party:3706025690777")
    assert first["trace:recordID"] == f"urn:uuid:{intake['id']}"
    assert (second["type"], second["bizStep"], second["disposition"]) == (
        "ObjectEvent",
        "retail_selling",
        "retail_sold",
    )
    assert second["quantityList"] == [{"epcClass": batch, "quantity": 2, "uom": "KGM"}]
    assert second["trace:amount_fen"] == sale["data"]["amount_fen"]
    assert (third["type"], third["action"], third["bizStep"]) == ("TransactionEvent", "ADD", "shipping")
    assert third["destinationList"][0]["destination"].endswith(":party:3706025690099")
    assert third["trace:sequence"] == int(trade["sequence"])
    assert (fourth["type"], fourth["bizStep"]) == ("TransformationEvent", "disassembling")
    assert [each["quantity"] for each in fourth["outputQuantityList"]] == [6.5, 3]


def test_a_void_repeats_the_event_with_an_error_declaration(day: Any) -> None:
    sale = day.sale(2)
    void = day.void(sale)
    first, second = of_day(day)
    assert second == first | {"errorDeclaration": {"declarationTime": void["time"], "reason": "did_not_occur"}}


def test_an_amendment_names_the_corrective_event_and_a_later_void_takes_that_one_back(day: Any) -> None:
    sale = day.sale(2)
    day.amend(sale, goods_name="猪后腿肉")
    day.amend(sale, price_fen=900)
    day.void(sale)
    original, wrong, better, wrong_too, best, gone = of_day(day)
    assert wrong["errorDeclaration"]["reason"] == "incorrect_data"
    assert (wrong["eventID"], wrong["errorDeclaration"]["correctiveEventIDs"]) == (
        original["eventID"],
        [better["eventID"]],
    )
    assert (better["eventTime"], better["trace:goods_name"]) == (original["eventTime"], "猪后腿肉")
    assert better["trace:corrects"] == f"urn:uuid:{sale['id']}"
    assert wrong_too["eventID"] == better["eventID"]
    assert (best["trace:amount_fen"], best["trace:goods_name"]) == (1800, "猪后腿肉")
    assert (gone["eventID"], gone["errorDeclaration"]["reason"]) == (best["eventID"], "did_not_occur")


def test_ids_of_corrections_agree_too(day: Any, tmp_path: Path, epcis2js: Any) -> None:
    sale, other = day.sale(2), day.sale(3)
    day.amend(sale, goods_name="receiving")
    day.give_back(other, net_mg=1_000_000)
    day.void(sale)
    document = written(day.events, day.corrections, day.read)
    assert [event["eventID"] for event in listed(document)] == generated_ids(document)
    file = tmp_path / "day.jsonld"
    file.write_bytes(document)
    assert epcis2js(file)["problems"] == []


def test_corrections_outside_an_export_are_shown_with_the_record(day: Any) -> None:
    """Today's export of yesterday's sales knows that one of them is void and one was amended."""
    sale, other = day.sale(2), day.sale(3)
    day.void(sale)
    day.amend(other, goods_name="猪后腿肉")

    def only_sales(event: Any) -> bool:
        return bool(event["type"] == "trace.sale.v1")

    document = written(filter(only_sales, day.events), day.corrections, day.read, only_sales)
    first, gone, second, wrong, better = listed(document)
    assert gone["errorDeclaration"]["reason"] == "did_not_occur"
    assert gone["eventID"] == first["eventID"]
    assert wrong["eventID"] == second["eventID"]
    assert wrong["errorDeclaration"]["correctiveEventIDs"] == [better["eventID"]]


def test_a_correction_whose_record_was_purged_is_an_event_of_our_own(day: Any) -> None:
    void = day.void(day.sale(2))
    amend = day.amend(day.sale(3), goods_name="x")
    day.events[0] = day.events[2] = None
    document = written([void, amend], Corrections.among([void, amend], day.read), day.read)
    first, second = listed(document)
    assert (first["type"], second["type"]) == ("trace:Void", "ObjectEvent")
    assert [first["eventID"], second["eventID"]] == generated_ids(document)


def test_an_empty_export_is_a_document(day: Any, tmp_path: Path, epcis2js: Any) -> None:
    file = tmp_path / "none.jsonld"
    file.write_bytes(written([], day.corrections, day.read))
    assert epcis2js(file) == {"problems": [], "events": 0}


def test_what_is_no_event_of_a_supply_chain_is_one_of_our_own(day: Any) -> None:
    day.record(Party, "gw-1", code="3706025690012", name="王记肉铺", roles=("seller",))
    [event] = of_day(day)
    assert (event["type"], event["trace:name"]) == ("trace:Party", "王记肉铺")
    assert "action" not in event


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("猪前腿肉", "猪前腿肉"),
        ("https://certificate.example/1", "https://certificate.example/1"),
        ("receiving", "data:,receiving"),
        ("1e999", "data:,1e999"),
        ("urn:epc:id:sgtin:0614141.812345.6789", "data:,urn%3Aepc%3Aid%3Asgtin%3A0614141.812345.6789"),
        ("https://x.example/01/06901234567892", "data:,https%3A%2F%2Fx.example%2F01%2F06901234567892"),
    ],
)
def test_texts_that_could_be_mistaken_are_escaped(text: str, safe: str) -> None:
    assert plain_text(text) == safe


@pytest.mark.parametrize("form", ["epcis", "csv", "xml"])
def test_an_export_holds_little_of_a_long_stream(day: Any, form: str) -> None:
    """Ten times the records need no more memory: what is written is let go."""
    day.intake()
    sale = day.sale(2)

    def peak(count: int) -> int:
        def stream() -> Iterable[dict[str, Any]]:
            for number in range(count):
                yield {**sale, "sequence": f"{number + 1:016d}"}

        pieces: Iterable[bytes]
        if form == "epcis":
            pieces = epcis.document(
                stream(), created=CREATED, corrections=day.corrections, read=day.read, selected=lambda _: True
            )
        elif form == "csv":
            pieces = table.document(stream(), corrections=day.corrections, language="zh")
        else:
            profile = national.profile_of(load_city(None, Path("/nowhere"), ("f", "k"))[1], "profile")
            place = Place(site="m", node_type="wet-market", market_id="m", market_name="m")
            pieces = national.document(
                stream(), profile=profile, place=place, corrections=day.corrections, created=CREATED
            )
        tracemalloc.start()
        total = sum(map(len, pieces))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert total > count * 100
        return most

    peak(50)  # what is made once
    few = 150 if form == "epcis" else 400
    assert peak(10 * few) < peak(few) + 800_000
