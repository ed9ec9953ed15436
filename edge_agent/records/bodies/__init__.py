"""Typed bodies of records: the `data` of each `trace.NAME.v1` event.

`BODIES` names the type of every record that the agent makes or that may be brought in.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge_agent.records.bodies.base import Body, CapturedBy, Clock, Weighed, clock_facts
from edge_agent.records.bodies.chain import Amend, Chain, Gap, Purge, Void
from edge_agent.records.bodies.intake import Entry, Import, Intake, IntakeReview, Voucher
from edge_agent.records.bodies.movement import Environment, Filling, Part, Transfer, Transform
from edge_agent.records.bodies.place import (
    ClockOffset,
    CommissioningStep,
    Complaint,
    DeviceState,
    Figure,
    Kpi,
    Party,
    Patrol,
    Shift,
)
from edge_agent.records.bodies.quality import (
    Confirmation,
    Disposal,
    Inspection,
    InspectionItem,
    RecallHit,
    Release,
    StopSale,
)
from edge_agent.records.bodies.sensing import ScanBody, TagBody, Weighing
from edge_agent.records.bodies.trade import Loss, Return, Sale, Settlement, Stocktake

BODIES: Final[Mapping[str, type[Body]]] = MappingProxyType(
    {
        kind.TYPE: kind
        for kind in (
            *(Weighing, ScanBody, TagBody),
            *(Sale, Return, Settlement, Loss, Stocktake),
            *(Intake, IntakeReview, Entry),
            *(Inspection, Disposal, StopSale, Release, RecallHit, Confirmation),
            *(Transfer, Transform, Filling, Environment),
            *(Party, DeviceState, Patrol, Shift, Complaint, Kpi, ClockOffset),
            *(Void, Amend, Chain, Gap, Purge),
        )
    }
)
"""The body of every type, by its name."""

__all__ = [
    "BODIES",
    "Amend",
    "Body",
    "CapturedBy",
    "Chain",
    "Clock",
    "ClockOffset",
    "CommissioningStep",
    "Complaint",
    "Confirmation",
    "DeviceState",
    "Disposal",
    "Entry",
    "Environment",
    "Figure",
    "Filling",
    "Gap",
    "Import",
    "Inspection",
    "InspectionItem",
    "Intake",
    "IntakeReview",
    "Kpi",
    "Loss",
    "Part",
    "Party",
    "Patrol",
    "Purge",
    "RecallHit",
    "Release",
    "Return",
    "Sale",
    "ScanBody",
    "Settlement",
    "Shift",
    "Stocktake",
    "StopSale",
    "TagBody",
    "Transfer",
    "Transform",
    "Void",
    "Voucher",
    "Weighed",
    "Weighing",
    "clock_facts",
]
