"""A hall: several stations of one box that share its books, with a chain in memory and hands that weigh and scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent.model import Command, Instant, Observation, Reading, Scan, TagRead
from edge_agent.records.bodies import BODIES
from edge_agent.records.check import body_problems
from edge_agent.station import Books, Settings, make_station
from edge_agent.station.books import Entry
from edge_agent.station.weigh_cycle import CycleRules

ZONE = ZoneInfo("Asia/Shanghai")
STALL = "3706025690012"
CHAIN = "chain-1"


class Hall:
    """Stations that share their books. Each record is folded when it is made, and must be what its schema says."""

    def __init__(self, instants: Callable[[], Instant]) -> None:
        self.books = Books()
        self.now = instants
        self.events: list[dict[str, Any]] = []

    def place(self, mode: str, name: str | None = None, **changes: Any) -> Place:
        return Place(self, mode, name or mode, changes)

    def keep(self, drafts: Any) -> list[dict[str, Any]]:
        fresh = []
        for draft in drafts:
            entry = Entry.of_draft(draft)
            assert body_problems(BODIES[draft.type], entry.data) == []
            place = {"id": draft.id, "type": draft.type, "time": draft.time, "subject": draft.subject}
            event = {**place, "chain": CHAIN, "sequence": f"{len(self.events) + 1:016d}", "data": entry.data}
            self.events.append(event)
            fresh.append(event)
            self.fold(event)
        return fresh

    def fold(self, event: dict[str, Any], books: Books | None = None) -> None:
        books = books or self.books
        entry = Entry.of_body(orjson.dumps(event))
        wanted = books.wanted(entry)
        corrected = None if wanted is None else Entry.of_body(orjson.dumps(self.events[wanted - 1]))
        books.fold(entry, corrected)

    def of(self, name: str) -> list[dict[str, Any]]:
        """The bodies of all records of a type."""
        return [{"id": e["id"], **e["data"]} for e in self.events if e["type"] == f"trace.{name}.v1"]

    def left(self, batch: str) -> tuple[int, int]:
        account = self.books.batches.find(batch)
        assert account is not None
        return account.left_mg, account.left_qty


class Place:
    """A station with a scale `s` (frames without unit, shown in kg) and a scanner `c`."""

    def __init__(self, hall: Hall, mode: str, name: str, changes: dict[str, Any]) -> None:
        self.hall = hall
        rules = CycleRules(
            min_load=20_000,
            zero_band=5_000,
            stable_ms=300,
            stable_band=2_000,
            stable_readings=2,
            additions=mode in ("sale", "filling"),
        )
        settings: dict[str, Any] = {"operator": "03", "party": STALL, "units": {"s": "kg"}, "scales": ("s",)}
        self.station = make_station(
            Settings(id=name, mode=mode, zone=ZONE, rules=rules, **(settings | changes)), hall.books
        )
        self.fresh: list[dict[str, Any]] = []

    @property
    def detail(self) -> Any:
        return self.station.view.detail

    def see(self, event: Any, device: str = "s") -> Place:
        observation = Observation(device=device, driver="d", at=self.hall.now(), event=event)
        self.fresh = self.hall.keep(self.station.observe(observation))
        return self

    def load(self, text: str, **more: Any) -> Place:
        """Put something on the empty platter."""
        for shown in ("0.000", "0.000", text, text):
            self.show(shown, **more)
        return self

    def show(self, text: str, **more: Any) -> Place:
        return self.see(Reading(weight=text, raw=text.encode(), **({"stability": "stable", "basis": "gross"} | more)))

    def scan(self, text: str, **more: Any) -> Place:
        return self.see(Scan(text=text, raw=text.encode(), **more), "c")

    def tag(self, tag_id: str) -> Place:
        return self.see(TagRead(tag_id=tag_id, kind="epc", raw=b"\x01"), "gate")

    def tell(self, name: str, /, **arguments: Any) -> str | None:
        """Give a command: the refusal's code, None where it was carried out."""
        outcome = self.station.command(Command(name=name, at=self.hall.now(), arguments=arguments))
        self.fresh = self.hall.keep(outcome.drafts)
        return None if outcome.refused is None else outcome.refused.code

    def do(self, name: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """Give a command that must be carried out; returns the bodies of its records."""
        refused = self.tell(name, **arguments)
        assert refused is None, refused
        return [{"id": e["id"], "type": e["type"], **e["data"]} for e in self.fresh]

    def sell(self, goods: str = "veg", weight: str = "1.000", **arguments: Any) -> dict[str, Any]:
        """Sell what is put on the platter; returns the sale."""
        self.do("goods", code=goods, price_fen=500)
        self.load(weight)
        return self.do("confirm", **arguments)[0]


@pytest.fixture
def hall(instants: Callable[[], Instant]) -> Hall:
    return Hall(instants)


@pytest.fixture
def stall(hall: Hall) -> Place:
    return hall.place("sale")


@pytest.fixture
def stocked(hall: Hall) -> Callable[..., dict[str, Any]]:
    """Takes goods in: `stocked("veg", 100)` is a batch of 100 kg."""
    door = hall.place("intake", "door")

    def take_in(goods: str = "veg", kilograms: int | None = None, **more: Any) -> dict[str, Any]:
        if kilograms is not None:
            more["net_mg"] = kilograms * 1_000_000
        return door.do("confirm", goods_code=goods, **more)[0]

    return take_in
