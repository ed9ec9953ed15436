"""Typed bodies of records: the `data` of each `trace.NAME.v1` event.

Mass is in integer milligrams, money in fen. `indication` and `unit` are the truth as displayed; the masses are
derived from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from edge_agent.model import Instant

CapturedBy = Literal["device", "manual", "import", "replay"]


def clock_facts(at: Instant) -> dict[str, Any]:
    """What every record says about the clocks when it was captured."""
    return {"synced": at.synced, "boot": at.boot, "mono_ms": at.mono_ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What every body holds: who captured it, when by which clocks, and the untouched bytes."""

    TYPE: ClassVar[str] = ""

    device: str | None = None
    driver: str | None = None
    captured_by: CapturedBy = "device"
    operator: str | None = None
    party: str | None = None
    device_time: str | None = None
    clock: Mapping[str, Any]
    flags: tuple[str, ...] = ()
    corrects: str | None = None
    raw: str | None = None

    def to_data(self) -> dict[str, Any]:
        """The body as plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed(Body):
    """The masses of a weighing or a sale by weight.

    `net_mg` is always set; with an unknown basis it is the indication, gross and tare are None, and the flag
    `basis_unknown` says so.
    """

    gross_mg: int | None = None
    tare_mg: int | None = None
    net_mg: int | None = None
    tare_kind: Literal["weighed", "preset"] | None = None
    deduction_mg: int | None = None
    indication: str | None = None
    unit: str | None = None
    stability: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing(Weighed):
    """One weigh cycle."""

    TYPE: ClassVar[str] = "trace.weighing.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale(Weighed):
    """One line of a sale: goods, mass or pieces, price as quoted, and amounts before and after rounding off."""

    TYPE: ClassVar[str] = "trace.sale.v1"

    goods_code: str | None = None
    goods_name: str | None = None
    batch: str | None = None
    trace_code: str | None = None
    mode: Literal["weight", "piece"] = "weight"
    qty: int = 1
    price_fen: int | None = None
    price_per: Literal["kg", "500g", "each"] | None = None
    amount_raw_fen: int | None = None
    amount_fen: int | None = None
    amount_source: Literal["device", "agent"] | None = None
    seller: str | None = None
    buyer: str | None = None
    position: str | None = None
    line: int = 1
    ticket: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanBody(Body):
    """One barcode decode. `class` and `fields` say what the text is, where that is known."""

    TYPE: ClassVar[str] = "trace.scan.v1"

    text: str
    symbology: str | None = None
    code_class: str | None = None
    code_fields: Mapping[str, Any] | None = None

    def to_data(self) -> dict[str, Any]:
        """The body as plain JSON values; `class` and `fields` are Python words and get their names here."""
        # Not super(): slots make dataclass rebuild the class, which leaves the zero-argument form behind.
        data = Body.to_data(self)
        data["class"] = data.pop("code_class")
        data["fields"] = data.pop("code_fields")
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class TagBody(Body):
    """One episode of a tag in view."""

    TYPE: ClassVar[str] = "trace.tag.v1"

    tag_id: str
    kind: str
    antenna: int | None = None
    first: str | None = None
    last: str | None = None
    reads: int = 1
    rssi_dbm: int | None = None
