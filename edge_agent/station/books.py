"""What the stations of one box know from earlier records: batches, stops of sale, recent sales, vehicles, numbers.

`fold` takes one record after another, whoever made it; a station's own drafts are folded by whoever keeps them,
before any station's next turn. A record that is corrected long after must be brought along: `wanted` says which.
Nothing here reads a store or a clock, and every collection is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from edge_agent.catalogue import EMPTY, Catalogue
from edge_agent.records.bodies import (
    Amend,
    Disposal,
    Intake,
    IntakeReview,
    Loss,
    Release,
    Return,
    Sale,
    Settlement,
    Stocktake,
    StopSale,
    Transfer,
    Transform,
    Void,
)
from edge_agent.records.bodies import Entry as GateEntry
from edge_agent.records.envelope import Draft
from edge_agent.station.batches import Account, Batches, Effect, Key, effects, facts
from edge_agent.station.bounded import Bounded
from edge_agent.station.numbers import Numbers
from edge_agent.station.recent_sales import RECENT, RecentSales
from edge_agent.station.stops import Stops

_NOT_TAKEN_IN: Final = frozenset({"refused", "returned"})
_CORRECTIONS: Final = 5_000
_VEHICLES: Final = 1_000
PUSHED: Final = 20_000
"""Sales that scales pushed, by number, of which one that comes again is known."""

_MOVES: Final = frozenset(kind.TYPE for kind in (Intake, Sale, Return, Loss, Stocktake, Transfer, Transform, Disposal))
FOLDED: Final = _MOVES | {kind.TYPE for kind in (IntakeReview, GateEntry, Settlement, StopSale, Release, Void, Amend)}
"""The types of records that the books take notice of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record as the books need it."""

    id: str
    type: str
    time: str
    data: Mapping[str, Any]

    @classmethod
    def of_draft(cls, draft: Draft) -> Entry:
        """A record that is about to be kept."""
        return cls(id=draft.id, type=draft.type, time=draft.time, data=orjson.loads(draft.data))

    @classmethod
    def of_body(cls, body: bytes) -> Entry:
        """A kept record."""
        event = orjson.loads(body)
        return cls(id=event["id"], type=event["type"], time=event["time"], data=event["data"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """The first of a vehicle's two weighings: the record that holds it, and what it says."""

    id: str
    plate_no: str
    mass_mg: int
    indication: str
    unit: str


