"""Single rules of the dispatch."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edge_agent import clock
from edge_agent.model import Refusal, Verdict
from edge_agent.uplink.dispatch import Dispatch
from edge_agent.uplink.loads import Delivered, Lane, Load
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.wire import PlatformState


class NoneSalvaged:
    """No earlier chain."""

    def pending(self, limit: int, *, after: tuple[str, int]) -> list[Any]:
        return []

    def settle(self, chain: str, accepted: Any, refused: Any) -> int:
        return 0


class Bench:
    """A dispatch with an outbox, and short words for what happens to it."""

    def __init__(self, outbox: Any, **link: Any) -> None:
        options = {"window": 4, "batch_records": 10, "unverdicted_max": 1000, **link}
        self.outbox = outbox
        self.dispatch = Dispatch(outbox, NoneSalvaged(), LinkSettings(host="h", port=1, **options))
        self.head = 0
        self.mid = 0

    def keep(self, count: int) -> None:
        self.outbox.keep(count)
        self.head += count
        self.dispatch.kept(self.head)

    def open(self, now: float) -> None:
        self.dispatch.opened(now, head=self.head, window=4, max_bytes=10**6)

    def send(self, now: float, count: int | None = None) -> Load | None:
        load = self.dispatch.next(now)
        if load is not None:
            self.mid += 1
            self.dispatch.published(load, load.ranges, self.mid, now)
        return load

    def verdict(self, now: float, *accepted: tuple[int, int], refused: tuple[Refusal, ...] = ()) -> None:
        settled = self.outbox.settle(accepted, refused, clock.now())
        moved = settled.newly_accepted + settled.newly_refused > 0
        self.dispatch.verdict(Verdict(chain="c", accepted=accepted, rejected=refused), moved=moved, now=now)


def refusal(sequence: int, *, retryable: bool) -> Refusal:
    return Refusal(sequence=sequence, id="i", code="c", reason="r", retryable=retryable)


def test_a_backlog_goes_in_order_and_the_window_bounds_it(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(100)
    assert bench.send(0) is None
    bench.open(0)
    loads = [bench.send(0) for _ in range(5)]
    assert [load.ranges for load in loads if load] == [((1, 10),), ((11, 20),), ((21, 30),), ((31, 40),)]
    assert bench.dispatch.deadline(0) == math.inf  # only a PUBACK can help
    bench.dispatch.acknowledged(1, 0, 0)
    assert bench.send(0).ranges == ((41, 50),)  # type: ignore[union-attr]


def test_live_overtakes_and_the_backlog_keeps_a_quarter(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(1000)
    bench.open(0)
    lanes = []
    for turn in range(40):
        bench.keep(1)
        load = bench.send(turn)
        assert load is not None
        lanes.append(load.lane)
        bench.dispatch.acknowledged(bench.mid, 0, turn)
        for first, last in load.ranges:
            bench.verdict(turn, (first, last))
    assert lanes.count(Lane.BACKLOG) == 10
    assert all(Lane.BACKLOG in lanes[at : at + 4] for at in range(0, 40, 4))


def test_more_than_can_be_called_live_becomes_backlog_and_newer_records_overtake_it(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.open(0)
    bench.keep(500)
    bench.keep(1)
    load = bench.send(0)
    assert load == Load(Lane.LIVE, ((501, 501),))
    assert bench.send(0) == Load(Lane.BACKLOG, ((1, 10),))


def test_backoff_of_the_verdict_doubles_to_five_minutes(make_outbox: Any) -> None:
    bench = Bench(make_outbox(), verdict_timeout=15)
    bench.keep(1)
    bench.open(0)
    now, waits = 0.0, []
    for _ in range(7):
        assert bench.send(now) is not None
        bench.dispatch.acknowledged(bench.mid, 0, now)
        due = bench.dispatch.deadline(now)
        waits.append(due - now)
        assert bench.send(due - 0.1) is None
        now = due
    assert waits == [15, 30, 60, 120, 240, 300, 300]


def test_a_message_whose_puback_and_verdict_are_both_lost_is_sent_again(make_outbox: Any) -> None:
    bench = Bench(make_outbox(), verdict_timeout=15)
    bench.keep(10)
    bench.open(0)
    assert bench.send(0) is not None
    assert bench.send(59) is None
    again = bench.send(60)
    assert again == Load(Lane.BACKLOG, ((1, 10),), attempts=1, resent=True)


def test_a_reconnect_sends_again_what_has_no_verdict(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(30)
    bench.open(0)
    for _ in range(3):
        bench.send(0)
    bench.dispatch.acknowledged(1, 0, 0)
    bench.verdict(0, (11, 15))
    bench.dispatch.closed()
    assert bench.dispatch.in_flight == 0
    assert bench.dispatch.unverdicted == 25
    assert bench.send(1) is None
    bench.open(1)
    assert bench.send(1).ranges == ((1, 10),)  # type: ignore[union-attr]
    assert bench.send(1).ranges == ((16, 25),)  # type: ignore[union-attr]


def test_unverdicted_records_are_bounded_and_the_bound_frees_with_verdicts(make_outbox: Any) -> None:
    bench = Bench(make_outbox(), unverdicted_max=25)
    bench.keep(100)
    bench.open(0)
    sent = []
    while load := bench.send(0):
        sent.append(load.records)
        bench.dispatch.acknowledged(bench.mid, 0, 0)
    assert sent == [10, 10, 5]
    bench.verdict(1, (3, 6))
    assert bench.send(1).ranges == ((26, 29),)  # type: ignore[union-attr]


def test_nobody_subscribed_is_no_delivery(make_outbox: Any) -> None:
    for mode in ("platform", "broker"):
        bench = Bench(make_outbox(), acknowledgement=mode)
        bench.keep(10)
        bench.open(0)
        bench.send(0)
        assert bench.dispatch.acknowledged(1, 16, 0) is None
        assert bench.dispatch.refusal is not None
        assert bench.send(0.5) is None
        assert bench.dispatch.deadline(0.5) == 1.0
        assert bench.send(1.0).ranges == ((1, 10),)  # type: ignore[union-attr]
        bench.dispatch.acknowledged(2, 0, 1)
        assert bench.dispatch.refusal is None


def test_a_refusing_broker_is_no_poison_and_gets_one_message_at_a_time(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(100)
    bench.open(0)
    for _ in range(4):
        bench.send(0)
    for mid in range(1, 5):
        bench.dispatch.acknowledged(mid, 0x87, 0)
    assert "135" in (bench.dispatch.refusal or "")
    now, waits = 0.0, []
    for _ in range(8):
        due = bench.dispatch.deadline(now)
        waits.append(due - now)
        now = due
        assert bench.send(now).ranges == ((1, 10),)  # type: ignore[union-attr]
        assert bench.send(now) is None
        bench.dispatch.acknowledged(bench.mid, 0x87, now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    bench.send(bench.dispatch.deadline(now))
    bench.dispatch.acknowledged(bench.mid, 0, now)
    assert bench.send(now) is not None
    assert bench.send(now) is not None


def test_with_acknowledgement_by_the_broker_a_puback_delivers(make_outbox: Any) -> None:
    bench = Bench(make_outbox(), acknowledgement="broker")
    bench.keep(10)
    bench.open(0)
    bench.send(0)
    assert bench.dispatch.acknowledged(1, 0, 0) == Delivered(None, ((1, 10),))
    assert bench.dispatch.acknowledged(1, 0, 0) is None


def test_refused_for_now_waits_and_the_rest_goes_on(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(30)
    bench.open(0)
    bench.send(0)
    bench.dispatch.acknowledged(1, 0, 0)
    bench.verdict(0, (1, 3), (6, 10), refused=(refusal(4, retryable=True), refusal(5, retryable=False)))
    bench.verdict(0, refused=(refusal(4, retryable=True), refusal(4, retryable=True)))
    assert bench.send(0).ranges == ((11, 20),)  # type: ignore[union-attr]
    assert bench.send(0).ranges == ((21, 30),)  # type: ignore[union-attr]
    assert bench.send(4.9) is None
    assert bench.send(5.0) == Load(Lane.BACKLOG, ((4, 4),), attempts=1, resent=True)
    bench.verdict(6, refused=(refusal(4, retryable=True),))
    assert bench.send(15.9) is None
    assert bench.send(16.0) is not None


def test_a_new_catalogue_brings_retries_at_once(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(2)
    bench.open(0)
    bench.send(0)
    bench.verdict(0, (2, 2), refused=(refusal(1, retryable=True),))
    assert bench.send(0) is None
    bench.dispatch.retry_now()
    assert bench.send(0) == Load(Lane.BACKLOG, ((1, 1),), attempts=1, resent=True)


def test_records_put_back_by_an_operator_are_found(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(5)
    bench.open(0)
    bench.send(0)
    bench.verdict(0, (1, 2), (4, 5), refused=(refusal(3, retryable=False),))
    assert bench.send(10) is None
    bench.outbox.requeue(3)
    assert bench.send(20) == Load(Lane.BACKLOG, ((3, 3),))


def test_records_that_went_out_live_and_are_put_back_are_found_too(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.open(0)
    bench.keep(5)
    assert bench.send(0) == Load(Lane.LIVE, ((1, 5),))
    bench.dispatch.acknowledged(1, 0, 0)
    bench.verdict(0, (1, 2), (4, 5), refused=(refusal(3, retryable=False),))
    assert bench.send(10) is None
    bench.outbox.requeue(3)
    assert bench.send(12) == Load(Lane.BACKLOG, ((3, 3),))
    bench.keep(1)
    assert bench.send(12) == Load(Lane.LIVE, ((6, 6),))


def test_the_platform_may_stop_us_and_limit_the_backlog(make_outbox: Any) -> None:
    bench = Bench(make_outbox(), batch_records=50)
    bench.keep(1000)
    bench.open(0)
    bench.dispatch.heard(PlatformState(accepting=False), 0)
    assert bench.send(0) is None
    assert bench.dispatch.stalled(1000) is None
    bench.dispatch.heard(PlatformState(accepting=True, drain_per_s=20), 1000)
    sent = 0
    now = 1000.0
    while now < 1010.0:
        if load := bench.send(now):
            sent += load.records
            bench.dispatch.acknowledged(bench.mid, 0, now)
            bench.verdict(now, *load.ranges)
        elif (due := bench.dispatch.deadline(now)) < math.inf:
            assert due > now
            now = due
    assert 180 <= sent <= 220
    bench.keep(100)
    assert bench.send(now).records == 50  # type: ignore[union-attr]  # live records are not limited
    bench.dispatch.heard(PlatformState(accepting=True, drain_per_s=0), now)
    bench.verdict(now, (1, 2000))
    assert bench.send(now + 100) is None


def test_standing_still_is_noticed_and_pubacks_are_no_progress(make_outbox: Any) -> None:
    bench = Bench(make_outbox(), progress_timeout=30)
    bench.open(0)
    assert bench.dispatch.stalled(100) is None  # nothing waits
    bench.keep(10)
    assert bench.dispatch.stalled(110) is None
    bench.send(110)
    bench.dispatch.acknowledged(1, 0, 120)
    assert bench.dispatch.stalled(125) is None
    assert bench.dispatch.stalled(131) is not None
    bench.verdict(131, (1, 5))
    assert bench.dispatch.stalled(132) is None
    bench.verdict(140, (1, 5))  # nothing new
    assert bench.dispatch.stalled(162) is not None


def test_only_records_refused_for_now_are_no_standstill(make_outbox: Any) -> None:
    bench = Bench(make_outbox(), progress_timeout=3)
    bench.keep(1)
    bench.open(0)
    bench.send(0)
    bench.verdict(0, refused=(refusal(1, retryable=True),))
    assert bench.dispatch.stalled(4.9) is None
    bench.send(5)
    assert bench.dispatch.stalled(5) is None
    assert bench.dispatch.stalled(8) is not None


def test_a_window_full_of_lost_pubacks_is_noticed_before_the_watchdog(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(100)
    bench.open(0)
    for _ in range(4):
        bench.send(0)
    bench.verdict(1, (1, 30))
    assert bench.dispatch.stalled(10) is None  # the fourth may still come
    bench.verdict(10, (31, 40))
    assert bench.dispatch.stalled(11) is None
    assert "acknowledgements" in (bench.dispatch.stalled(12) or "")


def test_what_the_store_cannot_give_does_not_hold_up_the_rest(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    bench.keep(20)
    bench.open(0)
    load = bench.dispatch.next(0)
    assert load is not None
    bench.dispatch.unreadable(Load(load.lane, ((1, 1),)), 0)
    assert bench.send(0).ranges == ((2, 11),)  # type: ignore[union-attr]


def test_settings_that_can_never_work_are_refused() -> None:
    for wrong in ({"window": 0}, {"window": 21}, {"batch_records": 1001}, {"batch_bytes": 10**6}, {"port": 0}):
        with pytest.raises(ValueError, match="must be"):
            LinkSettings(**{"host": "h", "port": 1, **wrong})  # type: ignore[arg-type]


def test_it_is_quiet_only_while_no_record_is_under_way(make_outbox: Any) -> None:
    bench = Bench(make_outbox())
    assert not bench.dispatch.quiet(0.0)  # no link
    bench.open(0.0)
    assert bench.send(0.0) is None
    assert bench.dispatch.quiet(0.0)
    bench.keep(1)
    assert bench.send(0.0) is not None
    assert bench.send(0.0) is None
    assert not bench.dispatch.quiet(0.0)  # its PUBACK is still to come
    bench.dispatch.acknowledged(bench.mid, 0, 0.1)
    assert bench.dispatch.quiet(0.1)
    bench.dispatch.heard(PlatformState(accepting=False), 0.2)
    assert not bench.dispatch.quiet(0.2)
