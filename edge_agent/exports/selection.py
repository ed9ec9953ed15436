"""Which records an export holds: by day, time, type and station."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from edge_agent.records.bodies import BODIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Bounds on a record's time (from `since`, before `until`), its types and stations; empty: any."""

    since: datetime | None = None
    until: datetime | None = None
    types: frozenset[str] = frozenset()
    stations: frozenset[str] = frozenset()

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether a record is one of these."""
        if self.types and event["type"] not in self.types:
            return False
        if self.stations and event["subject"] not in self.stations:
            return False
        if self.since is None and self.until is None:
            return True
        at = datetime.fromisoformat(event["time"])
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


EVERYTHING = Selection()


def of_day(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """The beginning of a day in a time zone, and that of the next."""
    begin = datetime.combine(day, time(), zone)
    return begin.astimezone(UTC), datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


def moment(text: str, zone: tzinfo) -> datetime:
    """A day (its beginning), or a time with or without offset; without one it is of the place. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def type_name(text: str) -> str:
    """The type that a person means: `sale` or `trace.sale.v1`. Raises ValueError with those that there are."""
    name = text if text in BODIES else f"trace.{text}.v1"
    if name not in BODIES:
        known = ", ".join(sorted(each.removeprefix("trace.").removesuffix(".v1") for each in BODIES))
        raise ValueError(f"{text!r} is no type of record; known: {known}")
    return name
