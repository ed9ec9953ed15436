"""Goods moving and changing: transfer, transformation, filling, and the air around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from edge_agent.records.bodies.base import Body, Weighed
from edge_agent.records.bodies.terms import (
    Batch,
    Code,
    Count,
    Day,
    DocumentNo,
    GoodsCode,
    GoodsName,
    MilliCelsius,
    Milligrams,
    OrderNo,
    PartyCode,
    PlateNo,
    Position,
    Quantity,
    Reason,
    RecordId,
    Temperature,
    Words,
)
from edge_agent.records.shape import Needs, Range, Says, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Weighed):
    """Goods go out to another place or come in from one. A vehicle's gross and tare come from two passings."""

    TYPE: ClassVar[str] = "trace.transfer.v1"
    TITLE: ClassVar[str] = "调拨"

    direction: Annotated[Literal["in", "out"], Says("seen from this place")]
    document_no: DocumentNo | None = None
    order_no: OrderNo | None = None
    batch: Batch | None = None
    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    qty: Quantity | None = None
    from_party: Annotated[PartyCode | None, Says("who hands over")] = None
    to_party: Annotated[PartyCode | None, Says("who takes over")] = None
    from_place: Annotated[Code | None, Says("where from: location code or name")] = None
    to_place: Annotated[Code | None, Says("where to: location code or name")] = None
    carrier: Annotated[Words | None, Says("who transports")] = None
    plate_no: PlateNo | None = None
    seal_no: Annotated[Code | None, Says("number of the seal")] = None
    temperature_milli_c: Temperature | None = None
    tags: Annotated[tuple[Code, ...], Says("numbers of the tags and codes that were seen with the goods")] = ()
    tare_record: Annotated[RecordId | None, Says("id of the weighing of the empty vehicle")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A share of a batch that goes into something or comes out of it."""

    batch: Batch
    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    net_mg: Annotated[Milligrams | None, Says("its net mass")] = None
    qty: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform(Body):
    """Batches become other batches: cut, packed, mixed, made."""

    TYPE: ClassVar[str] = "trace.transform.v1"
    TITLE: ClassVar[str] = "加工分装"

    inputs: Annotated[tuple[Part, ...], Says("what went in")]
    outputs: Annotated[tuple[Part, ...], Says("what came out")]
    loss_mg: Annotated[Milligrams | None, Says("what was lost on the way")] = None
    process: Annotated[Words | None, Says("what was done")] = None
    certificate: Annotated[Code | None, Says("number of the new commitment certificate (承诺达标合格证)")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling(Weighed):
    """A gas cylinder is filled. The net mass is what was filled in."""

    TYPE: ClassVar[str] = "trace.filling.v1"
    TITLE: ClassVar[str] = "气瓶充装"
    RULES: ClassVar[tuple[Needs, ...]] = (
        Needs("result", ("net_mg",), ("filled",)),
        Needs("result", ("reason",), ("refused",)),
    )

    cylinder: Annotated[Code, Says("code of the cylinder")]
    medium: Annotated[Words | None, Says("what is filled in")] = None
    inspected_until: Annotated[Day | None, Says("last day of the cylinder's inspection")] = None
    before_mg: Annotated[Milligrams | None, Says("mass before filling")] = None
    after_mg: Annotated[Milligrams | None, Says("mass after filling")] = None
    limit_mg: Annotated[Milligrams | None, Says("most that may be filled in")] = None
    result: Annotated[Literal["filled", "refused"], Says("what came of it")]
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(Body):
    """Temperature, humidity, door of a cold room, a vehicle, a counter."""

    TYPE: ClassVar[str] = "trace.environment.v1"
    TITLE: ClassVar[str] = "温湿度"

    sensor: Annotated[Code, Says("which sensor")]
    temperature_milli_c: Annotated[MilliCelsius | None, Says("temperature")] = None
    humidity_permille: Annotated[Annotated[int, Range(0, 1000)] | None, Unit("‰"), Says("relative humidity")] = None
    door: Annotated[Literal["open", "closed"] | None, Says("door")] = None
    position: Position | None = None
    batch: Batch | None = None
    transfer: Annotated[RecordId | None, Says("id of the transfer that it belongs to")] = None
    samples: Annotated[Count | None, Says("how many readings this stands for")] = None
