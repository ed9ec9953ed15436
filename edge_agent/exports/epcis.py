"""Records as EPCIS 2.0 events (JSON-LD), one document over a stream.

Which act becomes which event, step and disposition is said in `ACTS`, by the type of the record. Everything that a
record holds and that EPCIS has no place for stands beside it as an extension `trace:…`. A type that tells of no
goods (a shift, a patrol, the ledger of devices, settlements, the chain itself) is no event of a supply chain: it is
carried as an event of our own type, `trace:Shift` and so on, which EPCIS allows and readers may pass over.

An event is never changed. A void repeats the event that it takes back with an error declaration (it did not occur);
an amendment repeats it with another (incorrect data) that names the corrective event, which follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import orjson

from edge_agent.exports import epcis_hash
from edge_agent.exports.epcis_names import NAMESPACE, Names, digital_link, record_name
from edge_agent.exports.epcis_text import plain_text
from edge_agent.exports.standings import Corrections, Event, ReadEvent
from edge_agent.records.bodies import BODIES, Amend, Void

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
PREFIX: Final = "trace"
NAMESPACES: Final[Mapping[str, str]] = {PREFIX: f"{NAMESPACE}:v1:"}
SCHEMA_VERSION: Final = "2.0"

Epcis = dict[str, Any]

_ELSEWHERE: Final = frozenset({"raw", "clock", "was", "content"})
"""What an event leaves out: untouched bytes and clocks, which the record keeps; what an amendment says twice."""

_KILOGRAM: Final = 1_000_000
_VOUCHERS: Final[Mapping[str, str]] = {"1": "inv", "6": "pedigree"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a record is in EPCIS: the event, and how its body fills it. `fill` gives None where it tells of no goods."""

    event: str
    fill: Callable[[Names, Mapping[str, Any]], Epcis | None]
    step: str
    disposition: str | None = None
    action: str = "OBSERVE"


def document(
    records: Iterable[Event],
    *,
    created: str,
    corrections: Corrections,
    read: ReadEvent,
    selected: Callable[[Event], bool],
) -> Iterator[bytes]:
    """The bytes of one EPCIS document over records in the order of their chain; `created` is its date.

    `corrections` are those of the chain, `read` gives a record by its sequence; `selected` says whether a correcting
    record comes in this stream, where it is shown in its place. All others are shown with the record they correct.
    """
    head = {"@context": [CONTEXT, dict(NAMESPACES)], "type": "EPCISDocument", "schemaVersion": SCHEMA_VERSION}
    opening = orjson.dumps(head | {"creationDate": created})
    yield opening[:-1] + b',"epcisBody":{"eventList":['
    first = True
    for record in records:
        for event in events_of(record, corrections=corrections, read=read, selected=selected):
            yield (b"\n" if first else b",\n") + orjson.dumps(event)
            first = False
    yield b"\n]}}\n"


def events_of(
    record: Event, *, corrections: Corrections, read: ReadEvent, selected: Callable[[Event], bool]
) -> list[Epcis]:
    """The events of one record, each with its id."""
    if record["type"] in (Void.TYPE, Amend.TYPE):
        return _correction(record, corrections, read)
    return [event_of(record), *_unselected(record, corrections, selected)]


def event_of(record: Event) -> Epcis:
    """The event that a record is, taken by itself."""
    return _finished(_event(record, record["data"], record))


def _unselected(record: Event, corrections: Corrections, selected: Callable[[Event], bool]) -> Iterator[Epcis]:
    """What corrections that do not come in this stream make of a record."""
    now = record
    for each in corrections.of(record):
        if each["type"] in (Void.TYPE, Amend.TYPE):
            if not selected(each):
                yield from _declared(now, record, each)
            if each["type"] == Amend.TYPE:
                now = each


