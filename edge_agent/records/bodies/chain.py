"""Records about records: corrections, the beginning of a chain, what is missing, what was purged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from edge_agent.records.bodies.base import Body
from edge_agent.records.bodies.terms import Code, Count, Digest, Moment, Reason, RecordId, Sequence, Words
from edge_agent.records.shape import Form, Needs, Says

CorrectedType = Annotated[str, Form(pattern=r"^trace\.[a-z_]+\.v1$"), Says("type of the record that is corrected")]
_ChainId = Annotated[Code, Says("chain of the record that is corrected")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Void(Body):
    """The record named by `corrects` is void. It stays where it is; nothing counts it any longer."""

    TYPE: ClassVar[str] = "trace.void.v1"
    TITLE: ClassVar[str] = "作废"
    CORRECTABLE: ClassVar[bool] = False

    corrects: Annotated[RecordId, Says("id of the record that is void")]
    corrected_type: CorrectedType
    corrected_chain: _ChainId
    corrected_sequence: Annotated[Sequence, Says("its place on its chain")]
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend(Body):
    """The record named by `corrects` should have been `content`. The last amendment counts."""

    TYPE: ClassVar[str] = "trace.amend.v1"
    TITLE: ClassVar[str] = "更正"
    CORRECTABLE: ClassVar[bool] = False

    corrects: Annotated[RecordId, Says("id of the record that is amended")]
    corrected_type: CorrectedType
    corrected_chain: _ChainId
    corrected_sequence: Annotated[Sequence, Says("its place on its chain")]
    reason: Reason
    was: Annotated[Mapping[str, Any], Says("each field that changes, with the value that it had")]
    content: Annotated[Mapping[str, Any], Says("the whole body of that type as it should have been")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Body):
    """The first record of a chain; it names the chain before where a store had to be set aside."""

    TYPE: ClassVar[str] = "trace.chain.v1"
    TITLE: ClassVar[str] = "链起点"
    CORRECTABLE: ClassVar[bool] = False
    RULES: ClassVar[tuple[Needs, ...]] = (Needs("old_chain", ("old_sequence", "old_hash", "reason")),)

    old_chain: Annotated[Code | None, Says("the chain before, where it is known")] = None
    old_sequence: Annotated[Count | None, Says("its last sequence that is known")] = None
    old_hash: Annotated[Digest | None, Says("the hash of that record")] = None
    reason: Annotated[Words | None, Says("why a new chain began")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(Body):
    """A time in which something may not have been recorded."""

    TYPE: ClassVar[str] = "trace.gap.v1"
    TITLE: ClassVar[str] = "缺口"
    CORRECTABLE: ClassVar[bool] = False

    since: Annotated[Moment, Says("begin of that time")]
    until: Annotated[Moment | None, Says("its end; null: now")] = None
    devices: Annotated[tuple[Code, ...], Says("devices that were not heard; none: all")] = ()
    lost: Annotated[Count | None, Says("how much was lost, where that is known")] = None
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge(Body):
    """Delivered records left the store; the chain is verified from the anchor on."""

    TYPE: ClassVar[str] = "trace.purge.v1"
    TITLE: ClassVar[str] = "清理"
    CORRECTABLE: ClassVar[bool] = False

    first_sequence: Annotated[Sequence, Says("first sequence that may be gone")]
    last_sequence: Annotated[Sequence, Says("last sequence that may be gone: the anchor")]
    anchor_hash: Annotated[Digest, Says("the hash of the record at the anchor")]
    records: Annotated[Count, Says("how many are gone")]
    reason: Reason
