"""Running numbers: leased, noted before use, and never twice, whatever happened to the box."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.model import Instant
from edge_agent.station.numbers import A_DAY, LEASE, Numbers, Share

STALL = "3706025690012"
HOUR_MS = 3_600_000
START_MS = 1_795_400_000_000


def at(wall_ms: int = START_MS, *, synced: bool = True) -> Instant:
    return Instant(wall_ms=wall_ms, mono_ms=0, boot="b", synced=synced)


def take(numbers: Numbers, count: int, when: Instant | None = None, *, station: str = "A", **more: Any) -> list[str]:
    codes = [
        numbers.take(STALL, station, when or at(), share=more.get("share", Share()), begin=more.get("begin"))
        for _ in range(count)
    ]
    assert None not in codes
    return [code for code in codes if code is not None]


def restarted(noted: dict[str, int]) -> Numbers:
    numbers = Numbers()
    numbers.load(noted)
    return numbers


def test_a_code_is_the_party_and_seven_digits() -> None:
    code = take(Numbers(), 1)[0]
    assert (len(code), code[:13], code.isdigit()) == (20, STALL, True)


@pytest.mark.parametrize("party", [None, "", "12", "370602569001X", "٣706025690012"])
def test_without_a_party_code_there_is_no_trace_code(party: str | None) -> None:
    assert Numbers().take(party, "A", at(), share=Share()) is None


def test_numbers_run_on_without_gaps_while_the_box_runs() -> None:
    codes = [int(code) for code in take(Numbers(), 3 * LEASE)]
    assert codes == list(range(codes[0], codes[0] + 3 * LEASE))


def test_a_lease_is_told_before_its_numbers_are_used_up() -> None:
    numbers = Numbers()
    last = 0
    for _ in range(3 * LEASE):
        code = int(take(numbers, 1)[0][13:])
        last = max([last, *(free % 10_000_000 for free in numbers.notes().values())])
        assert code < last
    assert numbers.notes() == {}


def test_after_a_restart_the_rest_of_the_lease_is_dropped() -> None:
    numbers = Numbers()
    issued: list[str] = []
    noted: dict[str, int] = {}
    for _ in range(10):
        issued += take(numbers, 7)
        noted |= numbers.notes()
        numbers = restarted(noted)
    assert len(set(issued)) == len(issued) == 70


def test_stations_of_one_party_have_ranges_of_their_own() -> None:
    numbers = Numbers()
    issued = [take(numbers, 1, station=name)[0] for _ in range(2 * LEASE) for name in ("A", "B")]
    assert len(set(issued)) == len(issued)


def test_boxes_of_one_party_take_turns_at_the_ranges() -> None:
    boxes = [Numbers() for _ in range(3)]
    issued = [
        code
        for hours in range(20)
        for place, box in enumerate(boxes, 1)
        for code in take(box, 50, at(START_MS + hours * HOUR_MS), share=Share(place, 3))
    ]
    assert len(set(issued)) == len(issued)


@pytest.mark.parametrize("what", ["restored", "replaced"])
def test_a_restored_image_and_a_replaced_box_begin_above_what_was_issued(what: str) -> None:
    numbers = Numbers()
    issued = take(numbers, 30)
    image = numbers.notes()
    for hour in range(1, 20):  # the image does not know of these
        issued += take(numbers, 200, at(START_MS + hour * HOUR_MS))
    assert len(issued) < A_DAY
    numbers = restarted(image if what == "restored" else {})
    issued += take(numbers, 200, at(START_MS + 20 * HOUR_MS))
    assert len(set(issued)) == len(issued)


def test_a_store_that_knows_nothing_waits_for_the_clock_or_for_a_person() -> None:
    numbers = Numbers()
    assert numbers.take(STALL, "A", at(synced=False), share=Share()) is None
    assert numbers.notes() == {}
    assert take(numbers, 1, at(synced=False), begin=5_000)[0][13:] == "0005000"
    noted = numbers.notes()
    assert take(restarted(noted), 1, at(synced=False))[0][13:] == f"{5_000 + LEASE:07d}"


def test_a_clock_that_is_not_right_neither_lifts_nor_lowers() -> None:
    numbers = Numbers()
    first = int(take(numbers, LEASE)[-1])
    assert int(take(numbers, 1, at(START_MS + 10_000 * HOUR_MS, synced=False))[0]) == first + 1
    assert int(take(numbers, LEASE, at(0))[-1]) == first + 1 + LEASE


def test_what_is_refused_uses_up_no_number(hall: Any, stocked: Any, stall: Any) -> None:
    stocked(kilograms=100)
    first = int(stall.sell()["trace_code"])
    stall.do("goods", code="veg")
    assert stall.tell("confirm") == "already-sold"
    assert int(stall.sell()["trace_code"]) == first + 1
