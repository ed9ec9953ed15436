"""The place and its people, devices and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from edge_agent.records.bodies.base import Body
from edge_agent.records.bodies.terms import (
    GBT_38156,
    MARKETS,
    OIML,
    CardDigest,
    Code,
    Day,
    DocumentNo,
    Fen,
    Milligrams,
    Milliseconds,
    Moment,
    PartyCode,
    Pictures,
    Position,
    Reason,
    RecordId,
    Sequence,
    TicketNo,
    TraceCode,
    Words,
)
from edge_agent.records.shape import Form, Needs, Says

LEGAL: Final = "labels that the law wants on a scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party(Body):
    """A market participant as it is from now on. Telephone and identity numbers are never kept."""

    TYPE: ClassVar[str] = "trace.party.v1"
    TITLE: ClassVar[str] = "经营主体"

    code: PartyCode
    name: Annotated[Words, Says("its name", GBT_38156)]
    uscc: Annotated[
        Annotated[str, Form(pattern=r"^[0-9A-HJ-NPQRTUWXY]{18}$")] | None,
        Says("unified social credit code (统一社会信用代码)", "GB 32100-2015"),
    ] = None
    roles: Annotated[tuple[Code, ...], "unique", Says("seller, buyer, supplier …; the city's list by profile")] = ()
    kind: Annotated[Code | None, Says("kind of participant in the city's list", MARKETS)] = None
    licence_no: Annotated[Code | None, Says("number of its licence", GBT_38156)] = None
    address: Annotated[Words | None, Says("business address", GBT_38156)] = None
    region: Annotated[Code | None, Says("county code of GB/T 2260", GBT_38156)] = None
    position: Position | None = None
    card_digest: CardDigest | None = None
    state: Annotated[Literal["active", "suspended", "left"], Says("whether it may trade here")] = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissioningStep:
    """One comparison of what the agent reads with what a person reads on the scale's own display."""

    step: Annotated[Literal["empty", "mass", "tare", "overload", "removal"], Says("what lay on the scale")]
    shown: Annotated[Words | None, Says("what the person read on the display")] = None
    read: Annotated[Words | None, Says("what the agent read, with its unit")] = None
    result: Annotated[Literal["good", "bad", "skipped"], Says("whether they are the same")]
    finding: Annotated[Words | None, Says("what is wrong, as a word: unit, decimal, reversed …")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState(Body):
    """An event in the life of a device as an asset. The ledger is written forward, never changed."""

    TYPE: ClassVar[str] = "trace.device_state.v1"
    TITLE: ClassVar[str] = "设备台账"
    CORRECTABLE: ClassVar[bool] = False
    RULES: ClassVar[tuple[Needs, ...]] = (Needs("state", ("device",)),)

    state: Annotated[
        Literal["in-use", "idle", "fault", "repair", "retired", "disposed"], Says("how it stands from now on")
    ]
    reason: Reason | None = None
    kind: Annotated[
        Literal["scale", "scanner", "rfid", "card-reader", "printer", "gateway", "sensor", "query-terminal"] | None,
        Says("kind of device"),
    ] = None
    asset_no: Annotated[Code | None, Says("number in the inventory")] = None
    maker: Annotated[Words | None, Says("maker")] = None
    model: Annotated[Words | None, Says("model")] = None
    serial_no: Annotated[Code | None, Says("serial number")] = None
    position: Position | None = None
    certificate_no: Annotated[Code | None, Says("number of the verification certificate (检定证书)")] = None
    certificate_by: Annotated[Words | None, Says("who verified it")] = None
    verified: Annotated[Day | None, Says("day of the verification")] = None
    verified_until: Annotated[Day | None, Says("last day of its validity")] = None
    seal_no: Annotated[Code | None, Says("number of the seal")] = None
    seal_ok: Annotated[bool | None, Says("whether the seal is whole")] = None
    replaced_by: Annotated[Code | None, Says("device that took its place")] = None
    document_no: DocumentNo | None = None
    firmware: Annotated[Words | None, Says("version of its program, as it tells or its plate says")] = None
    approval_no: Annotated[Code | None, Says("number of the type approval (型式批准)", LEGAL)] = None
    accuracy_class: Annotated[Literal["I", "II", "III", "IIII"] | None, Says("accuracy class", OIML)] = None
    max_mg: Annotated[Milligrams | None, Says("maximum capacity (Max)", OIML)] = None
    min_mg: Annotated[Milligrams | None, Says("minimum capacity (Min)", OIML)] = None
    e_mg: Annotated[Milligrams | None, Says("verification interval (e)", OIML)] = None
    d_mg: Annotated[Milligrams | None, Says("actual interval of the display (d)", OIML)] = None
    compulsory: Annotated[bool | None, Says("whether its verification is compulsory; null: it is, for a scale")] = None
    purchased: Annotated[Day | None, Says("day of purchase")] = None
    warranty_until: Annotated[Day | None, Says("last day of the warranty")] = None
    setup: Annotated[Words | None, Says("driver, unit and options with which it was commissioned")] = None
    commissioning: Annotated[
        Literal["passed", "failed"] | None, Says("what commissioning found; null: this event is about something else")
    ] = None
    steps: Annotated[tuple[CommissioningStep, ...], Says("what commissioning compared, step by step")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patrol(Body):
    """Somebody went round and looked (巡查). `operator` is that person."""

    TYPE: ClassVar[str] = "trace.patrol.v1"
    TITLE: ClassVar[str] = "巡查"
    RULES: ClassVar[tuple[Needs, ...]] = (Needs("result", ("findings",), ("problem",)),)

    target: Annotated[Code, Says("what was looked at: device, stall, party")]
    result: Annotated[Literal["good", "problem"], Says("what was found")]
    findings: Annotated[Words | None, Says("in words")] = None
    due: Annotated[Day | None, Says("until when it must be put right")] = None
    pictures: Pictures = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift(Body):
    """Somebody begins or ends work at a station. `operator` is that person."""

    TYPE: ClassVar[str] = "trace.shift.v1"
    TITLE: ClassVar[str] = "交接班"

    action: Annotated[Literal["begin", "end"], Says("begins or ends")]
    number: Annotated[Sequence | None, Says("number of the shift that day")] = None
    cash_fen: Annotated[Fen | None, Says("money in the drawer")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint(Body):
    """Somebody complains. Nothing is kept of who it was."""

    TYPE: ClassVar[str] = "trace.complaint.v1"
    TITLE: ClassVar[str] = "投诉"

    complaint_no: Annotated[Code, Says("number of the complaint")]
    sale: Annotated[RecordId | None, Says("id of the sale that it is about")] = None
    ticket: TicketNo | None = None
    trace_code: TraceCode | None = None
    about: Annotated[Literal["weight", "quality", "price", "code", "other"], Says("what it is about")]
    content: Annotated[Words | None, Says("in words, without names and numbers of persons")] = None
    outcome: Annotated[Words | None, Says("what came of it")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of an assessment, kept as a fraction so that it can be computed again."""

    name: Annotated[Code, Says("which figure")]
    numerator: Annotated[int, Says("numerator")]
    denominator: Annotated[int, Says("denominator; 0: there was nothing to measure")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi(Body):
    """Figures of a period (考核指标), with what they were computed from."""

    TYPE: ClassVar[str] = "trace.kpi.v1"
    TITLE: ClassVar[str] = "考核指标"
    CORRECTABLE: ClassVar[bool] = False

    period_from: Annotated[Moment, Says("begin of the period")]
    period_to: Annotated[Moment, Says("end of the period, not included")]
    scope: Annotated[Code | None, Says("device, party or node that they are about; null: this box")] = None
    figures: Annotated[tuple[Figure, ...], Says("the figures")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset(Body):
    """The clock was set right: times of earlier records of this boot are off by this much. They stay as they are."""

    TYPE: ClassVar[str] = "trace.clock_offset.v1"
    TITLE: ClassVar[str] = "时钟校正"
    CORRECTABLE: ClassVar[bool] = False

    offset_ms: Annotated[Milliseconds, Says("what has to be added to their times")]
    boot: Annotated[Words, Says("the boot whose records are meant")]
    until_mono_ms: Annotated[Milliseconds, Says("records captured before this time since boot are meant")]
    source: Annotated[Words | None, Says("who set the clock: NTP, GPS, a person")] = None