def _correction(record: Event, corrections: Corrections, read: ReadEvent) -> list[Epcis]:
    data = record["data"]
    wrong = read(data["corrected_sequence"]) if data["corrected_chain"] == record["chain"] else None
    if wrong is None or wrong["id"] != data["corrects"]:
        if record["type"] == Amend.TYPE:
            return [_corrective(record, None)]
        return [event_of(record)]
    before = corrections.amendment_before(wrong["id"], int(record["sequence"]))
    return list(_declared(before or wrong, wrong, record))


def _declared(now: Event, original: Event, correction: Event) -> Iterator[Epcis]:
    """The event as it stood, declared to be in error, and the corrective one if there is one."""
    wrong = event_of(now) if now is original else _corrective(now, original)
    declaration: dict[str, Any] = {"declarationTime": correction["time"], "reason": "did_not_occur"}
    if correction["type"] == Amend.TYPE:
        corrective = _corrective(correction, original)
        declaration |= {"reason": "incorrect_data", "correctiveEventIDs": [corrective["eventID"]]}
        yield wrong | {"errorDeclaration": declaration}
        yield corrective
    else:
        yield wrong | {"errorDeclaration": declaration}


def _corrective(amend: Event, original: Event | None) -> Epcis:
    """The event that should have been, at the time at which it happened."""
    data = amend["data"]
    meant = {**amend, "type": data["corrected_type"], "time": (original or amend)["time"]}
    event = _event(meant, data["content"], amend)
    event[f"{PREFIX}:corrects"] = record_name(data["corrects"])
    event[f"{PREFIX}:reason"] = plain_text(data["reason"])
    return _finished(event)


def _finished(event: Epcis) -> Epcis:
    return {"type": event["type"], "eventID": epcis_hash.event_id(event, NAMESPACES)} | event


def _event(meant: Event, data: Mapping[str, Any], record: Event) -> Epcis:
    names = Names(meant["source"])
    act = ACTS.get(meant["type"])
    filled = None if act is None else act.fill(names, _Fields(data))
    event: Epcis = {"type": own_type(meant["type"])}
    event |= {"eventTime": meant["time"], "eventTimeZoneOffset": meant["time"][-6:]}
    if act is not None and filled is not None:
        position = data.get("position") or data.get("gate")
        event["type"] = act.event
        if act.event == "TransformationEvent":
            event["transformationID"] = record_name(record["id"])
        else:
            event["action"] = act.action
        event |= {"bizStep": act.step} | ({"disposition": act.disposition} if act.disposition else {})
        event["readPoint"] = {"id": names.name("station", f"{names.gateway}/{meant['subject']}")}
        event["bizLocation"] = {"id": names.name("position", position) if position else names.site()}
        event |= filled
    return event | _extension(data, record)


def own_type(name: str) -> str:
    """The type of an event that is not one of EPCIS: `trace.clock_offset.v1` is `trace:ClockOffset`."""
    return f"{PREFIX}:{''.join(part.capitalize() for part in name.split('.')[1].split('_'))}"


def _extension(data: Mapping[str, Any], record: Event) -> Epcis:
    extension = {_own(name): _own_value(value) for name, value in data.items() if name not in _ELSEWHERE}
    if data.get("corrects"):
        extension[f"{PREFIX}:corrects"] = record_name(data["corrects"])
    extension |= {
        f"{PREFIX}:recordID": record_name(record["id"]),
        f"{PREFIX}:recordType": record["type"],
        f"{PREFIX}:recordHash": f"sha256:{record['hash']}",
        f"{PREFIX}:chain": plain_text(record["chain"]),
        f"{PREFIX}:sequence": int(record["sequence"]),
        f"{PREFIX}:subject": plain_text(record["subject"]),
    }
    return {name: value for name, value in extension.items() if value not in (None, "", [], {})}


@lru_cache(maxsize=1024)
def _own(name: str) -> str:
    """The name of a field as an extension; names that end in `List` mean something of their own to EPCIS tools."""
    return f"{PREFIX}:{quote(name, safe='')}{'_' if name.endswith('List') else ''}"


