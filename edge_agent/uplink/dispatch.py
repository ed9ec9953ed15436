"""What to publish next, and what to send again; sans-I/O. Times are monotonic seconds passed in.

A record is in one of these places until it is settled:

    waiting      kept and not published: the live lane (kept since the connection came up) or the backlog
    outstanding  published, no verdict: in flight until PUBACK, then waiting for the platform's word
    again        published once and due to be published again

Outstanding and again together never exceed `unverdicted_max` records, whatever the platform does. A PUBACK
moves nothing forward but a place in the window: the broker may lose what it has acknowledged. Only a verdict
settles (or, with acknowledgement "broker", a PUBACK of a message that had a subscriber).
"""

from __future__ import annotations

import enum
import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edge_agent.model import Verdict
from edge_agent.uplink.pace import Pace
from edge_agent.uplink.ports import Pending, Range
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.spans import SpanMap
from edge_agent.uplink.wire import PlatformState

NO_SUBSCRIBERS: Final = 0x10  # MQTT 5.0, 3.4.2.1: PUBACK reason codes
FAILURE: Final = 0x80
RESEND_MAX: Final = 300.0
"""Seconds: back-off between sending the same record doubles up to here."""
_RETRY_FIRST: Final = 5.0
_PAUSE_FIRST: Final = 1.0
_NO_SUBSCRIBERS_PAUSE_MAX: Final = 15.0
_FAILURE_PAUSE_MAX: Final = 60.0
_LOST_PUBACK: Final = 2.0
_UNACKNOWLEDGED: Final = 4  # times the verdict timeout: on a slow link a message waits long behind others
_CROWD: Final = 16
"""Messages without a verdict from which on the next ones wait to be full: a platform that takes its time for
each message is given fewer and fuller ones."""
_GATHER: Final = 1.0
"""Seconds that such a wait lasts at the most."""
_SCAN: Final = 10_000
_RESCAN: Final = 1.0


class Lane(enum.StrEnum):
    """New records overtake a backlog; the backlog keeps its share."""

    LIVE = "live"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Load:
    """What the next message may hold: pending ranges in order; it may be cut short at any record.

    `attempts` is how often these records were published before and may have arrived; `resent` that they were
    published at all.
    """

    lane: Lane
    ranges: tuple[Range, ...]
    attempts: int = 0
    resent: bool = False

    @property
    def records(self) -> int:
        """How many records these are."""
        return sum(last - first + 1 for first, last in self.ranges)


@dataclass(eq=False, slots=True)
class _Shipment:
    """Records that were published together, or that wait together for their next try (`held`)."""

    ranges: tuple[Range, ...]
    attempts: int
    published: float
    remaining: int
    due: float = math.inf
    held: bool = False
    asked: bool = False
    settled: float = math.inf


