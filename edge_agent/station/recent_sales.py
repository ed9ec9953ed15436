"""Sales that can still be settled and returned at a station by their id or trace code: the newest of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from edge_agent.station.bounded import Bounded

RECENT: Final = 2_000

_OF_THE_SALE: Final = (
    *("goods_code", "goods_name", "batch", "trace_code", "mode", "net_mg", "qty", "price_fen", "price_per"),
    *("amount_fen", "seller", "buyer", "ticket", "line"),
)


class Back(NamedTuple):
    """What one return brought back."""

    mg: int
    qty: int
    fen: int


@dataclass(slots=True, kw_only=True)
class Line:
    """A sale: what its record says, what came back of it, and the settlement that paid it."""

    id: str
    data: Mapping[str, Any]
    returns: dict[str, Back] = field(default_factory=dict)
    settled_by: str | None = None

    @property
    def by_piece(self) -> bool:
        """Whether it was sold by the piece."""
        return bool(self.data["mode"] == "piece")

    @property
    def left(self) -> int:
        """Pieces or milligrams that have not come back."""
        if self.by_piece:
            return int(self.data["qty"]) - sum(back.qty for back in self.returns.values())
        return (self.data["net_mg"] or 0) - sum(back.mg for back in self.returns.values())

    @property
    def left_fen(self) -> int | None:
        """What is paid and not paid back; None where no amount is recorded."""
        amount = self.data["amount_fen"]
        return None if amount is None else int(amount) - sum(back.fen for back in self.returns.values())

    def refund(self, back: int) -> int | None:
        """What is paid back for this many pieces or milligrams: their share, and never more than is left."""
        left = self.left_fen
        if left is None or back == self.left:
            return left
        whole = self.data["qty"] if self.by_piece else self.data["net_mg"]
        return min(left, int(self.data["amount_fen"]) * back // int(whole))


class RecentSales:
    """The newest sales, with what later records say of them."""

    def __init__(self) -> None:
        self._lines: Bounded[Line] = Bounded(RECENT)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def find(self, name: str) -> Line | None:
        """The sale with this id or trace code."""
        line = self._lines.get(name)
        return line or next((each for each in self._lines if each.data["trace_code"] == name), None)

    def on(self, ticket: str) -> list[Line]:
        """The lines of a ticket, in order."""
        return [line for line in self._lines if line.data["ticket"] == ticket]

    def take(self, record_id: str, type_name: str, data: Mapping[str, Any]) -> None:
        """Take notice of a record."""
        match type_name:
            case "trace.sale.v1":
                self._lines.put(record_id, Line(id=record_id, data=_about(data)))
            case "trace.return.v1" if (line := self._lines.get(data["corrects"] or "")) is not None:
                pieces = data["qty"] if data["mode"] == "piece" else 0
                line.returns[record_id] = Back(data["net_mg"] or 0, pieces, data["amount_fen"] or 0)
            case "trace.settlement.v1":
                for line in filter(None, map(self._lines.get, data["lines"])):
                    line.settled_by = record_id

    def correct(self, record_id: str, content: Mapping[str, Any] | None) -> None:
        """A record is void (`content` is None) or should have been `content`."""
        line = self._lines.get(record_id)
        if line is not None:
            if content is None:
                self._lines.pop(record_id)
            else:
                line.data = _about(content)
            return
        for each in self._lines:
            if record_id in each.returns and content is None:
                del each.returns[record_id]
            if each.settled_by == record_id and content is None:
                each.settled_by = None


def _about(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in _OF_THE_SALE}
