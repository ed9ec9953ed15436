"""The mailbox: bounded, readings coalesce, nothing else is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_agent.model import DeviceState, Instant, Observation, Reading, Scan, StateChange
from edge_agent.supervisor.mailbox import Mailbox


def seen(event: object, at: Instant, device: str = "s") -> Observation:
    return Observation(device=device, driver="d", at=at, event=event)  # type: ignore[arg-type]


def reading(text: str) -> Reading:
    return Reading(weight=text, raw=text.encode())


def test_when_full_only_the_newest_reading_of_a_device_counts(instants: Callable[[], Instant]) -> None:
    box = Mailbox(bound=2)
    at = instants()
    box.put(seen(reading("1"), at, "a"))
    box.put(seen(reading("2"), at, "b"))
    box.put(seen(reading("3"), at, "a"))
    items = [box.take(0), box.take(0), box.take(0)]
    assert [i.event.weight for i in items if isinstance(i, Observation) and isinstance(i.event, Reading)] == ["3", "2"]
    assert box.coalesced == 1


def test_readings_do_not_coalesce_across_a_change_of_state(instants: Callable[[], Instant]) -> None:
    box = Mailbox(bound=2)
    at = instants()
    box.put(seen(reading("1"), at))
    box.put(seen(StateChange(state=DeviceState.LOST, reason="gone"), at))
    putter = threading.Thread(target=box.put, args=(seen(reading("2"), at),))
    putter.start()
    assert isinstance(box.take(1), Observation)
    putter.join(5)
    assert not putter.is_alive()
    assert box.coalesced == 0


def test_a_scan_holds_its_reader_back_and_is_not_lost(instants: Callable[[], Instant]) -> None:
    box = Mailbox(bound=1)
    at = instants()
    box.put(seen(Scan(text="1", raw=b"1"), at))
    putter = threading.Thread(target=box.put, args=(seen(Scan(text="2", raw=b"2"), at),))
    putter.start()
    got = [box.take(5), box.take(5)]
    putter.join(5)
    assert [i.event.text for i in got if isinstance(i, Observation) and isinstance(i.event, Scan)] == ["1", "2"]


def test_closing_lets_every_waiting_reader_go(instants: Callable[[], Instant]) -> None:
    box = Mailbox(bound=1)
    at = instants()
    box.put(seen(Scan(text="1", raw=b"1"), at))
    answers: list[bool] = []
    putter = threading.Thread(target=lambda: answers.append(box.put(seen(Scan(text="2", raw=b"2"), at))))
    putter.start()
    box.close()
    putter.join(5)
    assert answers == [False]
    assert box.take(0) is not None  # what was in the box can still be taken
