"""What a device has said since the start, counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_agent.model import DeviceEvent, PushedSale, Reading, Rejected, Scan, Status, TagRead


@dataclass(slots=True)
class Counters:
    """What a device has said since the start."""

    readings: int = 0
    scans: int = 0
    tags: int = 0
    statuses: int = 0
    sales: int = 0
    rejected: int = 0
    late: int = 0  # readings that had waited too long to be ones of now
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, event: DeviceEvent) -> None:
        """Count one event."""
        match event:
            case Reading():
                self.readings += 1
            case Scan():
                self.scans += 1
            case TagRead():
                self.tags += 1
            case PushedSale():
                self.sales += 1
            case Status():
                self.statuses += 1
            case Rejected():
                self.rejected += 1
                if event.reason in self.reasons or len(self.reasons) < 32:
                    self.reasons[event.reason] = self.reasons.get(event.reason, 0) + 1

    def as_dict(self) -> dict[str, object]:
        """The counts as plain values."""
        return {
            "readings": self.readings,
            "scans": self.scans,
            "tags": self.tags,
            "sales": self.sales,
            "statuses": self.statuses,
            "rejected": self.rejected,
            "late": self.late,
            "reasons": dict(self.reasons),
        }
