"""The figures of a day, folded from records; pure.

Each figure is a count with the counts that it is a share of, so that it can be computed again: `linked` of `sales`,
`delivered`, `late` and `refused` of `records`. A void takes a sale out of its own day, an amendment changes it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

DAYS_KEPT: Final = 62

_SALE: Final = "trace.sale.v1"
_RETURN: Final = "trace.return.v1"
_VOID: Final = "trace.void.v1"
_AMEND: Final = "trace.amend.v1"
COUNTED: Final = frozenset({_SALE, _RETURN, _VOID, _AMEND})
"""The types of records that change a figure besides the number of records."""

Event = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class DayFigures:
    """One day by the times that the records tell. `first` and `last` are the sequences it was counted from.

    `linked` sales name a batch that is known; `late` records had no verdict of acceptance a day after they were made.
    """

    day: str
    first: int = 0
    last: int = 0
    records: int = 0
    sales: int = 0
    void: int = 0
    amount_fen: int = 0
    weight_mg: int = 0
    linked: int = 0
    returns: int = 0
    returned_fen: int = 0
    aged: int = 0
    late: int = 0


def corrected_sequence(event: Event) -> int | None:
    """The record that has to be brought along to fold a void or an amendment of a sale; None where none is."""
    data = event["data"]
    if event["type"] in (_VOID, _AMEND) and data.get("corrected_type") == _SALE:
        return int(data["corrected_sequence"])
    return None


class Tally:
    """The figures of the newest days. Not thread-safe."""

    def __init__(self, plain: Iterable[Mapping[str, Any]] = ()) -> None:
        self._days: dict[str, DayFigures] = {each["day"]: DayFigures(**each) for each in plain}

    def to_plain(self) -> list[dict[str, Any]]:
        """All days as plain values, oldest first."""
        return [asdict(self._days[day]) for day in sorted(self._days)]

    def days(self) -> list[DayFigures]:
        """All days, oldest first."""
        return [self._days[day] for day in sorted(self._days)]

    def count(self, day: str, sequence: int) -> None:
        """A record of this day."""
        figures = self._day(day)
        figures.records += 1
        figures.first = min(figures.first or sequence, sequence)
        figures.last = max(figures.last, sequence)

    def age(self, day: str, *, late: bool) -> None:
        """A record of this day is a day old now, and late where the platform has not accepted it."""
        figures = self._day(day)
        figures.aged += 1
        figures.late += late

    def fold(self, event: Event, corrected: Event | None = None) -> None:
        """Take in a record of one of the types in `COUNTED`; `corrected` is the corrected one as it stood before."""
        data = event["data"]
        day = event["time"][:10]
        match event["type"]:
            case "trace.sale.v1":
                self._sale(day, data, 1)
            case "trace.return.v1":
                self._day(day).returns += 1
                self._day(day).returned_fen += data["amount_fen"] or 0
            case "trace.void.v1" if corrected is not None:
                self._sale(corrected["time"][:10], corrected["data"], -1)
                self._day(corrected["time"][:10]).void += 1
            case "trace.amend.v1" if corrected is not None:
                then = corrected["time"][:10]
                self._sale(then, corrected["data"], -1)
                self._sale(then, data["content"], 1)

    def _sale(self, day: str, data: Mapping[str, Any], sign: int) -> None:
        figures = self._day(day)
        figures.sales += sign
        figures.amount_fen += sign * (data["amount_fen"] or 0)
        if data["mode"] == "weight":
            figures.weight_mg += sign * (data["net_mg"] or 0)
        figures.linked += sign * (data["batch"] is not None and "no_upstream" not in data["flags"])

    def _day(self, day: str) -> DayFigures:
        figures = self._days.get(day)
        if figures is None:
            figures = self._days[day] = DayFigures(day=day)
            while len(self._days) > DAYS_KEPT:
                del self._days[min(self._days)]
        return figures
