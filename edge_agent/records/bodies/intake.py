"""Goods coming in: the intake with its vouchers, its review, and the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from edge_agent.records.bodies.base import Body, Weighed
from edge_agent.records.bodies.terms import (
    GBT_38156,
    MARKETS,
    MUNICIPAL,
    Batch,
    Brand,
    CardDigest,
    Code,
    Day,
    Decimal,
    Digest,
    Expiry,
    GoodsCode,
    GoodsName,
    OriginCode,
    OriginName,
    PartyCode,
    Per,
    Pictures,
    PlateNo,
    Position,
    PriceFen,
    Producer,
    Quantity,
    Reason,
    RecordId,
    Specification,
    Temperature,
    TraceCode,
    Words,
)
from edge_agent.records.shape import Named, Needs, Says

VoucherType = Literal["1", "2", "3", "4", "5", "6", "commitment", "import", "other"]
"""1 trade voucher (交易凭证), 2 animal quarantine certificate (动物产品检疫合格证), 3 meat inspection certificate
(肉品品质检验合格证), 4 vegetable origin certificate (蔬菜产地证明), 5 vegetable test certificate (蔬菜检测合格证),
6 number of an intake batch (进货批次号); commitment: 承诺达标合格证; import: papers of imported goods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """A paper or code that says where goods come from or what was found in them."""

    type: Annotated[
        VoucherType,
        Says(
            "1 trade voucher 交易凭证, 2 animal quarantine 动物检疫, 3 meat inspection 肉品检验, "
            "4 vegetable origin 产地证明, 5 vegetable test 蔬菜检测, 6 intake batch 进货批次, "
            "commitment 承诺达标合格证, import 进口, other",
            MARKETS,
        ),
    ]
    no: Annotated[Code | None, Says("its number")] = None
    issuer: Annotated[Words | None, Says("who issued it")] = None
    quantity: Annotated[Decimal | None, Says("quantity on the paper, as written there")] = None
    origin: Annotated[Words | None, Says("origin on the paper")] = None
    issued: Annotated[Day | None, Says("when it was issued")] = None
    url: Annotated[Words | None, Says("where its code leads")] = None
    attachment: Annotated[Digest | None, Says("SHA-256 of its picture or file; the file goes by itself")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What is known of imported goods."""

    country: Annotated[Code | None, Says("country of origin", "ISO 3166-1")] = None
    importer: Annotated[Words | None, Says("who imported them")] = None
    consignee: Annotated[Words | None, Says("who received them")] = None
    entry_no: Annotated[Code | None, Says("number of the customs declaration")] = None
    entry_day: Annotated[Day | None, Says("day of entry")] = None
    port: Annotated[Words | None, Says("port of entry")] = None
    quarantine_no: Annotated[Code | None, Says("number of the entry quarantine certificate")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake(Weighed):
    """Goods of one kind that a party takes in as one batch. `party` is the owner."""

    TYPE: ClassVar[str] = "trace.intake.v1"
    TITLE: ClassVar[str] = "进货"
    RULES: ClassVar[tuple[Needs, ...]] = (
        Needs("price_fen", ("price_per",)),
        Needs("price_per", ("price_fen",)),
    )

    batch: Annotated[Batch, Says("number that the batch has from now on", MARKETS)]
    goods_code: GoodsCode | None = None
    goods_name: GoodsName | None = None
    specification: Specification | None = None
    brand: Brand | None = None
    producer: Producer | None = None
    produced: Annotated[Day | None, Says("day of production, harvest or slaughter", GBT_38156)] = None
    expiry: Expiry | None = None
    lot: Annotated[Code | None, Says("the maker's lot", "GS1 AI 10")] = None
    qty: Quantity | None = None
    price_fen: PriceFen | None = None
    price_per: Per | None = None
    vouchers: Annotated[tuple[Voucher, ...], Says("papers and codes that came with the goods", MARKETS)] = ()
    supplier: Annotated[PartyCode | None, Says("who delivered them", MUNICIPAL)] = None
    supplier_name: Annotated[Words | None, Says("name of who delivered them", MARKETS)] = None
    origin_code: OriginCode | None = None
    origin_name: OriginName | None = None
    upstream_trace: Annotated[TraceCode | None, Says("trace code of the sale by which they were bought")] = None
    plate_no: PlateNo | None = None
    temperature_milli_c: Temperature | None = None
    card_digest: CardDigest | None = None
    imported: Annotated[Import | None, Named("import"), Says("only of imported goods")] = None
    pictures: Pictures = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeReview(Body):
    """What the market decided on an intake."""

    TYPE: ClassVar[str] = "trace.intake_review.v1"
    TITLE: ClassVar[str] = "进货审核"
    RULES: ClassVar[tuple[Needs, ...]] = (Needs("decision", ("reason",), ("returned", "refused")),)

    intake: Annotated[RecordId, Says("id of the intake", MUNICIPAL)]
    batch: Batch | None = None
    decision: Annotated[
        Literal["pending", "approved", "returned", "refused"],
        Says("pending, approved, returned for correction, refused; numbers 0 to 3 by city profile", MUNICIPAL),
    ]
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Weighed):
    """A vehicle or a porter passes the gate with goods of one or several intakes."""

    TYPE: ClassVar[str] = "trace.entry.v1"
    TITLE: ClassVar[str] = "进门"

    intakes: Annotated[tuple[RecordId, ...], Says("ids of the intakes that come in", MUNICIPAL)] = ()
    batches: Annotated[tuple[Batch, ...], Says("numbers of their batches")] = ()
    plate_no: PlateNo | None = None
    gate: Annotated[Position | None, Says("which gate")] = None
    card_digest: CardDigest | None = None
    tare_record: Annotated[RecordId | None, Says("id of the weighing of the empty vehicle")] = None
