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
from edge_agent.uplink.dispatch import Dispatch
from edge_agent.uplink.loads import Delivered, Lane, Load
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.wire import PlatformState

LINK = LinkSettings(host="h", port=1, window=4, batch_records=8, unverdicted_max=40, verdict_timeout=10)
OURS = "c"
Make = Callable[..., Dispatch]
MakeStores = Callable[[], tuple[Any, Any]]
Place = tuple[str, int]


class World:
    """Everything around a dispatch, moved by single steps."""

    def __init__(self, make: Make, stores: tuple[Any, Any], link: LinkSettings) -> None:
        self.outbox, self.salvaged = stores
        self.link = link
        self.dispatch = make(self.outbox, self.salvaged, link)
        self.now = 100.0
        self.head = 0
        self.mid = 0
        self.connected = False
        self.accepting = True
        self.kept_before_connecting = 0
        self.found: set[Place] = set()
        self.stored: set[Place] = set()
        self.refused_for_good: set[Place] = set()
        self.published: set[Place] = set()
        self.not_before: dict[Place, float] = {}
        self.pubacks: list[tuple[int, list[Place]]] = []
        self.arriving: list[list[Place]] = []
        self.verdicts: list[Verdict] = []

    # Steps; `n` chooses among what there is

    def keep(self, n: int) -> None:
        self.outbox.keep(n % 12 + 1)
        self.head += n % 12 + 1
        self.dispatch.kept(self.head)

    def salvage(self, n: int) -> None:
        """Some more records of an earlier chain are found, with holes between them, in no order."""
        chain = ("a", "b")[n % 2]
        found = {(chain, (n * 7) % 90 + hole) for hole in (1, 2, 4, 5, 6, 9)[: n % 6 + 1]} - self.found
        self.salvaged.found(chain, *(sequence for _, sequence in found))
        self.found |= found

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
        assert ranges == sorted(ranges)
        chain = load.rows[0].chain if load.rows else OURS
        places = [(chain, sequence) for first, last in ranges for sequence in range(first, last + 1)]
        self._check_load(load, places)
        self.mid += 1
        self.pubacks.append((self.mid, places))
        self.arriving.append(places)
        self.dispatch.published(load, ranges, self.mid, self.now)

    def _check_load(self, load: Load, places: list[Place]) -> None:
        assert (load.lane is Lane.SALVAGED) == (places[0][0] != OURS)
        for place in places:
            assert self.pending(place), "published what is settled, or what there is not"
            assert self.now >= self.not_before.get(place, 0), "published again too soon"
            self.not_before[place] = self.now + self.link.verdict_timeout
            self.published.add(place)
        if load.lane is Lane.LIVE:
            assert places[0][1] > self.kept_before_connecting, "an old record in the live lane"

    def pending(self, place: Place) -> bool:
        if place[0] != OURS:
            return place in self.salvaged.rows
        return 1 <= place[1] <= self.head and self.outbox.states[place[1] - 1] == 0

    def puback(self, n: int) -> None:
        self._puback(n, 0)

    def puback_no_subscribers(self, n: int) -> None:
        self._puback(n, 0x10, reached=False)

    def puback_not_authorised(self, n: int) -> None:
        self._puback(n, 0x87, reached=False)

    def _puback(self, n: int, code: int, *, reached: bool = True) -> None:
        if not self.pubacks:
            return
        mid, places = self.pubacks.pop(n % len(self.pubacks))
        if not reached:
            if places not in self.arriving:
                return  # it did reach somebody: this broker's word would be a lie
            self.arriving.remove(places)
            for place in places:
                self.not_before.pop(place, None)
        delivered = self.dispatch.acknowledged(mid, code, self.now)
        if delivered is not None and delivered.chain is None:
            self.outbox.settle(delivered.ranges, (), clock.now())
        elif delivered is not None:
            self.salvaged.settle(delivered.chain, delivered.ranges, ())

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
        places = self.arriving[at] if n % 7 == 0 else self.arriving.pop(at)  # sometimes it arrives twice
        chain = places[0][0]
        accepted, rejected = [], []
        for place in places:
            sequence = place[1]
            if refuse and place not in self.stored and (sequence + n) % 3 == 0:
                rejected.append(
                    Refusal(sequence=sequence, id="i", code="c", reason="r", retryable=refuse == "retryable")
                )
                if refuse == "final":
                    self.refused_for_good.add(place)
            else:
                self.stored.add(place)
                accepted.append((sequence, sequence))
        cut = len(accepted) // 2 if n % 2 else 0  # sometimes the word on one message comes in two
        self.verdicts.append(Verdict(chain=chain, accepted=tuple(accepted[cut:]), rejected=tuple(rejected)))
        if cut:
            self.verdicts.append(Verdict(chain=chain, accepted=tuple(accepted[:cut])))

    def platform_refuses_for_now(self, n: int) -> None:
        self.platform_takes(n, "retryable")

    def platform_refuses(self, n: int) -> None:
        self.platform_takes(n, "final")

    def verdict(self, n: int) -> None:
        if not self.verdicts:
            return
        at = n % len(self.verdicts)
        verdict = self.verdicts[at] if n % 5 == 0 else self.verdicts.pop(at)
        if verdict.chain == OURS:
            settled = self.outbox.settle(verdict.accepted, verdict.rejected, clock.now())
            self.dispatch.verdict(verdict, moved=settled.newly_accepted + settled.newly_refused > 0, now=self.now)
        else:
            self.salvaged.settle(verdict.chain, verdict.accepted, verdict.rejected)
            self.dispatch.salvage_verdict(verdict, self.now)
        for refusal in verdict.rejected:
            self.not_before[verdict.chain, refusal.sequence] = self.now + (5.0 if refusal.retryable else 0.0)

    def verdict_lost(self, n: int) -> None:
        if self.verdicts:
            self.verdicts.pop(n % len(self.verdicts))

    def platform_state(self, n: int) -> None:
        self.accepting = n % 2 == 0
        self.dispatch.heard(PlatformState(self.accepting, (None, 3.0, 0.5)[n % 3]), self.now)

    def requeue(self, n: int) -> None:
        ours = [place for place in sorted(self.refused_for_good) if place[0] == OURS]
        refused = [place for place in ours if self.outbox.states[place[1] - 1] == 2]
        if refused:
            self.outbox.requeue(refused[n % len(refused)][1])
            self.published.discard(refused[n % len(refused)])  # it had its verdict: as if never published

    # The books

    def check(self) -> None:
        unsettled = {place for place in self.published if self.pending(place)}
        assert len(unsettled) <= self.link.unverdicted_max, "more without a verdict than allowed"
        salvaged = sum(chain != OURS for chain, _ in unsettled)
        assert salvaged <= self.link.unverdicted_max // 8, "more salvaged ones without a verdict than allowed"
        assert self.dispatch.in_flight <= self.link.window
        delivered = {(OURS, at + 1) for at, state in enumerate(self.outbox.states) if state == 1}
        delivered |= self.found - self.salvaged.rows.keys() - self.salvaged.refused.keys()
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
            if self.outbox.counts().pending == 0 and not self.salvaged.rows:
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
        assert not self.salvaged.rows, "salvaged records are left behind"
        kept = {(OURS, sequence) for sequence in range(1, self.head + 1)} | self.found
        rejected = {(OURS, at + 1) for at, state in enumerate(self.outbox.states) if state == 2}
        rejected |= self.salvaged.refused.keys()
        assert rejected <= self.refused_for_good
        assert kept - rejected <= self.stored


