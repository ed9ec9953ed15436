"""Selling: the line, what comes back, what is paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from edge_agent.records.bodies.base import Body, Weighed
from edge_agent.records.bodies.terms import (
    GBT_38156,
    MARKETS,
    MUNICIPAL,
    Batch,
    Channel,
    Code,
    Count,
    Day,
    Digest,
    Fen,
    GoodsCode,
    GoodsName,
    Milligrams,
    OrderNo,
    PartyCode,
    PayMethod,
    Per,
    Position,
    PriceFen,
    Quantity,
    Reason,
    RecordId,
    Relief,
    Sequence,
    TicketNo,
    TraceCode,
)
from edge_agent.records.money import check_rounded
from edge_agent.records.shape import Needs, Says

_PRICED = (
    Needs("price_fen", ("price_per",)),
    Needs("price_per", ("price_fen",)),
)
_AMOUNTS = (
    Needs("amount_fen", ("amount_raw_fen", "amount_source")),
    Needs("amount_raw_fen", ("amount_fen",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale(Weighed):
    """One line of a sale: goods, mass or pieces, price as quoted, and amounts before and after rounding off.

    Rounding off (抹零) is only downward: `amount_fen` above `amount_raw_fen` is a ValueError.
    """

    TYPE: ClassVar[str] = "trace.sale.v1"
    TITLE: ClassVar[str] = "销售"
    FIXED: ClassVar[frozenset[str]] = Weighed.FIXED | {"amount_raw_fen", "amount_source", "device_record", "mode"}
    RULES: ClassVar[tuple[Needs, ...]] = (
        Needs("mode", ("net_mg", "indication", "unit"), ("weight",)),
        *_PRICED,
        *_AMOUNTS,
    )

    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    relief: Relief | None = None
    batch: Annotated[Batch | None, Says("the seller's batch that the goods were taken from", MARKETS)] = None
    lot: Annotated[Code | None, Says("the maker's lot, as the code on the pack tells it", "GS1 AI 10")] = None
    serial: Annotated[Code | None, Says("serial number, as the code on the pack tells it", "GS1 AI 21")] = None
    expiry: Annotated[Day | None, Says("use by, as the code on the pack tells it", "GS1 AI 17")] = None
    trace_code: TraceCode | None = None
    mode: Annotated[Literal["weight", "piece"], Says("sold by weight or by the piece", MARKETS)] = "weight"
    qty: Annotated[Count, Says("pieces; 1 when sold by weight", MARKETS)] = 1
    price_fen: PriceFen | None = None
    price_per: Per | None = None
    amount_raw_fen: Annotated[Fen | None, Says("amount of the line before rounding off", MARKETS)] = None
    amount_fen: Annotated[Fen | None, Says("amount after rounding off (抹零), never more", MARKETS)] = None
    amount_source: Annotated[
        Literal["device", "agent"] | None, Says("who computed the amount: the scale, or this box")
    ] = None
    seller: Annotated[PartyCode | None, Says("who sells", MUNICIPAL)] = None
    buyer: Annotated[PartyCode | None, Says("who buys, where that is known", MUNICIPAL)] = None
    destination: Annotated[
        Literal["in-market", "outside"] | None, Says("whether the goods stay within the market", MUNICIPAL)
    ] = None
    position: Position | None = None
    line: Annotated[Sequence, Says("number of the line on its ticket", MUNICIPAL)] = 1
    ticket: TicketNo | None = None
    upstream_ticket: Annotated[Code | None, Says("ticket by which the seller bought the goods", MUNICIPAL)] = None
    upstream_line: Annotated[Sequence | None, Says("line on that ticket", MUNICIPAL)] = None
    slip: Annotated[Literal["printed", "electronic"] | None, Says("the receipt that the buyer got")] = None
    device_record: Annotated[Code | None, Says("the scale's own number of a sale that it made by itself")] = None

    def __post_init__(self) -> None:
        check_rounded(self.amount_raw_fen, self.amount_fen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return(Weighed):
    """Goods that came back. `corrects` names the sale; the sale itself stays."""

    TYPE: ClassVar[str] = "trace.return.v1"
    TITLE: ClassVar[str] = "退货"
    RULES: ClassVar[tuple[Needs, ...]] = (Needs("mode", ("net_mg",), ("weight",)), *_PRICED)

    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    batch: Batch | None = None
    trace_code: TraceCode | None = None
    mode: Annotated[Literal["weight", "piece"], Says("sold by weight or by the piece", MARKETS)] = "weight"
    qty: Annotated[Count, Says("pieces that came back; 1 when sold by weight")] = 1
    price_fen: PriceFen | None = None
    price_per: Per | None = None
    amount_fen: Annotated[Fen | None, Says("what was paid back; with other returns never more than was paid")] = None
    seller: Annotated[PartyCode | None, Says("who sold the goods")] = None
    buyer: Annotated[PartyCode | None, Says("who brought them back, where that is known")] = None
    reason: Reason
    goods_go: Annotated[Literal["stock", "disposal", "supplier"] | None, Says("where the goods go")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement(Body):
    """One payment for lines of sales. `total_fen` above `lines_fen` is a ValueError: totals never go up."""

    TYPE: ClassVar[str] = "trace.settlement.v1"
    TITLE: ClassVar[str] = "结算"

    ticket: TicketNo | None = None
    lines: Annotated[tuple[RecordId, ...], Says("ids of the sales that are paid")]
    lines_fen: Annotated[Fen, Says("sum of the lines' amounts")]
    total_fen: Annotated[Fen, Says("what was paid: the sum, or less by rounding off (抹零)", MARKETS)]
    pay_method: Annotated[PayMethod, Says("how it was paid", GBT_38156)]
    pay_digest: Annotated[
        Digest | None, Says("keyed digest of the payment's reference; the reference itself is never kept")
    ] = None
    channel: Channel | None = None
    order_no: OrderNo | None = None
    seller: Annotated[PartyCode | None, Says("who is paid")] = None
    buyer: Annotated[PartyCode | None, Says("who pays, where that is known")] = None
    refund_of: Annotated[RecordId | None, Says("id of the settlement that is paid back")] = None

    def __post_init__(self) -> None:
        check_rounded(self.lines_fen, self.total_fen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss(Weighed):
    """Goods that can no longer be sold."""

    TYPE: ClassVar[str] = "trace.loss.v1"
    TITLE: ClassVar[str] = "损耗"

    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    batch: Batch | None = None
    qty: Quantity | None = None
    cause: Annotated[Literal["spoiled", "damaged", "shrinkage", "sample", "own-use", "missing", "other"], Says("why")]
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stocktake(Weighed):
    """What is really there, beside what the books say. The counted mass is the net mass."""

    TYPE: ClassVar[str] = "trace.stocktake.v1"
    TITLE: ClassVar[str] = "盘点"

    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    batch: Batch | None = None
    qty: Annotated[Count | None, Says("pieces counted")] = None
    book_mg: Annotated[Milligrams | None, Says("mass by the books")] = None
    book_qty: Annotated[Count | None, Says("pieces by the books")] = None
    position: Position | None = None
    reason: Reason | None = None