def _own_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return plain_text(value) if value.strip() else None
    if isinstance(value, Mapping):
        found = {_own(name): _own_value(each) for name, each in value.items() if name}
        return {name: each for name, each in found.items() if each not in (None, "", [], {})}
    if isinstance(value, list | tuple):
        return [each for each in map(_own_value, value) if each not in (None, "", [], {})]
    return value


class _Fields(dict[str, Any]):
    """A body in which fields that an earlier version did not know are null."""

    def __missing__(self, _name: str) -> None:
        return None


# --- what the bodies fill in -----------------------------------------------------------------------------------------


def _quantity(names: Names, data: Mapping[str, Any]) -> list[Epcis]:
    """The class of the goods with mass or pieces; nothing where there are no goods."""
    goods = names.goods(data.get("goods_code"), data.get("batch"), data.get("lot"))
    if goods is None:
        return []
    element: Epcis = {"epcClass": goods}
    by_piece = data.get("mode") == "piece" or data.get("net_mg") is None
    if by_piece and data.get("qty") is not None:
        element["quantity"] = data["qty"]
    elif data.get("net_mg") is not None:
        element |= {"quantity": kilograms(data["net_mg"]), "uom": "KGM"}
    return [element]


def kilograms(milligrams: int) -> int | float:
    """A mass in kilograms as the number that JSON writes with the same digits."""
    return milligrams // _KILOGRAM if milligrams % _KILOGRAM == 0 else milligrams / _KILOGRAM


def _sensed(names: Names, data: Mapping[str, Any], *, mass: bool = True) -> Epcis:
    """What was measured on the occasion, as sensor reports of one element."""
    device = data.get("sensor") or data.get("device")
    reports: list[Epcis] = []
    if mass and data.get("net_mg") is not None:
        reports.append({"type": "Mass", "value": kilograms(data["net_mg"]), "uom": "KGM"})
    if data.get("temperature_milli_c") is not None:
        reports.append({"type": "Temperature", "value": _thousandth(data["temperature_milli_c"]), "uom": "CEL"})
    if data.get("humidity_permille") is not None:
        reports.append({"type": "RelativeHumidity", "value": data["humidity_permille"] / 10, "uom": "P1"})
    if device:
        reports = [report | {"deviceID": names.name("device", f"{names.gateway}/{device}")} for report in reports]
    return {"sensorElementList": [{"sensorReport": reports}]} if reports else {}


def _thousandth(value: int) -> int | float:
    return value // 1000 if value % 1000 == 0 else value / 1000


def _papers(*papers: tuple[str, str, str | None], names: Names) -> Epcis:
    """Business transactions: the type of the vocabulary, our kind of name, the number."""
    found = [{"type": kind, "bizTransaction": names.name(name, no)} for kind, name, no in papers if no]
    return {"bizTransactionList": found} if found else {}


def _sides(names: Names, kind: str, source: str | None, destination: str | None) -> Epcis:
    sides: Epcis = {}
    if source:
        sides["sourceList"] = [{"type": kind, "source": names.name("party", source)}]
    if destination:
        sides["destinationList"] = [{"type": kind, "destination": names.name("party", destination)}]
    return sides


