"""What to publish next, and what to send again; sans-I/O. Times are monotonic seconds passed in.

A record is in one of these places until it is settled:

    waiting      kept and not published: the live lane (kept since the connection came up) or the backlog;
                 or salvaged from an earlier chain: the lowest lane
    outstanding  published, no verdict: in flight until PUBACK, then waiting for the platform's word
    again        published once and due to be published again

Outstanding and again together never exceed `unverdicted_max` records, whatever the platform does. A PUBACK
moves nothing forward but a place in the window: the broker may lose what it has acknowledged. Only a verdict
settles (or, with acknowledgement "broker", a PUBACK of a message that had a subscriber).

Our own chain's records are kept account of here, those of earlier chains in the `SalvageLane`; the window, the
pauses and what the platform allows are the same for both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from edge_agent.model import Verdict
from edge_agent.uplink.loads import Delivered, Lane, Load
from edge_agent.uplink.pace import Pace
from edge_agent.uplink.ports import Pending, Range, Salvaged
from edge_agent.uplink.salvage_lane import UNDER_WAY, SalvageLane
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.shipments import RESEND_MAX, Shipment, Shipments, doubled
from edge_agent.uplink.wire import PlatformState

NO_SUBSCRIBERS: Final = 0x10  # MQTT 5.0, 3.4.2.1: PUBACK reason codes
FAILURE: Final = 0x80
_PAUSE_FIRST: Final = 1.0
_NO_SUBSCRIBERS_PAUSE_MAX: Final = 15.0
_FAILURE_PAUSE_MAX: Final = 60.0
_LOST_PUBACK: Final = 2.0
_UNACKNOWLEDGED: Final = 4
"""Times the verdict timeout. Where the PUBACK and the verdict are both lost, nothing else would bring a message
back; it is that long because on a slow link a message waits long behind others."""
_CROWD: Final = 16
"""Messages without a verdict from which on the next ones wait to be full: a platform that takes its time for
each message is given fewer and fuller ones."""
_GATHER: Final = 1.0
"""Seconds that such a wait lasts at the most."""
_SCAN: Final = 10_000
_RESCAN: Final = 1.0


class Dispatch:
    """The order and the bounds of publishing. Not thread-safe: the relay owns it."""

    def __init__(self, outbox: Pending, salvaged: Salvaged, settings: LinkSettings) -> None:
        self._outbox = outbox
        self._settings = settings
        self.pace = Pace(settings.batch_bytes)
        self.platform = PlatformState()
        self.refusal: str | None = None
        """Why the broker does not take or pass on what we publish, in words; None while it does."""
        self._open = False
        self._window = 0
        self._slots: dict[int, Shipment] = {}
        self._shipments = Shipments()
        self._salvage = SalvageLane(salvaged, settings)
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
        self._published_at = -math.inf

    # What there is

    @property
    def in_flight(self) -> int:
        """Messages that the broker has not acknowledged."""
        return len(self._slots)

    @property
    def unverdicted(self) -> int:
        """Records that were published and are not settled."""
        return self._shipments.total + self._salvage.unverdicted

    def sent(self, first: int, last: int) -> tuple[Range, ...]:
        """The parts of a range that were published over this connection and wait for the platform's word."""
        return tuple((low, high) for low, high, s in self._shipments.outstanding.overlapping(first, last) if not s.held)

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
        ranges = tuple(ranges)
        patience = _UNACKNOWLEDGED * self._settings.verdict_timeout
        self._published_at = now
        if load.lane is not Lane.LIVE:
            self._tokens -= sum(last - first + 1 for first, last in ranges)
        if load.lane is Lane.SALVAGED:
            self._slots[mid] = self._salvage.published(load, ranges, now, patience=patience)
            return
        self._slots[mid] = self._shipments.publish(ranges, load.attempts + 1, now, patience=patience)
        self._salvage.another()
        following = ranges[-1][1] + 1
        if load.lane is Lane.LIVE:
            self._live_next = following
        elif not load.resent:
            self._cursor = max(self._cursor, following)

    def unreadable(self, load: Load, now: float) -> None:
        """The store could not give the records of `load`: they stay pending and are tried again later."""
        shipment = self._shipments.ship(load.ranges, load.attempts + 1, now)
        self._shipments.hold(shipment, now + RESEND_MAX)

    def acknowledged(self, mid: int, code: int, now: float) -> Delivered | None:
        """PUBACK with its reason code (0 on MQTT 3.1.1). Returns what is delivered by that (mode "broker" only)."""
        shipment = self._slots.pop(mid, None)
        if shipment is None:
            return None
        self.pace.acknowledged(now - shipment.published)
        if code == NO_SUBSCRIBERS:
            shipment.book.put_back(shipment)
            self._pause(now, _NO_SUBSCRIBERS_PAUSE_MAX, "nobody at the platform subscribes to our records")
            return None
        if code >= FAILURE:
            shipment.book.put_back(shipment)
            self._pause(now, _FAILURE_PAUSE_MAX, f"the broker refuses our records, reason {code} (0x{code:02X})")
            return None
        self._pauses, self._pause_until, self.refusal = 0, 0.0, None
        if self._settings.acknowledgement == "broker":
            self._moved_at = now
            return Delivered(shipment.book.chain, tuple(shipment.book.reclaim(shipment)))
        if shipment.remaining:
            shipment.book.time(shipment, now + doubled(self._settings.verdict_timeout, shipment.attempts))
        return None

    def verdict(self, verdict: Verdict, *, moved: bool, now: float) -> None:
        """The platform's word, after the outbox has taken it. `moved`: it told something new."""
        in_here = self._shipments.settle(
            verdict,
            waits=lambda sequence: bool(self._outbox.pending(sequence, sequence)),
            room=self._bound(),
            now=now,
        )
        if in_here or moved:
            self._moved_at = now

    def salvage_verdict(self, verdict: Verdict, now: float) -> bool:
        """The same for an earlier chain; whether it was about something that we published."""
        in_here = self._salvage.verdict(verdict, now)
        if in_here:
            self._moved_at = now
        return in_here

    def heard(self, platform: PlatformState, now: float) -> None:
        """The platform told its state."""
        if platform.accepting and not self.platform.accepting:
            self._moved_at = now
        if platform.drain_per_s != self.platform.drain_per_s:
            self._tokens, self._tokens_at = 0.0, now
        self.platform = platform

    def retry_now(self) -> None:
        """Send again at once what was refused for now: the catalogue or the parties have changed."""
        self._shipments.retry_now()
        self._salvage.retry_now()

    # What to do

    def next(self, now: float) -> Load | None:
        """What to publish now; None when nothing may or need be published before something happens."""
        if now < self._pause_until or not self._may_publish():
            return None
        self._shipments.expire(now)
        self._salvage.expire(now)
        live, backlog = self._live(), self._backlog(now)
        if self._gathers(now):
            live, backlog = self._full(live), self._full(backlog)
        if live is not None and backlog is not None:
            self._share += self._settings.backlog_share
            if self._share >= 1.0:
                self._share -= 1.0
                return backlog
        first = live or backlog
        if first is None or self._salvage.has_its_turn:
            return self._salvaged(now) or first
        return first

    def quiet(self, now: float) -> bool:
        """Whether no record waits to be published or for its PUBACK, once `next` was asked and said None."""
        return self._may_publish() and not self._slots and now >= self._pause_until and not self._gathers(now)

    def deadline(self, now: float) -> float:
        """When time alone may change the answer of `next`, once that was asked and said None."""
        if not self._may_publish():
            return math.inf
        if self._pause_until > now:
            return self._pause_until
        due = min(self._shipments.due, self._salvage.due)
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
        if len(self._slots) >= self._window and all(
            now - shipment.settled >= _LOST_PUBACK for shipment in self._slots.values()
        ):
            return "the broker's acknowledgements are lost"  # MQTT 5.0, 4.4: they come only after a reconnect
        if not self._busy():
            self._moved_at = now
            return None
        if now - self._moved_at >= self._settings.progress_timeout:
            return f"no progress for {now - self._moved_at:.0f} s"
        return None

    # How

    def _may_publish(self) -> bool:
        window = 1 if self._pauses else self._window  # after a refusal one message asks whether it is over
        return self._open and self.platform.accepting and len(self._slots) < window

    def _gathers(self, now: float) -> bool:
        """Whether only full messages go out now, because many have no verdict yet."""
        return self._shipments.unanswered + self._salvage.unanswered >= _CROWD and now < self._published_at + _GATHER

    def _full(self, load: Load | None) -> Load | None:
        return load if load is not None and load.records >= self._settings.batch_records else None

    def _busy(self) -> bool:
        if not self.platform.accepting or self._outbox.counts().pending <= self._shipments.held:
            return False
        waits_its_turn = (
            self.platform.drain_per_s is not None and self._shipments.outstanding.total <= self._shipments.held
        )
        return not waits_its_turn or self._live() is not None

    def _bound(self) -> int:
        """How many records of our own chain may be without a verdict; one in any case."""
        return max(1, self._settings.unverdicted_max - self._salvage.unverdicted)

    def _room(self) -> int:
        return min(self._settings.batch_records, self._bound() - self._shipments.total)

    def _live(self) -> Load | None:
        if self._live_next > self._head:
            return None
        ranges = self._unsent(self._live_next, self._head, self._room())
        return Load(Lane.LIVE, ranges) if ranges else None

    def _salvaged(self, now: float) -> Load | None:
        # One whose records have their verdicts, and only its PUBACK was lost, is under way no longer.
        under_way = sum(shipment.asked and shipment.book.chain is not None for shipment in self._slots.values())
        limit = self._backlog_limit(now)
        if under_way >= UNDER_WAY or limit < 1:
            return None
        load = self._salvage.next(limit, now)
        return self._full(load) if self._gathers(now) else load

    def _backlog_limit(self, now: float) -> int:
        """How many old records the next message may hold: what the platform allows of them, at most a batch."""
        rate = self.platform.drain_per_s
        limit = self._settings.batch_records
        return limit if rate is None else min(limit, self._allowance(rate, now))

    def _backlog(self, now: float) -> Load | None:
        limit = self._backlog_limit(now)
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
            if self._outbox.counts().pending > self._shipments.total:
                # They may have gone out in the live lane before: all that it has passed is backlog now.
                self._split = max(self._split, self._live_next - 1)
                self._cursor = 1
                ranges = self._scan(limit)
        return Load(Lane.BACKLOG, ranges) if ranges else None

    def _front_again(self, limit: int) -> Load | None:
        ranges: list[Range] = []
        attempts = 0
        settled: list[Range] = []
        for first, last, tried in self._shipments.again:
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
            self._shipments.again.cut(first, last)
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
            for low, high in self._shipments.unpublished(start, stop):
                if limit < 1:
                    return tuple(ranges)
                high = min(high, low + limit - 1)
                ranges.append((low, high))
                limit -= high - low + 1
        return tuple(ranges)

    def _recall_unverdicted(self) -> None:
        self._slots.clear()
        self._shipments.recall()
        self._salvage.recall()

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