STEPS = [
    "keep", "keep", "salvage", "connect", "disconnect", "broker_killed", "wait", "wait", "publish", "publish",
    "publish", "publish", "puback", "puback", "puback_eaten", "puback_no_subscribers", "puback_not_authorised",
    "message_lost", "platform_takes", "platform_takes", "platform_refuses", "platform_refuses_for_now",
    "verdict", "verdict", "verdict_lost", "platform_state", "requeue",
]  # fmt: skip


def live(make: Make, stores: tuple[Any, Any], steps: list[tuple[str, int]], link: LinkSettings = LINK) -> None:
    world = World(make, stores, link)
    for name, n in steps:
        getattr(world, name)(n)
        world.check()
    world.heal()


@settings(max_examples=250, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1000)), max_size=150))
def test_in_the_end_everything_is_settled_and_no_bound_is_passed(
    steps: list[tuple[str, int]], make_stores: MakeStores
) -> None:
    live(Dispatch, make_stores(), steps)


def random_steps(seed: int) -> list[tuple[str, int]]:
    chance = random.Random(seed)
    return [("connect", 0)] + [(chance.choice(STEPS), chance.randrange(1000)) for _ in range(250)]


@pytest.mark.parametrize("seed", range(60))
def test_long_random_lives(seed: int, make_stores: MakeStores) -> None:
    live(Dispatch, make_stores(), random_steps(seed))


# Planted bugs


class SalvageLooksOnce(Dispatch):
    def _salvaged(self, now: float) -> Load | None:
        load = super()._salvaged(now)
        if self._salvage._look_at > now:
            self._salvage._look_at = float("inf")
        return load


class SalvageSendsWhatIsUnderWay(Dispatch):
    def _salvaged(self, now: float) -> Load | None:
        self._salvage._cursor = ("", 0)
        books, self._salvage._books = self._salvage._books, {}
        load = super()._salvaged(now)
        self._salvage._books = books
        return load


class SalvageHasNoBound(Dispatch):
    def _salvaged(self, now: float) -> Load | None:
        self._salvage._bound = 10**6
        return super()._salvaged(now)


class SalvageNeverSendsAgain(Dispatch):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._salvage._due_again = lambda limit: None  # type: ignore[method-assign]


class PubackDelivers(Dispatch):
    def acknowledged(self, mid: int, code: int, now: float) -> Delivered | None:
        shipment = self._slots.get(mid)
        super().acknowledged(mid, code, now)
        delivers = shipment is not None and code == 0
        return Delivered(shipment.book.chain, tuple(shipment.book.reclaim(shipment))) if delivers else None


class NoSubscribersDelivers(Dispatch):
    def acknowledged(self, mid: int, code: int, now: float) -> Delivered | None:
        shipment = self._slots.get(mid)
        super().acknowledged(mid, 0 if code == 0x10 else code, now)
        delivers = shipment is not None and code == 0x10
        return Delivered(shipment.book.chain, tuple(shipment.book.reclaim(shipment))) if delivers else None


class ForgetsUnverdictedOnReconnect(Dispatch):
    def _recall_unverdicted(self) -> None:
        super()._recall_unverdicted()
        self._shipments.again.clear()


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
            for _, _, shipment in self._shipments.outstanding.overlapping(first, last):
                self._shipments.reclaim(shipment)
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
        SalvageLooksOnce,
        SalvageSendsWhatIsUnderWay,
        SalvageHasNoBound,
        SalvageNeverSendsAgain,
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
def test_the_world_notices_a_planted_bug(bug: type[Dispatch], make_stores: MakeStores) -> None:
    noticed = 0
    for seed in range(300):
        try:
            live(bug, make_stores(), random_steps(seed))
        except (AssertionError, ValueError):
            noticed += 1
            break
    assert noticed, "this world is too kind"