def _about(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    """Goods with their quantity; None where no goods are named."""
    quantity = _quantity(names, data)
    return {"quantityList": quantity} if quantity else None


def _weighing(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    return _sensed(names, data) or None


def _scan(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    if data.get("valid") is False:
        return None
    one, many = names.code(data["text"], data.get("class"), data.get("fields"))
    if one:
        return {"epcList": [one]}
    return {"quantityList": [{"epcClass": many}]} if many else None


def _tag(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    fields = data.get("fields") or {}
    link = None
    if data["kind"] == "epc" and data.get("valid") is not False:
        keys = ("00",) if "00" in fields else ("01", "21")
        if all(isinstance(fields.get(key), str) for key in keys):
            link = digital_link({key: fields[key] for key in keys})
    return {"epcList": [link or names.tag(data["tag_id"], data["kind"])]}


def _sale(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    about = _about(names, data)
    if about is None:
        return None
    papers = _papers(("inv", "ticket", data["ticket"]), ("inv", "trace-code", data["trace_code"]), names=names)
    wholesale = {"type": "TransactionEvent", "action": "ADD", "bizStep": "shipping", "disposition": "in_transit"}
    traded = wholesale if data["buyer"] and papers else {}
    return about | traded | papers | _sides(names, "owning_party", data["seller"], data["buyer"])


def _return(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    about = _about(names, data)
    if about is None:
        return None
    papers = _papers(("rma", "trace-code", data["trace_code"]), names=names)
    return about | papers | _sides(names, "owning_party", data["buyer"], data["seller"])


def _intake(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    vouchers = [
        (_VOUCHERS.get(each["type"], "cert"), f"voucher-{each['type']}", each.get("no") or each.get("url"))
        for each in data["vouchers"] or ()
    ]
    papers = _papers(*vouchers, ("inv", "trace-code", data["upstream_trace"]), names=names)
    country = (data["import"] or {}).get("country")
    lot = {
        "cbvmda:lotNumber": data["lot"],
        "cbvmda:itemExpirationDate": data["expiry"],
        "cbvmda:countryOfOrigin": country,
    }
    ilmd = {name: plain_text(value) for name, value in lot.items() if value}
    return (
        {"quantityList": _quantity(names, data)}
        | papers
        | _sides(names, "owning_party", data["supplier"], data["party"])
        | _sensed(names, data, mass=False)
        | ({"ilmd": ilmd} if ilmd else {})
    )


def _review(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    about = _about(names, data)
    words = {"approved": "conformant", "refused": "non_conformant"}
    return about and about | {"disposition": words.get(data["decision"], "in_progress")}


def _entry(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    classes = [{"epcClass": names.name("batch", batch)} for batch in data["batches"] or ()]
    found = ({"quantityList": classes} if classes else {}) | _sensed(names, data)
    return found or None


def _inspection(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    goods = _quantity(names, data)
    if not goods and data["sample"]:
        goods = [{"epcClass": names.name("sample", data["sample"])}]
    disposition = "conformant" if data["result"] == "pass" else "non_conformant"
    papers = _papers(("testres", "check", data["check_no"]), names=names)
    return {"quantityList": goods, "disposition": disposition} | papers if goods else None


_DISPOSALS: Final[Mapping[str, Epcis]] = {
    "destroyed": {"action": "DELETE", "bizStep": "destroying", "disposition": "destroyed"},
    "harmless-treatment": {"action": "DELETE", "bizStep": "destroying", "disposition": "disposed"},
    "returned": {"bizStep": "shipping", "disposition": "returned"},
    "downgraded": {"bizStep": "other", "disposition": "non_sellable_other"},
    "sealed": {"bizStep": "holding", "disposition": "non_sellable_other"},
    "other": {"bizStep": "other", "disposition": "non_sellable_other"},
}


def _disposal(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    about = _about(names, data)
    papers = _papers(("testres", "check", data["check_no"]), names=names)
    return about and about | _DISPOSALS[data["kind"]] | papers


def _stop(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    about = _about(names, {**data, "net_mg": data.get("remaining_mg")})
    return about and about | ({"disposition": "recalled"} if data.get("directive") else {})


_LOSSES: Final[Mapping[str, str]] = {"damaged": "damaged", "spoiled": "expired", "missing": "unknown"}


def _loss(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    about = _about(names, data)
    return about and about | {"disposition": _LOSSES.get(data["cause"], "non_sellable_other")}


def _transfer(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    found: Epcis = {"epcList": [names.name("code", code) for code in dict.fromkeys(data["tags"] or ())]}
    found["quantityList"] = _quantity(names, data)
    found = {name: value for name, value in found.items() if value}
    found |= _sensed(names, data, mass=not found.get("quantityList"))
    if not found:
        return None
    sides = _sides(names, "possessing_party", data["from_party"], data["to_party"])
    for name, key, place in (("source", "sourceList", "from_place"), ("destination", "destinationList", "to_place")):
        if data[place]:
            sides.setdefault(key, []).append({"type": "location", name: names.name("place", data[place])})
    papers = _papers(("desadv", "document", data["document_no"]), ("po", "order", data["order_no"]), names=names)
    going = {"bizStep": "shipping", "disposition": "in_transit"} if data["direction"] == "out" else {}
    return found | going | papers | sides


def _transform(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    inputs, outputs = (
        [each for part in data[name] for each in _quantity(names, part)] for name in ("inputs", "outputs")
    )
    if not inputs and not outputs:
        return None
    step = (
        "disassembling" if len(outputs) > len(inputs) else "assembling" if len(inputs) > len(outputs) else "repackaging"
    )
    lists = {"inputQuantityList": inputs, "outputQuantityList": outputs}
    papers = _papers(("cert", "voucher-commitment", data["certificate"]), names=names)
    return {name: found for name, found in lists.items() if found} | {"bizStep": step} | papers


def _filling(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    refused = {"disposition": "non_conformant"} if data["result"] == "refused" else {}
    return {"epcList": [names.name("cylinder", data["cylinder"])]} | refused | _sensed(names, data)


def _environment(names: Names, data: Mapping[str, Any]) -> Epcis | None:
    sensed = _sensed(names, data)
    return ((_about(names, data) or {}) | sensed) if sensed else None


ACTS: Final[Mapping[str, Act]] = {
    "trace.weighing.v1": Act(event="ObjectEvent", fill=_weighing, step="sensor_reporting"),
    "trace.scan.v1": Act(event="ObjectEvent", fill=_scan, step="other"),
    "trace.tag.v1": Act(event="ObjectEvent", fill=_tag, step="entering_exiting", disposition="in_progress"),
    "trace.sale.v1": Act(event="ObjectEvent", fill=_sale, step="retail_selling", disposition="retail_sold"),
    "trace.return.v1": Act(event="ObjectEvent", fill=_return, step="receiving", disposition="returned"),
    "trace.loss.v1": Act(
        event="ObjectEvent", fill=_loss, step="decommissioning", disposition="non_sellable_other", action="DELETE"
    ),
    "trace.stocktake.v1": Act(
        event="ObjectEvent", fill=_about, step="cycle_counting", disposition="sellable_accessible"
    ),
    "trace.intake.v1": Act(
        event="ObjectEvent", fill=_intake, step="receiving", disposition="in_progress", action="ADD"
    ),
    "trace.intake_review.v1": Act(event="ObjectEvent", fill=_review, step="accepting", disposition="in_progress"),
    "trace.entry.v1": Act(event="ObjectEvent", fill=_entry, step="arriving", disposition="in_progress"),
    "trace.inspection.v1": Act(event="ObjectEvent", fill=_inspection, step="inspecting"),
    "trace.disposal.v1": Act(event="ObjectEvent", fill=_disposal, step="destroying"),
    "trace.stop_sale.v1": Act(event="ObjectEvent", fill=_stop, step="holding", disposition="non_sellable_other"),
    "trace.recall_hit.v1": Act(event="ObjectEvent", fill=_stop, step="holding", disposition="non_sellable_other"),
    "trace.release.v1": Act(event="ObjectEvent", fill=_about, step="stocking", disposition="sellable_accessible"),
    "trace.transfer.v1": Act(
        event="ObjectEvent", fill=_transfer, step="storing", disposition="sellable_not_accessible"
    ),
    "trace.transform.v1": Act(event="TransformationEvent", fill=_transform, step="repackaging", disposition="active"),
    "trace.filling.v1": Act(event="ObjectEvent", fill=_filling, step="other", disposition="active"),
    "trace.environment.v1": Act(event="ObjectEvent", fill=_environment, step="sensor_reporting"),
}
"""The types that tell of goods, or of what was measured on them."""

OWN_TYPES: Final = tuple(sorted(set(BODIES) - set(ACTS)))
"""The types that are no events of a supply chain; a void whose record is gone, too."""
