"""What the page is told: numbered events, in a ring that every stream reads at its own pace.

The board wakes it; nothing polls. A stream holds a place in the ring and no queue of its own, so what a slow phone
costs is nothing; one that fell behind the ring, or comes back too late, gets the whole state again. Ids are
`EPOCH-NUMBER`; the epoch is new with every start and after anything that may have been missed.

A station's view goes out at most ten times a second, but at once where more than the weight changed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
import structlog

from edge_agent.board import Event, Watcher
from edge_agent.facade import Facade
from edge_agent.web.shown import NameOf, record_facts, status_facts, view_facts

TOPICS: Final = ("station/", "record", "delivery", "device/", "alarm/", "figures", "catalogue")

_WEIGHT_EVERY: Final = 0.1
_MARKS_EVERY: Final = 0.1
_STATUS_EVERY: Final = 0.5
_FIGURES_EVERY: Final = 2.0
_STOPS_EVERY: Final = 10.0
"""Seconds; what is left of stopped goods changes with every sale, and is looked at that often."""
_ABOUT_STOPS: Final = frozenset({"trace.stop_sale.v1", "trace.release.v1", "trace.confirmation.v1"})
_LOOK_EVERY: Final = 2.0
"""Seconds; what nobody tells of, such as the disk and the age of what is pending, is looked at that often."""

RING: Final = 2_000
_RING_BYTES: Final = 2 << 20
_RECORDS: Final = 50
_CATCH_UP: Final = 200
_WEIGHTS: Final = 600


class Live:
    """The ring and what it is made of. Everything but `wake` runs in the server's loop."""

    def __init__(self, agent: Facade, name_of: NameOf, extra: Callable[[], Mapping[str, Any]]) -> None:
        self._agent = agent
        self._name_of = name_of
        self._extra = extra
        self._log = structlog.get_logger()
        self._wake = asyncio.Event()
        self._pulse = asyncio.Event()
        self.ready = asyncio.Event()
        """Set once there is something to show."""
        self._epoch = secrets.token_hex(4)
        self._number = 0
        self._ring: deque[tuple[int, str, bytes]] = deque()
        self._ring_bytes = 0
        self._views: dict[str, Any] = {}
        self._sent_views: dict[str, bytes] = {}
        self._next_at: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._weights: dict[str, deque[tuple[int, Any, str]]] = {}
        self._records: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._seen = 0
        self._status: dict[str, Any] = {}
        self._parts: dict[str, Any] = {}
        self.on_sale: Callable[[], Awaitable[None]] | None = None
        """Called after a sale was told."""
        self._due: dict[str, float] = {}
        self._did: dict[str, float] = {}

    # --- for streams

    @property
    def newest(self) -> str:
        """The id of the newest event."""
        return f"{self._epoch}-{self._number}"

    def place(self, event_id: str | None) -> int | None:
        """Where a stream that last saw this event goes on; None where it needs the whole state."""
        epoch, _, number = (event_id or "").partition("-")
        if epoch != self._epoch or not number.isdigit() or len(number) > 15 or int(number) > self._number:
            return None
        return int(number) if self.can_go_on(int(number)) else None

    def can_go_on(self, place: int) -> bool:
        """Whether all that came after a place is still in the ring."""
        return place >= self._number - len(self._ring)

    def epoch_of(self) -> str:
        """The epoch that counts now."""
        return self._epoch

    def after(self, place: int) -> tuple[int, list[bytes]]:
        """What came after a place, ready to be sent, and the new place.

        Of each station, and of each part that is told as a whole, only the newest of those is sent.
        """
        fresh = [entry for entry in self._ring if entry[0] > place]
        newest = {key: number for number, key, _ in fresh if key}
        chunks = [data for number, key, data in fresh if not key or newest[key] == number]
        return self._number, chunks

    async def changed(self, place: int, timeout: float) -> None:
        """Wait until there is something after a place, or for `timeout` seconds."""
        if self._number > place:
            return
        pulse = self._pulse
        try:
            await asyncio.wait_for(pulse.wait(), timeout)
        except TimeoutError:
            return

    def snapshot(self) -> dict[str, Any]:
        """The whole state."""
        return {
            "now_ms": _now_ms(),
            **{
                k: v
                for k, v in self._agent.settings().items()
                if k in ("site", "gateway", "version", "complaint_number")
            },
            "stations": {name: view_facts(view, self._name_of) for name, view in self._views.items()},
            "status": self._status,
            "records": list(reversed(self._records.values())),
            **self._parts,
        }

    def snapshot_event(self, session: Mapping[str, Any]) -> bytes:
        """The whole state as an event that carries the newest id."""
        return _event("snapshot", {**self.snapshot(), "session": session}, self.newest)

    def weights(self, station: str) -> list[tuple[int, Any, str]]:
        """The weights of the last minute: Unix milliseconds, milligrams or None, state."""
        return list(self._weights.get(station, ()))

    def tell_part(self, name: str, value: Any) -> None:
        """A part of the state, told as a whole where it changed."""
        self._whole(name, value)

    def publish(self, name: str, data: Any, *, whole: bool = True) -> None:
        """Tell every stream. `whole`: the event tells all of its part, so an earlier one need not be sent."""
        self._number += 1
        encoded = _event(name, data, self.newest)
        key = f"{name}/{data['station']}" if name == "station" else (name if whole else "")
        self._ring.append((self._number, key, encoded))
        self._ring_bytes += len(encoded)
        while len(self._ring) > RING or self._ring_bytes > _RING_BYTES:
            self._ring_bytes -= len(self._ring.popleft()[2])
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    # --- the loop

    async def run(self, stopping: Callable[[], bool], beat: Callable[[], None]) -> None:
        """Take what the board tells, until `stopping`."""
        loop = asyncio.get_running_loop()
        wake = self._wake

        def woken() -> None:  # by any thread
            loop.call_soon_threadsafe(wake.set)

        with self._agent.watch(TOPICS, woken) as watcher:
            lost: int | None = None  # None: the whole state is to be looked at anew
            while not stopping():
                beat()
                try:
                    if lost != watcher.lost:
                        if lost is not None:
                            self._log.warning("page.resync", lost=watcher.lost)
                        lost = watcher.lost
                        watcher.take(0)
                        await self._begin()
                    await self._wait(loop)
                    await self._turn(watcher, loop.time())
                except Exception as problem:  # noqa: BLE001 -- the page's one loop: a fault must not end what it shows
                    self._log.error("page.failed", reason=f"{type(problem).__name__}: {problem}", exc_info=problem)
                    lost = None
                    await asyncio.sleep(1.0)

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        until = min([loop.time() + 1.0, *self._due.values()])
        if self._waiting:
            until = min(until, *(self._free_at(name) for name in self._waiting))
        try:
            await asyncio.wait_for(self._wake.wait(), max(0.0, until - loop.time()))
        except TimeoutError:
            return

    async def _begin(self) -> None:
        """The whole state anew, and an epoch that sends every stream to it."""
        self._epoch = secrets.token_hex(4)
        self._number = 0
        self._ring.clear()
        self._ring_bytes = 0
        self._views = dict(self._agent.views())
        self._sent_views.clear()
        records = await asyncio.to_thread(self._agent.lookups.recent, _RECORDS)
        shown = [record_facts(record) for record in reversed(records)]
        self._records = OrderedDict((facts["sequence"], facts) for facts in shown)
        for facts in shown:
            self._note_void(facts)
        self._seen = next(reversed(self._records), 0)
        self._status = status_facts(await asyncio.to_thread(self._agent.status))
        figures = await asyncio.to_thread(self._agent.lookups.figures, 1)
        stops = await asyncio.to_thread(self._agent.stops)
        self._parts = {
            "stops": stops,
            "figures": figures[-1],
            "catalogue": self._agent.settings()["catalogue"],
            **self._extra(),
        }
        self.ready.set()
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    async def _turn(self, watcher: Watcher, now: float) -> None:
        self._wake.clear()
        topics = set()
        about_stops = False
        for event in watcher.take(0):
            if event.topic.startswith("station/"):
                self._take_view(event, now)
                continue
            topics.add(event.topic.partition("/")[0])
            about_stops = about_stops or getattr(event.value, "type", "") in _ABOUT_STOPS
        for name in [n for n in self._waiting if now >= self._free_at(n)]:
            self._send_view(name, now)
        if "record" in topics:
            await self._new_records()
            self._ask("stops", now, 0.0 if about_stops else _STOPS_EVERY)
        if topics & {"record", "delivery"}:
            self._ask("marks", now, _MARKS_EVERY)
            self._ask("status", now, _STATUS_EVERY)
        if topics & {"device", "alarm"}:
            self._ask("status", now, 0.0)
        if "figures" in topics or "delivery" in topics:
            self._ask("figures", now, _FIGURES_EVERY)
        if "catalogue" in topics:
            self._whole("catalogue", self._agent.settings()["catalogue"])
        if now - self._did.get("status", 0.0) > _LOOK_EVERY:
            self._ask("status", now, 0.0)
        for part in [part for part, due in self._due.items() if due <= now]:
            del self._due[part]
            self._did[part] = now
            await self._tell(part)

    def _ask(self, part: str, now: float, pace: float) -> None:
        """Have a part looked at: at once, but not more often than every `pace` seconds."""
        due = max(now, self._did.get(part, 0.0) + pace)
        self._due[part] = min(due, self._due.get(part, due))

    async def _tell(self, part: str) -> None:
        match part:
            case "marks":
                await self._new_marks()
            case "status":
                fresh = status_facts(await asyncio.to_thread(self._agent.status))
                changes = {k: v for k, v in fresh.items() if self._status.get(k) != v}
                self._status = fresh
                if changes:
                    self.publish("status", changes, whole=False)
            case "figures":
                figures = await asyncio.to_thread(self._agent.lookups.figures, 1)
                self._whole("figures", figures[-1])
            case "stops":
                self._whole("stops", await asyncio.to_thread(self._agent.stops))

    def _whole(self, name: str, value: Any) -> None:
        if self._parts.get(name) != value:
            self._parts[name] = value
            self.publish(name, value)

    # --- stations

    def _take_view(self, event: Event, now: float) -> None:
        name, view = event.topic.removeprefix("station/"), event.value
        before = self._views.get(name)
        self._views[name] = view
        points = self._weights.setdefault(name, deque(maxlen=_WEIGHTS))
        points.append((_now_ms(), view.weight, view.state))
        only_weight = before is not None and all(
            getattr(before, part) == getattr(view, part)
            for part in ("state", "stability", "basis", "device", "unit", "duty")
        )
        only_weight = only_weight and _lasting(before) == _lasting(view)
        if not only_weight or now >= self._free_at(name):
            self._send_view(name, now)
        else:
            self._waiting.add(name)

    def _free_at(self, name: str) -> float:
        """When the next weight may go out. One may go out early: a scale of ten frames a second whose frames are not
        quite even would else be shown later and later, up to a whole frame."""
        return self._next_at.get(name, 0.0) - _WEIGHT_EVERY

    def _send_view(self, name: str, now: float) -> None:
        self._waiting.discard(name)
        view = view_facts(self._views[name], self._name_of)
        encoded = orjson.dumps(view)
        if self._sent_views.get(name) == encoded:
            return
        self._sent_views[name] = encoded
        following = max(now, self._next_at.get(name, 0.0)) + _WEIGHT_EVERY
        self._next_at[name] = min(following, now + 2 * _WEIGHT_EVERY)  # many changes at once cost no weight its time
        self.publish("station", {"station": name, "view": view, "now_ms": _now_ms()})

    # --- records

    async def _new_records(self) -> None:
        records = await asyncio.to_thread(self._agent.lookups.since, self._seen, _CATCH_UP)
        if len(records) == _CATCH_UP:
            await self._begin()  # more at once than anybody can read
            return
        for record in records:
            facts = record_facts(record)
            self._records[facts["sequence"]] = facts
            self._seen = facts["sequence"]
            self.publish("record", facts, whole=False)
            if facts["type"] == "trace.sale.v1" and self.on_sale is not None:
                await self.on_sale()
            changed = self._note_void(facts)
            if changed:
                self.publish("marks", [changed], whole=False)
            while len(self._records) > _RECORDS:
                self._records.popitem(last=False)

    def _note_void(self, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """A void changes the record that it names, where that one is shown."""
        if facts["type"] != "trace.void.v1":
            return None
        voided = next((r for r in self._records.values() if r["id"] == facts.get("corrects")), None)
        if voided is None:
            return None
        voided["void_by"] = facts["id"]
        return {key: voided[key] for key in ("sequence", "id", "mark", "reason", "code", "void_by")}

    async def _new_marks(self) -> None:
        if not self._records:
            return
        first, last = next(iter(self._records)), next(reversed(self._records))
        marks = await asyncio.to_thread(self._agent.lookups.marks, first, last)
        changed = []
        for sequence, facts in self._records.items():
            mark = marks.get(sequence)
            if mark is not None and (facts["mark"], facts["reason"], facts["code"]) != (
                mark.state,
                mark.reason,
                mark.code,
            ):
                facts |= {"mark": mark.state, "reason": mark.reason, "code": mark.code}
                changed.append({key: facts[key] for key in ("sequence", "id", "mark", "reason", "code", "void_by")})
        if changed:
            self.publish("marks", changed, whole=False)


def _lasting(view: Any) -> dict[str, Any]:
    """The part of a view's detail that is more than the weight: what it costs follows from that."""
    return {name: value for name, value in view.detail.items() if name not in ("amount_raw_fen", "amount_fen")}


def _event(name: str, data: Any, event_id: str) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), name.encode(), orjson.dumps(data, default=str))


def _now_ms() -> int:
    from edge_agent import clock

    return clock.now().wall_ms