class Books:
    """Everything that stations share. Not thread-safe: the stations of a box take turns at it.

    `catalogue` is the newest; whoever imports another puts it here at a turn.
    """

    def __init__(self) -> None:
        self.numbers = Numbers()
        self.catalogue: Catalogue = EMPTY
        self.clear()

    def clear(self) -> None:
        """Forget everything that records tell; not the running numbers, which must never run back."""
        self.batches = Batches()
        self.stops = Stops()
        self.sales = RecentSales()
        self._passings: Bounded[Passing] = Bounded(_VEHICLES)
        self._pushed: Bounded[str] = Bounded(PUSHED)
        self.hears_pushed = False
        """Whether scales push their sales here: what they have pushed is remembered for longer."""
        self._effects: Bounded[tuple[Effect, ...]] = Bounded(RECENT)
        self._corrected: Bounded[tuple[Effect, ...]] = Bounded(_CORRECTIONS)

    def passing(self, plate_no: str) -> Passing | None:
        """The first weighing of a vehicle whose second one has not come yet."""
        return self._passings.get(plate_no)

    def was_pushed(self, device: str, number: str) -> bool:
        """Whether a sale that a scale made by itself is recorded already, among the newest of them."""
        return f"{device}\t{number}" in self._pushed

    def recent_batches(self, party: str | None, goods: str, *, now_ms: int, days: int) -> list[Account]:
        """A seller's batches of goods that the market took in and that are not older than `days`, stopped ones too."""
        found = self.batches.of(party or "", goods, now_ms=now_ms, days=days)
        return [account for account in found if account.review not in _NOT_TAKEN_IN]

    def open_batches(self, party: str | None, goods: str, *, now_ms: int, days: int) -> list[Account]:
        """A seller's batches that goods can be taken from, oldest first.

        A batch of which nothing is left by the books stands only for want of another: what is on the scale came
        from somewhere.
        """
        recent = self.recent_batches(party, goods, now_ms=now_ms, days=days)
        free = [a for a in recent if self.stops.met(batch=a.batch, goods=goods, lot=None, now_ms=now_ms) is None]
        return [account for account in free if account.has_left] or free[-1:]

    def batches_to_sell(self, party: str | None, *, now_ms: int, days: int) -> list[Account]:
        """All batches that a seller can sell from: taken in, something left, and under no stop; oldest first."""
        return [
            account
            for account in self.batches.of_party(party or "", now_ms=now_ms, days=days)
            if account.review not in _NOT_TAKEN_IN
            and account.has_left
            and self.stops.met(batch=account.batch, goods=account.goods, lot=None, now_ms=now_ms) is None
        ]

    # --- taking records

    def wanted(self, entry: Entry) -> int | None:
        """The sequence of the record that has to be brought along to fold this one; None where none is needed."""
        if entry.type not in (Void.TYPE, Amend.TYPE) or entry.data["corrected_type"] not in _MOVES:
            return None
        known = entry.data["corrects"] in self._corrected or entry.data["corrects"] in self._effects
        return None if known else int(entry.data["corrected_sequence"])

    def fold(self, entry: Entry, corrected: Entry | None = None) -> None:
        """Take notice of a record. `corrected` is the one that `wanted` asked for, as long as it is still there."""
        if entry.type in (Void.TYPE, Amend.TYPE):
            self._correct(entry, corrected)
        else:
            done = effects(entry.type, entry.data)
            self._apply(done, entry.type, entry.data, entry)
            if done:
                self._effects.put(entry.id, done)
        match entry.type:
            case StopSale.TYPE:
                self.stops.put(entry.id, entry.data)
            case Release.TYPE:
                self.stops.lift(entry.data)
            case IntakeReview.TYPE if entry.data["batch"]:
                account = self.batches.find(entry.data["batch"], party=entry.data["party"])
                if account is not None:
                    account.review = entry.data["decision"]
        self.remember(entry)

    def remember(self, entry: Entry) -> None:
        """Take a record among the recent ones only: what it does to the balances is in the books already."""
        self.sales.take(entry.id, entry.type, entry.data)
        data = entry.data
        match entry.type:
            case Sale.TYPE if data.get("device_record"):
                self._pushed.put(f"{data['device']}\t{data['device_record']}", entry.id)
                self.hears_pushed = True
            case Void.TYPE:
                self.sales.correct(data["corrects"], None)
                for passing in [each for each in self._passings if each.id == data["corrects"]]:
                    self._passings.pop(passing.plate_no)
            case Amend.TYPE if data["corrected_type"] == Sale.TYPE:
                self.sales.correct(data["corrects"], data["content"])
            case GateEntry.TYPE if data["plate_no"] and data["net_mg"] is not None:
                passing = Passing(
                    id=entry.id,
                    plate_no=data["plate_no"],
                    mass_mg=data["net_mg"],
                    indication=data["indication"],
                    unit=data["unit"],
                )
                self._passings.put(passing.plate_no, passing)
            case Transfer.TYPE if data["plate_no"] and data["tare_record"]:
                self._passings.pop(data["plate_no"])

    def _apply(self, done: tuple[Effect, ...], type_name: str, data: Mapping[str, Any], entry: Entry) -> None:
        opened = int(datetime.fromisoformat(entry.time).timestamp() * 1000) if data["clock"]["synced"] else None
        for effect in done:
            self.batches.apply(effect, record=entry.id, opened_ms=opened, facts=facts(type_name, data, effect))

    def _correct(self, entry: Entry, corrected: Entry | None) -> None:
        """Take back what the corrected record did, and book what it should have done."""
        name, type_name = entry.data["corrects"], entry.data["corrected_type"]
        before = self._corrected.get(name)
        if before is None:
            before = self._effects.get(name)
        if before is None:
            before = () if corrected is None else effects(corrected.type, corrected.data)
        for effect in before:
            self.batches.apply(effect.back())
        after: tuple[Effect, ...] = ()
        if entry.type == Amend.TYPE:
            after = effects(type_name, entry.data["content"])
            self._apply(after, type_name, entry.data["content"], entry)
        if type_name in _MOVES:
            self._corrected.put(name, after)

    # --- remembering over a restart

    def snapshot(self) -> dict[str, Any]:
        """The balances and stops as plain values; recent records are taken from the store again."""
        return {
            "batches": self.batches.to_plain(),
            "stops": self.stops.to_plain(),
            "pushed": self.hears_pushed,
            "corrected": [
                [name, [[*effect.key, *effect[1:]] for effect in done]] for name, done in self._corrected.items()
            ],
        }

    def load(self, plain: Mapping[str, Any]) -> None:
        """Take a snapshot. Raises KeyError, TypeError or ValueError for what is none."""
        self.clear()
        self.batches.load(plain["batches"])
        self.stops.load(plain["stops"])
        self.hears_pushed = plain.get("pushed") is True
        for name, done in plain["corrected"]:
            self._corrected.put(name, tuple(Effect(Key(*each[:3]), *each[3:]) for each in done))
