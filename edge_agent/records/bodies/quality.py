"""What was found in goods, and what follows: inspection, disposal, stop of sale, recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from edge_agent.records.bodies.base import Body, Weighed
from edge_agent.records.bodies.terms import (
    MUNICIPAL,
    Batch,
    Code,
    Day,
    Digest,
    GoodsCode,
    GoodsName,
    Milligrams,
    Moment,
    PartyCode,
    Pictures,
    Position,
    Quantity,
    Reason,
    RecordId,
    Words,
)
from edge_agent.records.shape import Needs, Says

_CheckNo = Annotated[Code, Says("number of the test", MUNICIPAL)]
_Directive = Annotated[Code, Says("id of the platform's directive")]
_Verdict = Literal["pass", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionItem:
    """One thing that was tested."""

    project: Annotated[Words, Says("what was tested for", MUNICIPAL)]
    method: Annotated[Words | None, Says("by which method")] = None
    value: Annotated[Words | None, Says("what was found, as the instrument wrote it", MUNICIPAL)] = None
    unit: Annotated[Words | None, Says("unit of the value")] = None
    limit: Annotated[Words | None, Says("what is allowed, as written", MUNICIPAL)] = None
    result: Annotated[_Verdict, Says("whether it passed", MUNICIPAL)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(Body):
    """A test of a batch or a sample. `party` owns the goods; their owner's identity number is never kept."""

    TYPE: ClassVar[str] = "trace.inspection.v1"
    TITLE: ClassVar[str] = "检测"

    check_no: _CheckNo
    batch: Batch | None = None
    sample: Annotated[Code | None, Says("number of the sample")] = None
    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    organisation_code: Annotated[Code | None, Says("code of who tested", MUNICIPAL)] = None
    organisation_name: Annotated[Words | None, Says("name of who tested", MUNICIPAL)] = None
    kind: Annotated[Literal["quick", "quantitative", "sensory", "document"] | None, Says("kind of test", MUNICIPAL)] = (
        None
    )
    tested: Annotated[Moment | None, Says("when it was tested, where that was not now", MUNICIPAL)] = None
    inspector: Annotated[Code | None, Says("who tested", MUNICIPAL)] = None
    result: Annotated[_Verdict, Says("whether the goods passed", MUNICIPAL)]
    items: Annotated[tuple[InspectionItem, ...], Says("what was tested, one by one", MUNICIPAL)] = ()
    party_name: Annotated[Words | None, Says("the owner's name as a trader", MUNICIPAL)] = None
    position: Position | None = None
    report_url: Annotated[Words | None, Says("where the report can be read")] = None
    pictures: Pictures = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposal(Weighed):
    """What was done with goods that failed. The net mass or the pieces are the quantity."""

    TYPE: ClassVar[str] = "trace.disposal.v1"
    TITLE: ClassVar[str] = "不合格处置"

    check_no: _CheckNo | None = None
    inspection: Annotated[RecordId | None, Says("id of the inspection that they failed")] = None
    batch: Batch | None = None
    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    kind: Annotated[
        Literal["destroyed", "harmless-treatment", "returned", "downgraded", "sealed", "other"],
        Says("what was done", MUNICIPAL),
    ]
    day: Annotated[Day | None, Says("when, where that was not today", MUNICIPAL)] = None
    qty: Quantity | None = None
    result: Annotated[Words | None, Says("what came of it", MUNICIPAL)] = None
    person: Annotated[Code | None, Says("who did it", MUNICIPAL)] = None
    pictures: Pictures = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSale(Body):
    """A batch or goods must not be sold from now on. It is lifted by a release only."""

    TYPE: ClassVar[str] = "trace.stop_sale.v1"
    TITLE: ClassVar[str] = "停售"
    CORRECTABLE: ClassVar[bool] = False
    RULES: ClassVar[tuple[Needs, ...]] = (
        Needs("cause", ("inspection",), ("inspection",)),
        Needs("cause", ("directive",), ("directive",)),
    )

    batch: Batch | None = None
    goods_code: GoodsCode | None = None
    lot: Annotated[Code | None, Says("the maker's lot")] = None
    cause: Annotated[Literal["inspection", "directive", "rule", "person"], Says("who or what demands it")]
    inspection: Annotated[RecordId | None, Says("id of the inspection that failed")] = None
    directive: _Directive | None = None
    until: Annotated[Moment | None, Says("until when; null: until a release")] = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Body):
    """A stop of sale is lifted."""

    TYPE: ClassVar[str] = "trace.release.v1"
    TITLE: ClassVar[str] = "解除停售"
    CORRECTABLE: ClassVar[bool] = False

    stop_sale: Annotated[RecordId | None, Says("id of the stop that is lifted")] = None
    batch: Batch | None = None
    goods_code: GoodsCode | None = None
    directive: _Directive | None = None
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallHit(Body):
    """Goods that are recalled or stopped turned up at a scan, a weighing or a sale."""

    TYPE: ClassVar[str] = "trace.recall_hit.v1"
    TITLE: ClassVar[str] = "召回命中"
    CORRECTABLE: ClassVar[bool] = False

    directive: _Directive | None = None
    stop_sale: Annotated[RecordId | None, Says("id of the local stop, where that was met")] = None
    matched: Annotated[Words, Says("what matched, as `batch:…`, `lot:…`, `goods:…`, `code:…`")]
    record: Annotated[RecordId | None, Says("id of the record in which it turned up")] = None
    action: Annotated[Literal["block", "warn"], Says("what the station did")]
    batch: Batch | None = None
    goods_code: GoodsCode | None = None
    remaining_mg: Annotated[Milligrams | None, Says("what is left of the batch by the books")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation(Body):
    """A person has taken note of a directive and says what was done. `operator` is that person."""

    TYPE: ClassVar[str] = "trace.confirmation.v1"
    TITLE: ClassVar[str] = "指令确认"
    CORRECTABLE: ClassVar[bool] = False

    directive: _Directive
    done: Annotated[Words | None, Says("what was done: taken off the shelf, sent back …")] = None
    party_told: Annotated[PartyCode | None, Says("who was told")] = None
    remaining_mg: Annotated[Milligrams | None, Says("mass of the goods that were found")] = None
    remaining_qty: Quantity | None = None
    paper: Annotated[Digest | None, Says("SHA-256 of a signed paper")] = None
