"""Records of the box itself: when it was away, when its clock was set, what was purged, when a device was not heard.

One look a second. What must be known over a restart is a note in the store, so that a gap and a step of the clock are
seen also where they happened while the agent did not run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final, Protocol

import orjson
import structlog

from edge_agent import clock
from edge_agent.model import Instant
from edge_agent.records.bodies import Body, ClockOffset, Gap, Purge, clock_facts
from edge_agent.records.envelope import Draft, draft
from edge_agent.store import Head, Kept, Row, StoreError

STEP_MS: Final = 1_000
"""A wall clock that moved by more than this against the clock that never runs back was set; less is its own gait."""

GAP_MS: Final = 10_000
"""Shorter absences are no gap."""

DEVICE_GAP_MS: Final = 60_000
"""A device that was not heard for less than this leaves no record."""

_NOTE: Final = "watchman"
_NOTED_EVERY_MS: Final = 300_000
"""How often it is noted that the box is alive: each note is written to the flash card."""
_TICK: Final = 1.0
_PATIENCE: Final = 5.0
_CONNECTED: Final = "connected"
_MOST_DEVICES: Final = 256
_MOST_WAITING: Final = 100


class WatchmanStore(Protocol):
    """What the watchman needs of the store."""

    @property
    def head(self) -> Head:
        """The last committed record's place."""

    @property
    def anchor(self) -> Head:
        """The place from which the chain can be verified."""

    def read(self, first: int, *, last: int | None = None, limit: int) -> list[Row]:
        """Kept records in order."""

    def count(self, first: int, last: int) -> int:
        """How many records of a range are there."""

    def keep(self, draft: Draft, timeout: float = 5.0) -> Kept:
        """Keep a draft; returns after its COMMIT."""

    def note(self, key: str) -> str | None:
        """A remembered fact."""

    def set_note(self, key: str, value: str) -> None:
        """Remember a fact."""


