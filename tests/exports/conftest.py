"""A little stall with a known day, and the tools of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import every_record
import orjson
import others_tools
import pytest

from edge_agent.exports.standings import Corrections
from edge_agent.model import Instant
from edge_agent.records import corrections as correct
from edge_agent.records.bodies import BODIES, Intake, Sale, Voucher, clock_facts
from edge_agent.records.envelope import Draft, seal

KG: Final = 1_000_000


@dataclass
class Day:
    """Records of one chain, and the hands that make them."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def now(self) -> Instant:
        n = len(self.events) + 1
        return Instant(wall_ms=every_record.OPENS_MS + n * 1000, mono_ms=n, boot="b", synced=True)

    def keep(self, draft: Draft) -> dict[str, Any]:
        before = self.events[-1]["hash"] if self.events else "0" * 64
        body = seal(draft, source=every_record.SOURCE, chain="c-1", sequence=len(self.events) + 1, prevhash=before).body
        self.events.append(orjson.loads(body))
        return self.events[-1]

    def record(self, kind: Any, subject: str = "stall-1", **fields: Any) -> dict[str, Any]:
        from edge_agent.records.envelope import draft

        body = kind(clock=clock_facts(self.now()), **fields)
        made = draft(type=kind.TYPE, subject=subject, at=self.now(), zone=every_record.SHANGHAI, data=body.to_data())
        return self.keep(made)

    def sale(self, kilograms: int, price_fen: int = 1000, **more: Any) -> dict[str, Any]:
        given = {
            "goods_code": "21113001",
            "goods_name": "猪前腿肉",
            "batch": "PIG-1",
            "trace_code": f"37060256900120{len(self.events):06d}",
            "seller": "3706025690012",
            "net_mg": kilograms * KG,
            "indication": f"{kilograms}.000",
            "unit": "kg",
            "price_fen": price_fen,
            "price_per": "kg",
            "amount_raw_fen": kilograms * price_fen,
            "amount_fen": kilograms * price_fen,
            "amount_source": "agent",
        }
        return self.record(Sale, **(given | more))

    def intake(self, **more: Any) -> dict[str, Any]:
        given = {
            "batch": "PIG-1",
            "goods_code": "21113001",
            "goods_name": "猪前腿肉",
            "net_mg": 300 * KG,
            "party": "3706025690012",
            "supplier": "3706025690777",
            "origin_code": "370602",
            "vouchers": (Voucher(type="2", no="JY-1"), Voucher(type="1", no="00012")),
        }
        return self.record(Intake, "door", **(given | more))

    def occasion(self) -> correct.Occasion:
        return correct.Occasion(at=self.now(), zone=every_record.SHANGHAI, reason="称错了", operator="03")

    def void(self, event: dict[str, Any]) -> dict[str, Any]:
        return self.keep(correct.void(event, self.events, self.occasion()))

    def amend(self, event: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return self.keep(correct.amend(event, self.events, changes, self.occasion()))

    def give_back(self, event: dict[str, Any], **amounts: Any) -> dict[str, Any]:
        return self.keep(correct.give_back(event, self.events, self.occasion(), **amounts))

    def read(self, sequence: int) -> dict[str, Any] | None:
        return self.events[sequence - 1] if 0 < sequence <= len(self.events) else None

    @property
    def corrections(self) -> Corrections:
        return Corrections.among(self.events, self.read)


@pytest.fixture
def day() -> Day:
    return Day()


@pytest.fixture(scope="session")
def every_event() -> list[dict[str, Any]]:
    """Records of every type: full, bare, and at random with hostile texts."""
    events = list(every_record.every())
    assert {event["type"] for event in events} == set(BODIES)
    return events


@pytest.fixture(scope="session")
def epcis2js() -> Callable[..., Any]:
    """What the npm package epcis2.js says of a document, or of each of several."""

    def ask(*files: Path) -> Any:
        verdicts = others_tools.epcis2js(*files)
        return verdicts if len(files) > 1 else verdicts[0]

    return ask
