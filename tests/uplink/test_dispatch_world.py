"""The dispatch in a simulated world: a broker and a platform that lose, repeat, reorder, refuse and fall silent.

The world keeps its own books. Planted bugs show that it would notice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import clock
from edge_agent.model import Refusal, Verdict
from edge_agent.uplink.dispatch import Dispatch, Lane, Load
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.wire import PlatformState

LINK = LinkSettings(host="h", port=1, window=4, batch_records=8, unverdicted_max=40, verdict_timeout=10)
Make = Callable[..., Dispatch]
MakeOutbox = Callable[[], Any]


class World:
    """Everything around a dispatch, moved by single steps."""

    def __init__(self, make: Make, outbox: Any, link: LinkSettings) -> None:
        self.outbox, self.link = outbox, link
        self.dispatch = make(outbox, link)
        self.now = 100.0
        self.head = 0
        self.mid = 0
        self.connected = False
        self.accepting = True
        self.kept_before_connecting = 0
        self.stored: set[int] = set()
        self.refused_for_good: set[int] = set()
        self.published: set[int] = set()
        self.not_before: dict[int, float] = {}
        self.pubacks: list[tuple[int, list[tuple[int, int]]]] = []
        self.arriving: list[list[tuple[int, int]]] = []
        self.verdicts: list[Verdict] = []

    # Steps; `n` chooses among what there is

    def keep(self, n: int) -> None:
        self.outbox.keep(n % 12 + 1)
        self.head += n % 12 + 1
        self.dispatch.kept(self.head)

    def connect(self, n: int = 0) -> None:
        if not self.connected:
            self.connected = True
            self.accepting = True
            self.kept_before_connecting = self.head
            self.not_before.clear()  # a reconnect is a reason to send again
            self.dispatch.opened(self.now, head=self.head, window=self.link.window, max_bytes=10**9)

    def disconnect(self, n: int = 0) -> None:
        self.connected = False
        self.pubacks.clear()
        self.dispatch.closed()

    def broker_killed(self, n: int = 0) -> None:
        """What it had acknowledged and not passed on is gone."""
        self.disconnect()
        self.arriving.clear()
        self.verdicts.clear()

    def wait(self, n: int) -> None:
        self.now += (0.1, 1.0, 11.0, 60.0)[n % 4]

    def publish(self, n: int = 0) -> None:
        load = self.dispatch.next(self.now)
        if load is None:
            return
        assert self.connected, "published without a connection"
        assert self.accepting, "published though the platform said stop"
        assert load.records <= self.link.batch_records
        ranges = list(load.ranges)
        if n % 5 == 0:  # the message was full after the first record
            ranges = [(ranges[0][0], ranges[0][0])]
        self._check_load(load, ranges)
        self.mid += 1
        self.pubacks.append((self.mid, ranges))
        self.arriving.append(ranges)
        self.dispatch.published(load, ranges, self.mid, self.now)

    def _check_load(self, load: Load, ranges: list[tuple[int, int]]) -> None:
        assert ranges == sorted(ranges)
        for sequence in numbers(ranges):
            assert 1 <= sequence <= self.head
            assert self.outbox.states[sequence - 1] == 0, "published what is settled"
            assert self.now >= self.not_before.get(sequence, 0), "published again too soon"
            self.not_before[sequence] = self.now + self.link.verdict_timeout
            self.published.add(sequence)
        if load.lane is Lane.LIVE:
            assert ranges[0][0] > self.kept_before_connecting, "an old record in the live lane"

    def puback(self, n: int) -> None:
        self._puback(n, 0)

    def puback_no_subscribers(self, n: int) -> None:
        self._puback(n, 0x10, reached=False)

    def puback_not_authorised(self, n: int) -> None:
        self._puback(n, 0x87, reached=False)

    def _puback(self, n: int, code: int, *, reached: bool = True) -> None:
        if not self.pubacks:
            return
        mid, ranges = self.pubacks.pop(n % len(self.pubacks))
        if not reached:
            if ranges not in self.arriving:
                return  # it did reach somebody: this broker's word would be a lie
            self.arriving.remove(ranges)
            for sequence in numbers(ranges):
                self.not_before.pop(sequence, None)
        delivered = self.dispatch.acknowledged(mid, code, self.now)
        self.outbox.settle(delivered, (), clock.now())

    def puback_eaten(self, n: int) -> None:
        if self.pubacks:
            self.pubacks.pop(n % len(self.pubacks))

    def message_lost(self, n: int) -> None:
        if self.arriving:
            self.arriving.pop(n % len(self.arriving))

    def platform_takes(self, n: int, refuse: str = "") -> None:
        if not self.arriving:
            return
        at = n % len(self.arriving)
        ranges = self.arriving[at] if n % 7 == 0 else self.arriving.pop(at)  # sometimes it arrives twice
        accepted, rejected = [], []
        for sequence in numbers(ranges):
            if refuse and sequence not in self.stored and (sequence + n) % 3 == 0:
                rejected.append(
                    Refusal(sequence=sequence, id="i", code="c", reason="r", retryable=refuse == "retryable")
                )
                if refuse == "final":
                    self.refused_for_good.add(sequence)
            else:
                self.stored.add(sequence)
                accepted.append((sequence, sequence))
        cut = len(accepted) // 2 if n % 2 else 0  # sometimes the word on one message comes in two
        self.verdicts.append(Verdict(chain="c", accepted=tuple(accepted[cut:]), rejected=tuple(rejected)))
        if cut:
            self.verdicts.append(Verdict(chain="c", accepted=tuple(accepted[:cut])))

    def platform_refuses_for_now(self, n: int) -> None:
        self.platform_takes(n, "retryable")

    def platform_refuses(self, n: int) -> None:
        self.platform_takes(n, "final")

    def verdict(self, n: int) -> None:
        if not self.verdicts:
            return
        at = n % len(self.verdicts)
        verdict = self.verdicts[at] if n % 5 == 0 else self.verdicts.pop(at)
        settled = self.outbox.settle(verdict.accepted, verdict.rejected, clock.now())
        self.dispatch.verdict(verdict, moved=settled.newly_accepted + settled.newly_refused > 0, now=self.now)
        for refusal in verdict.rejected:
            self.not_before[refusal.sequence] = self.now + (5.0 if refusal.retryable else 0.0)

    def verdict_lost(self, n: int) -> None:
        if self.verdicts:
            self.verdicts.pop(n % len(self.verdicts))

    def platform_state(self, n: int) -> None:
        self.accepting = n % 2 == 0
        self.dispatch.heard(PlatformState(self.accepting, (None, 3.0, 0.5)[n % 3]), self.now)

    def requeue(self, n: int) -> None:
        refused = [s for s in sorted(self.refused_for_good) if self.outbox.states[s - 1] == 2]
        if refused:
            self.outbox.requeue(refused[n % len(refused)])
            self.published.discard(refused[n % len(refused)])  # it had its verdict: as if never published

    # The books

    def check(self) -> None:
        unsettled = {sequence for sequence in self.published if self.outbox.states[sequence - 1] == 0}
        assert len(unsettled) <= self.link.unverdicted_max, "more without a verdict than allowed"
        assert self.dispatch.in_flight <= self.link.window
        delivered = {at + 1 for at, state in enumerate(self.outbox.states) if state == 1}
        assert delivered <= self.stored, "counted as delivered, and the platform does not have it"
        if self.dispatch.next(self.now) is None:
            assert self.dispatch.deadline(self.now) > self.now, "nothing to do and no time to wait for: it would spin"

    def heal(self) -> None:
        """From here on everything works. In the end all must be settled without more than time passing."""
        self.connect()
        if not self.accepting:
            self.platform_state(0)
        self.platform_state(6)
        for _ in range(3000):
            if self.outbox.counts().pending == 0:
                break
            if self.dispatch.stalled(self.now):
                self.disconnect()
                self.connect()
            before = self.mid
            self.publish(1)
            while self.pubacks:
                self.puback(0)
            while self.arriving:
                self.platform_takes(1)
            while self.verdicts:
                self.verdict(1)
            if self.mid == before:
                self.now += 1.0
            self.check()
        assert self.outbox.counts().pending == 0, "records are left behind"
        kept = set(range(1, self.head + 1))
        rejected = {at + 1 for at, state in enumerate(self.outbox.states) if state == 2}
        assert rejected <= self.refused_for_good
        assert kept - rejected <= self.stored


STEPS = [
    "keep", "keep", "connect", "disconnect", "broker_killed", "wait", "wait", "publish", "publish", "publish",
    "publish", "puback", "puback", "puback_eaten", "puback_no_subscribers", "puback_not_authorised",
    "message_lost", "platform_takes", "platform_takes", "platform_refuses", "platform_refuses_for_now",
    "verdict", "verdict", "verdict_lost", "platform_state", "requeue",
]  # fmt: skip


def numbers(ranges: list[tuple[int, int]]) -> list[int]:
    return [n for first, last in ranges for n in range(first, last + 1)]


def live(make: Make, outbox: Any, steps: list[tuple[str, int]], link: LinkSettings = LINK) -> None:
    world = World(make, outbox, link)
    for name, n in steps:
        getattr(world, name)(n)
        world.check()
    world.heal()


@settings(max_examples=250, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1000)), max_size=150))
def test_in_the_end_everything_is_settled_and_no_bound_is_passed(
    steps: list[tuple[str, int]], make_outbox: MakeOutbox
) -> None:
    live(Dispatch, make_outbox(), steps)


def random_steps(seed: int) -> list[tuple[str, int]]:
    chance = random.Random(seed)
    return [("connect", 0)] + [(chance.choice(STEPS), chance.randrange(1000)) for _ in range(250)]


@pytest.mark.parametrize("seed", range(60))
def test_long_random_lives(seed: int, make_outbox: MakeOutbox) -> None:
    live(Dispatch, make_outbox(), random_steps(seed))


# Planted bugs


class PubackDelivers(Dispatch):
    def acknowledged(self, mid: int, code: int, now: float) -> tuple[tuple[int, int], ...]:
        shipment = self._slots.get(mid)
        super().acknowledged(mid, code, now)
        return tuple(self._reclaim(shipment)) if shipment and code == 0 else ()


class NoSubscribersDelivers(Dispatch):
    def acknowledged(self, mid: int, code: int, now: float) -> tuple[tuple[int, int], ...]:
        shipment = self._slots.get(mid)
        super().acknowledged(mid, 0 if code == 0x10 else code, now)
        return tuple(self._reclaim(shipment)) if shipment and code == 0x10 else ()


class ForgetsUnverdictedOnReconnect(Dispatch):
    def _recall_unverdicted(self) -> None:
        super()._recall_unverdicted()
        self._again.clear()


class NeverSendsAgain(Dispatch):
    def _front_again(self, limit: int) -> Load | None:
        return None


class IgnoresTheWindow(Dispatch):
    def _may_publish(self) -> bool:
        return self._open and self.platform.accepting


class IgnoresTheBound(Dispatch):
    def _room(self) -> int:
        return self._settings.batch_records


class IgnoresThePlatform(Dispatch):
    def heard(self, platform: PlatformState, now: float) -> None:
        super().heard(PlatformState(True, platform.drain_per_s), now)


class SettlesTheWholeMessage(Dispatch):
    def verdict(self, verdict: Verdict, *, moved: bool, now: float) -> None:
        for first, last in verdict.accepted:
            for _, _, shipment in self._outstanding.overlapping(first, last):
                self._reclaim(shipment)
        super().verdict(verdict, moved=moved, now=now)


class SendsWhatIsUnderWay(Dispatch):
    def _unsent(self, first: int, last: int, limit: int) -> tuple[tuple[int, int], ...]:
        return tuple((start, min(stop, start + limit - 1)) for start, stop in self._outbox.pending(1, last)[:1])


class RetriesAtOnce(Dispatch):
    def verdict(self, verdict: Verdict, *, moved: bool, now: float) -> None:
        super().verdict(verdict, moved=moved, now=now)
        self.retry_now()


@pytest.mark.parametrize(
    "bug",
    [
        PubackDelivers,
        NoSubscribersDelivers,
        ForgetsUnverdictedOnReconnect,
        NeverSendsAgain,
        IgnoresTheWindow,
        IgnoresTheBound,
        IgnoresThePlatform,
        SettlesTheWholeMessage,
        SendsWhatIsUnderWay,
        RetriesAtOnce,
    ],
)
def test_the_world_notices_a_planted_bug(bug: type[Dispatch], make_outbox: MakeOutbox) -> None:
    noticed = 0
    for seed in range(60):
        try:
            live(bug, make_outbox(), random_steps(seed))
        except (AssertionError, ValueError):
            noticed += 1
            break
    assert noticed, "this world is too kind"