class Watchman:
    """Looks after one store. `states` tells the state of each device, `now` the clocks."""

    def __init__(
        self,
        store: WatchmanStore,
        gateway: str,
        zone: tzinfo,
        *,
        states: Callable[[], Mapping[str, str]] = dict,
        now: Callable[[], Instant] = clock.now,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._zone = zone
        self._states = states
        self._now = now
        self._log = structlog.get_logger()
        self._base: tuple[str, int] | None = None  # the boot, and wall clock less the clock that never runs back
        self._anchor = 0
        self._noted_ms = 0
        self._silent: dict[str, tuple[Instant, str]] = {}
        self._waiting: list[tuple[type[Body], dict[str, Any], Instant]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchman", daemon=True)

    def start(self) -> None:
        """See what happened while nobody looked, then look on."""
        self.arrive()
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Note that this is an orderly end, and stop looking."""
        self._stop.set()
        self._thread.join(timeout)
        self._note(self._now(), ended=True)

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            self.look()

    # --- one look

    def arrive(self) -> None:
        """The first look after a start."""
        at = self._now()
        noted = self._noted()
        self._anchor = int(noted.get("anchor", self._store.anchor.sequence))
        if noted.get("boot") == at.boot and "base" in noted:
            self._base = (at.boot, int(noted["base"]))
        self._gap(noted, at)
        self.look()

    def look(self) -> None:
        """See what changed since the last look, and keep what that wants a record."""
        at = self._now()
        self._look_at_clock(at)
        self._look_at_purge(at)
        self._look_at_devices(at)
        self._keep_waiting()
        if at.mono_ms - self._noted_ms >= _NOTED_EVERY_MS or not self._noted_ms:
            self._note(at)

    def _look_at_clock(self, at: Instant) -> None:
        base = at.wall_ms - at.mono_ms
        before, self._base = self._base, (at.boot, base)
        if before is None or before[0] != at.boot or abs(base - before[1]) <= STEP_MS:
            return
        fields = {
            "offset_ms": base - before[1],
            "boot": at.boot,
            "until_mono_ms": at.mono_ms,
            "source": "network time" if at.synced else "a person or a program; the clock is not synchronised",
        }
        self._want(ClockOffset, fields, at)
        self._note(at)

    def _look_at_purge(self, at: Instant) -> None:
        anchor = self._store.anchor
        if anchor.sequence <= self._anchor or self._waiting:
            return
        first, self._anchor = self._anchor + 1, anchor.sequence
        fields = {
            "first_sequence": first,
            "last_sequence": anchor.sequence,
            "anchor_hash": anchor.hash,
            "records": anchor.sequence - first + 1 - self._store.count(first, anchor.sequence),
            "reason": "delivered, and old or in need of their room",
        }
        self._want(Purge, fields, at)
        self._note(at)

    def _look_at_devices(self, at: Instant) -> None:
        states = self._states()
        for device, state in states.items():
            if state == _CONNECTED:
                since = self._silent.pop(device, None)
                if since is not None and at.mono_ms - since[0].mono_ms >= DEVICE_GAP_MS:
                    begin = at.wall_ms - (at.mono_ms - since[0].mono_ms)  # by the clock as it is now
                    fields = {
                        "since": clock.rfc3339(begin, self._zone),
                        "until": clock.rfc3339(at.wall_ms, self._zone),
                        "devices": (device,),
                        "reason": f"the device was not heard: {since[1]}",
                    }
                    self._want(Gap, fields, at)
            elif device not in self._silent and len(self._silent) < _MOST_DEVICES:
                self._silent[device] = (at, state)

    def _gap(self, noted: Mapping[str, Any], at: Instant) -> None:
        """The time between the last sign of life and this start."""
        head = self._store.head.sequence
        rows = self._store.read(head, last=head, limit=1) if head > 1 else []
        if not rows:
            return
        last = int(datetime.fromisoformat(orjson.loads(rows[0].body)["time"]).timestamp() * 1000)
        since = max(last, int(noted.get("alive", 0)))
        # A box without a clock battery may begin in the past: then only the begin is known.
        until = at.wall_ms if at.wall_ms > since - GAP_MS else None
        if until is not None and until - since < GAP_MS:
            return
        ended = bool(noted.get("ended"))
        words = "the agent was stopped" if ended else "the agent ended without a word: a crash or power cut"
        fields = {
            "since": clock.rfc3339(since, self._zone),
            "until": None if until is None else clock.rfc3339(until, self._zone),
            "reason": words if until is not None else f"{words}; the clock stands before that time",
        }
        self._want(Gap, fields, at)

    # --- keeping

    def _want(self, kind: type[Body], fields: dict[str, Any], at: Instant) -> None:
        if len(self._waiting) == _MOST_WAITING:  # the store has taken nothing for so long that the newest say more
            left_out, _, _ = self._waiting.pop(0)
            self._log.error("watchman.dropped", type=left_out.TYPE)
        self._waiting.append((kind, fields, at))

    def _keep_waiting(self) -> None:
        """Keep what waits; where the store takes nothing now it waits for the next look."""
        while self._waiting:
            kind, fields, at = self._waiting[0]
            body = kind(clock=clock_facts(at), **fields)
            made = draft(type=kind.TYPE, subject=self._gateway, at=at, zone=self._zone, data=body.to_data())
            try:
                self._store.keep(made, timeout=_PATIENCE)
            except (StoreError, TimeoutError) as problem:
                self._log.warning("watchman.not_kept", type=kind.TYPE, reason=str(problem))
                return
            self._waiting.pop(0)

    def _noted(self) -> dict[str, Any]:
        try:
            noted = orjson.loads(self._store.note(_NOTE) or "{}")
        except orjson.JSONDecodeError:
            return {}
        return noted if isinstance(noted, dict) else {}

    def _note(self, at: Instant, *, ended: bool = False) -> None:
        self._noted_ms = at.mono_ms
        facts = {
            "alive": at.wall_ms,
            "boot": at.boot,
            "base": at.wall_ms - at.mono_ms,
            "anchor": self._anchor,
            "ended": ended,
        }
        self._store.set_note(_NOTE, orjson.dumps(facts).decode())
