"""Single rules of the lowest lane: when salvaged records go, when again, and what they must not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_agent import clock
from edge_agent.model import Refusal, Verdict
from edge_agent.uplink.dispatch import Dispatch
from edge_agent.uplink.loads import Delivered, Lane, Load
from edge_agent.uplink.salvage_lane import LOOK_EVERY, TURN, UNDER_WAY
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.wire import PlatformState


class Bench:
    """A dispatch between an outbox and salvaged records, and short words for what happens to it."""

    def __init__(self, stores: tuple[Any, Any], **link: Any) -> None:
        options = {"window": 4, "batch_records": 10, "unverdicted_max": 1000, **link}
        self.outbox, self.salvaged = stores
        self.dispatch = Dispatch(self.outbox, self.salvaged, LinkSettings(host="h", port=1, **options))
        self.head = 0
        self.mid = 0

    def keep(self, count: int) -> None:
        self.outbox.keep(count)
        self.head += count
        self.dispatch.kept(self.head)

    def open(self, now: float = 0.0) -> None:
        self.dispatch.opened(now, head=self.head, window=4, max_bytes=10**6)

    def send(self, now: float) -> Load | None:
        load = self.dispatch.next(now)
        if load is not None:
            self.mid += 1
            self.dispatch.published(load, load.ranges, self.mid, now)
        return load

    def sequences(self, now: float) -> list[int]:
        """What salvaged records go now."""
        load = self.send(now)
        if load is None:
            return []
        assert load.lane is Lane.SALVAGED
        assert load.records == len(load.rows)
        return [row.sequence for row in load.rows]

    def acknowledged(self, now: float, code: int = 0) -> Delivered | None:
        return self.dispatch.acknowledged(self.mid, code, now)

    def verdict(self, now: float, chain: str, *accepted: tuple[int, int], refused: tuple[Refusal, ...] = ()) -> None:
        verdict = Verdict(chain=chain, accepted=accepted, rejected=refused)
        if chain == "ours":
            settled = self.outbox.settle(accepted, refused, clock.now())
            self.dispatch.verdict(verdict, moved=settled.newly_accepted > 0, now=now)
        else:
            self.salvaged.settle(chain, accepted, refused)
            self.dispatch.salvage_verdict(verdict, now)

    def answered(self, now: float, load: Load) -> None:
        """PUBACK and verdict for what just went."""
        self.acknowledged(now)
        self.verdict(now, load.rows[0].chain if load.rows else "ours", *load.ranges)


@pytest.fixture
def bench(make_stores: Callable[[], tuple[Any, Any]]) -> Callable[..., Bench]:
    return lambda **link: Bench(make_stores(), **link)


def for_now(sequence: int) -> Refusal:
    return Refusal(sequence=sequence, id="i", code="c", reason="later", retryable=True)


def test_they_go_last_one_chain_to_a_message_and_never_fill_the_window(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.salvaged.found("a", *range(1, 16))
    it.salvaged.found("b", *range(3, 30, 2))
    it.keep(15)
    it.open()
    assert [load.ranges for load in (it.send(0), it.send(0)) if load] == [((1, 10),), ((11, 15),)]
    for mid in (1, 2):
        it.dispatch.acknowledged(mid, 0, 0)
    assert it.sequences(0) == [*range(1, 11)]
    assert it.sequences(0) == [*range(11, 16)]
    assert it.dispatch.in_flight == UNDER_WAY < 4
    assert it.sequences(0) == []
    it.keep(1)
    assert it.send(0) == Load(Lane.LIVE, ((16, 16),))  # there is room for a new record at any time
    it.verdict(0, "a", (1, 15))
    assert it.sequences(0) == [*range(3, 22, 2)]


@pytest.mark.parametrize("live", [True, False])
def test_a_busy_stall_lets_them_have_their_turn_and_the_backlog_its_share(
    bench: Callable[..., Bench], live: bool
) -> None:
    it = bench()
    it.salvaged.found("a", *range(1, 2000))
    it.keep(10_000)
    it.open()
    lanes = []
    for turn in range(400):
        if live:
            it.keep(1)
        load = it.send(turn)
        assert load is not None
        lanes.append(load.lane)
        it.answered(turn, load)
    gaps = "".join(lane[0] for lane in lanes).split("s")
    assert len(gaps) > 20
    assert max(map(len, gaps)) <= TURN + 1
    assert lanes.count(Lane.BACKLOG) == (100 if live else 400 - lanes.count(Lane.SALVAGED))


def test_backoff_is_that_of_all_records(bench: Callable[..., Bench]) -> None:
    it = bench(verdict_timeout=15)
    it.salvaged.found("a", 7)
    it.open()
    now, waits = 0.0, []
    for _ in range(7):
        assert it.sequences(now) == [7]
        it.acknowledged(now)
        due = it.dispatch.deadline(now)
        waits.append(due - now)
        assert it.sequences(due - 0.1) == []
        now = due
    assert waits == [15, 30, 60, 120, 240, 300, 300]


def test_refused_for_now_waits_and_the_rest_goes_on(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.salvaged.found("a", *range(1, 16))
    it.open()
    assert it.sequences(0) == [*range(1, 11)]
    it.acknowledged(0)
    it.verdict(0, "a", (1, 3), (5, 10), refused=(for_now(4),))
    assert it.sequences(0) == [*range(11, 16)]
    it.acknowledged(0)
    it.verdict(0, "a", (11, 15))
    assert it.sequences(4.9) == []
    assert it.dispatch.deadline(4.9) == 5.0
    assert it.sequences(5) == [4]
    it.verdict(5, "a", refused=(for_now(4),))
    assert it.sequences(14.9) == []
    it.dispatch.retry_now()
    assert it.sequences(14.9) == [4]
    it.verdict(15, "a", refused=(Refusal(sequence=4, id="i", code="c", reason="never", retryable=False),))
    assert it.sequences(400) == []
    assert it.dispatch.unverdicted == 0


def test_a_reconnect_loses_none_and_doubles_none(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.salvaged.found("a", *range(1, 26))
    it.open()
    it.sequences(0)
    it.acknowledged(0)
    it.sequences(0)
    it.verdict(0, "a", (4, 6))
    it.dispatch.closed()
    assert it.send(1) is None
    assert it.dispatch.unverdicted == 17
    it.salvaged.settle("a", ((9, 12),), ())  # a verdict that came another way
    it.open(1)
    sent = []
    while sequences := it.sequences(1):
        sent += sequences
        it.acknowledged(1)
    assert sorted(sent) == [*range(1, 4), 7, 8, *range(13, 26)]


def test_what_is_found_later_and_before_what_was_sent_goes_too(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.salvaged.found("b", 5, 6)
    it.open()
    assert it.sequences(0) == [5, 6]
    it.acknowledged(0)
    assert it.sequences(0) == []
    it.salvaged.found("b", 2, 8)
    it.salvaged.found("a", 1)
    asked = it.salvaged.asked
    assert it.sequences(LOOK_EVERY - 0.1) == []
    assert it.salvaged.asked == asked, "the disk is not asked again and again"
    assert it.sequences(LOOK_EVERY) == [1]
    it.acknowledged(LOOK_EVERY)
    assert it.sequences(LOOK_EVERY) == [2, 8]


def test_lost_pubacks_do_not_hold_up_the_lane(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.salvaged.found("a", *range(1, 60))
    it.open()
    for _ in range(4):
        load = it.send(0)
        assert load is not None
        it.verdict(0, "a", *load.ranges)
    assert it.send(1) is None, "the window is full"
    assert it.dispatch.stalled(1) is None, "they may still come"
    assert "acknowledgements" in (it.dispatch.stalled(2) or "")


def test_puback_and_verdict_both_lost(bench: Callable[..., Bench]) -> None:
    it = bench(verdict_timeout=15)
    it.salvaged.found("a", 1, 2)
    it.open()
    assert it.sequences(0) == [1, 2]
    assert it.sequences(59) == []
    assert it.sequences(60) == [1, 2]


def test_nobody_subscribed_is_no_delivery_and_the_broker_s_word_counts_where_it_is_to(
    bench: Callable[..., Bench],
) -> None:
    it = bench(acknowledgement="broker")
    it.salvaged.found("a", 1, 2, 9)
    it.open()
    assert it.sequences(0) == [1, 2, 9]
    assert it.acknowledged(0, code=16) is None
    assert it.sequences(0.5) == []
    assert it.sequences(1) == [1, 2, 9]
    assert it.acknowledged(1) == Delivered("a", ((1, 2), (9, 9)))
    assert it.dispatch.unverdicted == 0


def test_an_old_chain_that_the_platform_ignores_costs_the_present_one_nothing(bench: Callable[..., Bench]) -> None:
    it = bench(progress_timeout=3, unverdicted_max=80)
    it.salvaged.found("a", *range(1, 500))
    it.open()
    for now in range(100):
        while load := it.send(now):
            assert load.lane is Lane.SALVAGED
            it.acknowledged(now)
        assert it.dispatch.unverdicted == 10, "at most an eighth"
        assert it.dispatch.stalled(now) is None
    it.keep(200)
    sent = 0
    while (load := it.send(101)) and load.lane is not Lane.SALVAGED:
        sent += load.records
        it.acknowledged(101)
    assert sent == 70


def test_the_platform_may_stop_and_limit_them(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.salvaged.found("a", *range(1, 500))
    it.open()
    it.dispatch.heard(PlatformState(accepting=False), 0)
    assert it.sequences(0) == []
    it.dispatch.heard(PlatformState(accepting=True, drain_per_s=20), 0)
    sent, now = 0, 0.0
    while now < 10:
        if load := it.send(now):
            sent += load.records
            it.answered(now, load)
        else:
            due = it.dispatch.deadline(now)
            assert due > now
            now = due
    assert 180 <= sent <= 220


def test_one_record_at_a_time_is_enough(bench: Callable[..., Bench]) -> None:
    it = bench(unverdicted_max=1)
    it.salvaged.found("a", 1, 2)
    it.keep(2)
    it.open()
    sent = []
    for now in range(4):
        load = it.send(now)
        assert load is not None
        assert load.records == 1
        sent.append(load.lane)
        it.answered(now, load)
    assert sent == [Lane.BACKLOG, Lane.BACKLOG, Lane.SALVAGED, Lane.SALVAGED]