class Dispatch:
    """The order and the bounds of publishing. Not thread-safe: the relay owns it."""

    def __init__(self, outbox: Pending, settings: LinkSettings) -> None:
        self._outbox = outbox
        self._settings = settings
        self.pace = Pace(settings.batch_bytes)
        self.platform = PlatformState()
        self.refusal: str | None = None
        """Why the broker does not take or pass on what we publish, in words; None while it does."""
        self._open = False
        self._window = 0
        self._slots: dict[int, _Shipment] = {}
        self._outstanding: SpanMap[_Shipment] = SpanMap()
        self._again: SpanMap[int] = SpanMap()
        self._held = 0
        self._timers: list[tuple[float, int, _Shipment]] = []
        self._timer_ids = 0
        self._head = 0
        self._split = 0  # the backlog ends here, the live lane begins behind it
        self._live_next = 1
        self._cursor = 1  # the backlog up to here is published or settled
        self._rescan_at = 0.0
        self._share = 0.0
        self._pauses = 0
        self._pause_until = 0.0
        self._tokens = 0.0
        self._tokens_at = 0.0
        self._moved_at = 0.0
        self._unanswered = 0  # messages of which a record has no verdict yet
        self._published_at = -math.inf

    # What there is

    @property
    def in_flight(self) -> int:
        """Messages that the broker has not acknowledged."""
        return len(self._slots)

    @property
    def unverdicted(self) -> int:
        """Records that were published and are not settled."""
        return self._outstanding.total + self._again.total

    # What happened

    def opened(self, now: float, *, head: int, window: int, max_bytes: int) -> None:
        """A connection is up and subscribed: all that is unverdicted is due again, all that waits is backlog."""
        self._open = True
        self._window = max(1, window)
        self.pace.opened(min(self._settings.batch_bytes, max_bytes))
        self.platform = PlatformState()
        self._recall_unverdicted()
        self._head = max(self._head, head)
        self._split = self._head
        self._live_next = self._head + 1
        self._cursor = 1
        self._pause_until = 0.0
        self._moved_at = now

    def closed(self) -> None:
        """The connection is gone, and with it every PUBACK that was still to come."""
        if self._open:
            self.pace.closed(len(self._slots))
        self._open = False
        self._recall_unverdicted()

    def kept(self, head: int) -> None:
        """Records up to `head` are committed."""
        self._head = max(self._head, head)
        if self._head - self._live_next >= 4 * self._settings.batch_records:
            self._split = self._head  # more than can be called live: newer ones overtake these
            self._live_next = self._head + 1

    def published(self, load: Load, ranges: Iterable[Range], mid: int, now: float) -> None:
        """`ranges`, the front part of `load`, went out as message `mid`."""
        shipment = self._ship(tuple(ranges), load.attempts + 1, now)
        self._slots[mid] = shipment
        shipment.asked = True
        self._unanswered += 1
        self._published_at = now
        # Where the PUBACK and the verdict are both lost, nothing else would bring these records back.
        self._time(shipment, now + _doubled(_UNACKNOWLEDGED * self._settings.verdict_timeout, shipment.attempts))
        last = shipment.ranges[-1][1]
        if load.lane is Lane.LIVE:
            self._live_next = last + 1
        else:
            self._tokens -= shipment.remaining
            if not load.resent:
                self._cursor = max(self._cursor, last + 1)

    def unreadable(self, load: Load, now: float) -> None:
        """The store could not give the records of `load`: they stay pending and are tried again later."""
        shipment = self._ship(load.ranges, load.attempts + 1, now)
        self._hold(shipment, now + RESEND_MAX)

    def acknowledged(self, mid: int, code: int, now: float) -> tuple[Range, ...]:
        """PUBACK with its reason code (0 on MQTT 3.1.1). Returns what is delivered by that (mode "broker" only)."""
        shipment = self._slots.pop(mid, None)
        if shipment is None:
            return ()
        self.pace.acknowledged(now - shipment.published)
        if code == NO_SUBSCRIBERS:
            self._put_back(shipment)
            self._pause(now, _NO_SUBSCRIBERS_PAUSE_MAX, "nobody at the platform subscribes to our records")
            return ()
        if code >= FAILURE:
            self._put_back(shipment)
            self._pause(now, _FAILURE_PAUSE_MAX, f"the broker refuses our records, reason {code} (0x{code:02X})")
            return ()
        self._pauses, self._pause_until, self.refusal = 0, 0.0, None
        if self._settings.acknowledgement == "broker":
            self._moved_at = now
            return tuple(self._reclaim(shipment))
        if shipment.remaining:
            self._time(shipment, now + _doubled(self._settings.verdict_timeout, shipment.attempts))
        return ()

    def verdict(self, verdict: Verdict, *, moved: bool, now: float) -> None:
        """The platform's word, after the outbox has taken it. `moved`: it told something new."""
        for first, last in verdict.accepted:
            moved = bool(self._cut(first, last, now)) or moved
        retry: dict[int, int] = {}
        for refusal in verdict.rejected:
            sequence = refusal.sequence
            attempts = self._cut(sequence, sequence, now)
            moved = bool(attempts) or moved
            room = attempts or self.unverdicted + len(retry) < self._settings.unverdicted_max
            if refusal.retryable and room and self._outbox.pending(sequence, sequence):
                retry.setdefault(sequence, max(attempts, default=1))
        for tries in sorted(set(retry.values())):
            ranges = _joined(sequence for sequence, tried in retry.items() if tried == tries)
            self._hold(self._ship(ranges, tries, now), now + _doubled(_RETRY_FIRST, tries))
        if moved:
            self._moved_at = now

    def heard(self, platform: PlatformState, now: float) -> None:
        """The platform told its state."""
        if platform.accepting and not self.platform.accepting:
            self._moved_at = now
        if platform.drain_per_s != self.platform.drain_per_s:
            self._tokens, self._tokens_at = 0.0, now
        self.platform = platform

    def retry_now(self) -> None:
        """Send again at once what was refused for now: the catalogue or the parties have changed."""
        for shipment in {id(value): value for _, _, value in self._outstanding if value.held}.values():
            self._send_again(shipment, shipment.attempts)

    # What to do

    def next(self, now: float) -> Load | None:
        """What to publish now; None when nothing may or need be published before something happens."""
        if now < self._pause_until or not self._may_publish():
            return None
        self._expire(now)
        live, backlog = self._live(), self._backlog(now)
        if self._gathers(now):
            live, backlog = self._full(live), self._full(backlog)
        if live is None or backlog is None:
            return live or backlog
        self._share += self._settings.backlog_share
        if self._share < 1.0:
            return live
        self._share -= 1.0
        return backlog

    def deadline(self, now: float) -> float:
        """When time alone may change the answer of `next`, once that was asked and said None."""
        if not self._may_publish():
            return math.inf
        if self._pause_until > now:
            return self._pause_until
        due = self._timers[0][0] if self._timers else math.inf
        if self._gathers(now):
            due = min(due, self._published_at + _GATHER)
        rate = self.platform.drain_per_s
        if rate and self._tokens < self._token_step(rate):
            due = min(due, now + (self._token_step(rate) - self._tokens) / rate)
        return due

    def stalled(self, now: float) -> str | None:
        """Why the connection should be renewed, though it looks alive; None while it should not.

        Progress is a watermark or a verdict that moved. A PUBACK is none.
        """
        if not self._open:
            return None
        if not self._busy():
            self._moved_at = now
            return None
        if now - self._moved_at >= self._settings.progress_timeout:
            return f"no progress for {now - self._moved_at:.0f} s"
        if len(self._slots) >= self._window and all(
            now - shipment.settled >= _LOST_PUBACK for shipment in self._slots.values()
        ):
            return "the broker's acknowledgements are lost"  # MQTT 5.0, 4.4: they come only after a reconnect
        return None

    # How

    def _may_publish(self) -> bool:
        window = 1 if self._pauses else self._window  # after a refusal one message asks whether it is over
        return self._open and self.platform.accepting and len(self._slots) < window

    def _gathers(self, now: float) -> bool:
        """Whether only full messages go out now, because many have no verdict yet."""
        return self._unanswered >= _CROWD and now < self._published_at + _GATHER

    def _full(self, load: Load | None) -> Load | None:
        return load if load is not None and load.records >= self._settings.batch_records else None

    def _busy(self) -> bool:
        if not self.platform.accepting or self._outbox.counts().pending <= self._held:
            return False
        waits_its_turn = self.platform.drain_per_s is not None and self._outstanding.total <= self._held
        return not waits_its_turn or self._live() is not None

    def _room(self) -> int:
        return min(self._settings.batch_records, self._settings.unverdicted_max - self.unverdicted)

    def _live(self) -> Load | None:
        if self._live_next > self._head:
            return None
        ranges = self._unsent(self._live_next, self._head, self._room())
        return Load(Lane.LIVE, ranges) if ranges else None

    def _backlog(self, now: float) -> Load | None:
        limit = self._settings.batch_records
        if self.platform.drain_per_s is not None:
            limit = min(limit, self._allowance(self.platform.drain_per_s, now))
        if limit < 1:
            return None
        again = self._front_again(limit)
        if again is not None:
            return again
        limit = min(limit, self._room())
        ranges = self._scan(limit)
        if not ranges and limit > 0 and now >= self._rescan_at:
            # More is pending than we know of: an operator put quarantined records back.
            self._rescan_at = now + _RESCAN
            if self._outbox.counts().pending > self.unverdicted:
                self._cursor = 1
                ranges = self._scan(limit)
        return Load(Lane.BACKLOG, ranges) if ranges else None

    def _front_again(self, limit: int) -> Load | None:
        ranges: list[Range] = []
        attempts = 0
        settled: list[Range] = []
        for first, last, tried in self._again:
            pending = self._outbox.pending(first, last)
            if not pending:
                settled.append((first, last))
            for part in pending:
                part = (part[0], min(part[1], part[0] + limit - 1))
                ranges.append(part)
                attempts = max(attempts, tried)
                limit -= part[1] - part[0] + 1
                if limit < 1:
                    break
            if limit < 1:
                break
        for first, last in settled:
            self._again.cut(first, last)
        return Load(Lane.BACKLOG, tuple(ranges), attempts, resent=True) if ranges else None

    def _scan(self, limit: int) -> tuple[Range, ...]:
        """The first records of the backlog that were never published."""
        oldest = self._outbox.oldest_pending
        if oldest is None:
            return ()
        self._cursor = max(self._cursor, oldest)
        while self._cursor <= self._split and limit > 0:
            last = min(self._cursor + _SCAN - 1, self._split)
            ranges = self._unsent(self._cursor, last, limit)
            if ranges:
                return ranges
            self._cursor = last + 1
        return ()

    def _unsent(self, first: int, last: int, limit: int) -> tuple[Range, ...]:
        ranges: list[Range] = []
        for start, stop in self._outbox.pending(first, last):
            for free in self._outstanding.gaps(start, stop):
                for low, high in self._again.gaps(*free):
                    if limit < 1:
                        return tuple(ranges)
                    high = min(high, low + limit - 1)
                    ranges.append((low, high))
                    limit -= high - low + 1
        return tuple(ranges)

    def _ship(self, ranges: tuple[Range, ...], attempts: int, now: float) -> _Shipment:
        shipment = _Shipment(ranges, attempts, now, sum(last - first + 1 for first, last in ranges))
        for first, last in ranges:
            self._again.cut(first, last)
            self._outstanding.put(first, last, shipment)
        return shipment

    def _cut(self, first: int, last: int, now: float) -> list[int]:
        """Take settled records out of wherever they are; the attempts of what was found."""
        found = [tried for _, _, tried in self._again.cut(first, last)]
        for start, stop, shipment in self._outstanding.cut(first, last):
            found.append(shipment.attempts)
            shipment.remaining -= stop - start + 1
            if shipment.held:
                self._held -= stop - start + 1
            if not shipment.remaining:
                shipment.settled = now
                self._answered(shipment)
        return found

    def _answered(self, shipment: _Shipment) -> None:
        """A message is no longer waited for: all its records have a verdict, or are due to be sent again."""
        if shipment.asked:
            shipment.asked = False
            self._unanswered -= 1

    def _reclaim(self, shipment: _Shipment) -> list[Range]:
        """Take all that remains of a shipment out of what is outstanding."""
        ranges = []
        for first, last in shipment.ranges:
            for start, stop, owner in self._outstanding.overlapping(first, last):
                if owner is shipment:
                    self._outstanding.cut(start, stop)
                    ranges.append((start, stop))
        if shipment.held:
            self._held -= shipment.remaining
        shipment.remaining = 0
        self._answered(shipment)
        return ranges

    def _send_again(self, shipment: _Shipment, attempts: int) -> None:
        for first, last in self._reclaim(shipment):
            self._again.put(first, last, attempts)

    def _put_back(self, shipment: _Shipment) -> None:
        """What was published reached nobody: it does not count as an attempt."""
        self._send_again(shipment, shipment.attempts - 1)

    def _recall_unverdicted(self) -> None:
        self._slots.clear()
        self._timers.clear()
        self._held = self._unanswered = 0
        for first, last, shipment in self._outstanding.clear():
            self._again.put(first, last, shipment.attempts - 1)

    def _hold(self, shipment: _Shipment, until: float) -> None:
        shipment.held = True
        self._held += shipment.remaining
        self._time(shipment, until)

    def _time(self, shipment: _Shipment, due: float) -> None:
        shipment.due = due
        if len(self._timers) > 64 + 2 * self._outstanding.total:
            self._timers = [timer for timer in self._timers if timer[2].remaining and timer[2].due == timer[0]]
            heapq.heapify(self._timers)
        self._timer_ids += 1
        heapq.heappush(self._timers, (due, self._timer_ids, shipment))

    def _expire(self, now: float) -> None:
        while self._timers and (self._timers[0][0] <= now or not self._timers[0][2].remaining):
            due, _, shipment = heapq.heappop(self._timers)
            if shipment.remaining and shipment.due == due:
                shipment.settled = now
                self._send_again(shipment, shipment.attempts)

    def _pause(self, now: float, longest: float, why: str) -> None:
        self.refusal = why
        if now >= self._pause_until:
            self._pauses += 1
            self._pause_until = now + min(longest, _PAUSE_FIRST * 2.0 ** min(self._pauses - 1, 16))

    def _token_step(self, rate: float) -> float:
        """Records to gather before a message is worth it: a quarter of a second's worth, at most a batch."""
        return min(self._settings.batch_records, max(1.0, rate / 4))

    def _allowance(self, rate: float, now: float) -> int:
        self._tokens = min(max(rate, 1.0), self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        return int(self._tokens) if self._tokens >= self._token_step(rate) else 0


def _doubled(first: float, attempts: int) -> float:
    return min(RESEND_MAX, first * 2.0 ** min(attempts - 1, 16))


def _joined(sequences: Iterable[int]) -> tuple[Range, ...]:
    """Sequences as ranges."""
    joined: list[Range] = []
    for sequence in sorted(sequences):
        if joined and joined[-1][1] == sequence - 1:
            joined[-1] = (joined[-1][0], sequence)
        else:
            joined.append((sequence, sequence))
    return tuple(joined)
