"""Stops of sale that are in force: a failed inspection's, the platform's, a person's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from edge_agent.station.bounded import Bounded

MAX_STOPS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One stop; all that it names must agree. `until_ms` is None where only a release ends it."""

    id: str
    batch: str | None
    goods: str | None
    lot: str | None
    until_ms: int | None

    def meets(self, *, batch: str | None, goods: str | None, lot: str | None, now_ms: int) -> bool:
        """Whether the sale of this is stopped."""
        if self.until_ms is not None and now_ms > self.until_ms:
            return False
        pairs = ((self.batch, batch), (self.goods, goods), (self.lot, lot))
        named = [(mine, theirs) for mine, theirs in pairs if mine is not None]
        return bool(named) and all(mine == theirs for mine, theirs in named)

    @property
    def matched(self) -> str:
        """What it names, in the form of a recall hit."""
        pairs = (("batch", self.batch), ("goods", self.goods), ("lot", self.lot))
        return " ".join(f"{name}:{value}" for name, value in pairs if value is not None)


class Stops:
    """The stops that were not lifted."""

    def __init__(self) -> None:
        self._stops: Bounded[Stop] = Bounded(MAX_STOPS)

    def __iter__(self) -> Iterator[Stop]:
        return iter(self._stops)

    def met(self, *, batch: str | None, goods: str | None, lot: str | None, now_ms: int) -> Stop | None:
        """The first stop that forbids the sale of this."""
        return next((s for s in self._stops if s.meets(batch=batch, goods=goods, lot=lot, now_ms=now_ms)), None)

    def put(self, record_id: str, data: Mapping[str, Any]) -> None:
        """A stop of sale was recorded."""
        until = None if data["until"] is None else int(datetime.fromisoformat(data["until"]).timestamp() * 1000)
        stop = Stop(id=record_id, batch=data["batch"], goods=data["goods_code"], lot=data["lot"], until_ms=until)
        self._stops.put(record_id, stop)

    def lift(self, data: Mapping[str, Any]) -> None:
        """A release was recorded: it lifts the stop it names, or every stop of the batch or goods it names."""
        if data["stop_sale"] is not None:
            self._stops.pop(data["stop_sale"])
            return
        batch, goods = data["batch"], data["goods_code"]
        for stop in list(self._stops):
            by_batch = batch is not None and stop.batch == batch and goods in (None, stop.goods)
            if by_batch or (batch is None and goods is not None and stop.goods == goods and stop.batch is None):
                self._stops.pop(stop.id)

    def to_plain(self) -> list[dict[str, Any]]:
        """All stops as plain values."""
        return [asdict(stop) for stop in self._stops]

    def load(self, plain: Iterable[Mapping[str, Any]]) -> None:
        """Take the stops of `to_plain`."""
        for each in plain:
            self._stops.put(each["id"], Stop(**each))
