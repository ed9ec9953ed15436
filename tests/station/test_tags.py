"""Single reads of tags become episodes; what a dock door full of tags costs is counted, not timed."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Instant, Observation, TagRead
from edge_agent.station import Books, Settings, TagRules, Watching, make_station
from edge_agent.station.tags import Episode, Present, TagsInView
from edge_agent.station.weigh_cycle import CycleRules
from tests.station.conftest import ZONE, Hall

RULES = TagRules(reads=1, lost_ms=3_000)
CYCLE = CycleRules(
    min_load=20_000, zero_band=5_000, stable_ms=300, stable_band=2_000, stable_readings=2, additions=False
)


def at(ms: int) -> Instant:
    return Instant(wall_ms=1_795_400_000_000 + ms, mono_ms=ms, boot="b00t", synced=True)


def tag(name: str, *, antenna: int | None = None, rssi: int | None = None) -> TagRead:
    return TagRead(tag_id=name, kind="epc", raw=name.encode(), antenna=antenna, rssi_dbm=rssi)


class Gate:
    """Tags in view of a reader; what is said is noted in words."""

    def __init__(self, rules: TagRules) -> None:
        self.view = TagsInView(rules)
        self.events: list[Present | Episode] = []

    def see(self, ms: int, name: str, *, device: str = "gate", **more: Any) -> None:
        self.events += self.view.see(tag(name, **more), device, "llrp", at(ms))

    def tick(self, ms: int) -> None:
        self.events += self.view.tick(at(ms))

    @property
    def came(self) -> list[str]:
        return [event.tag_id for event in self.events if isinstance(event, Present)]

    @property
    def gone(self) -> list[Episode]:
        return [event for event in self.events if isinstance(event, Episode)]


def test_reads_of_one_tag_are_one_episode() -> None:
    gate = Gate(RULES)
    for ms in (1_000, 1_400, 3_900):
        gate.see(ms, "A1")
    gate.tick(6_899)
    assert gate.came == ["A1"]
    assert gate.gone == []
    gate.tick(6_900)
    (episode,) = gate.gone
    assert (episode.tag_id, episode.reads, episode.ended) == ("A1", 3, "lost")
    assert (episode.first.mono_ms, episode.last.mono_ms) == (1_000, 3_900)
    assert gate.view.present == 0


def test_a_tag_that_comes_back_is_another_episode() -> None:
    gate = Gate(RULES)
    gate.see(0, "A1")
    gate.see(3_000, "A1")
    assert gate.came == ["A1", "A1"]
    assert [episode.reads for episode in gate.gone] == [1]


def test_a_glimpse_is_no_tag_where_more_reads_are_asked() -> None:
    gate = Gate(TagRules(reads=2, arrive_ms=500))
    gate.see(0, "A1")
    gate.see(501, "A1")
    assert gate.came == []
    gate.see(900, "A1")
    assert gate.came == ["A1"]
    gate.see(1_000, "B2")
    gate.tick(10_000)
    assert [(e.tag_id, e.reads) for e in gate.gone] == [("A1", 2)]
    assert gate.view.glimpses == 2


def test_reads_under_the_floor_of_their_antenna_do_not_count() -> None:
    gate = Gate(TagRules(floor_dbm=-60, floors={2: -70}))
    gate.see(0, "A1", antenna=1, rssi=-61)
    gate.see(0, "B2", antenna=2, rssi=-70)
    gate.see(0, "C3", antenna=1, rssi=-60)
    gate.see(0, "D4", antenna=1)
    assert gate.came == ["B2", "C3", "D4"]
    assert (gate.view.reads, gate.view.too_weak) == (4, 1)


def test_weak_reads_do_not_keep_a_tag_in_view() -> None:
    gate = Gate(TagRules(floor_dbm=-60, lost_ms=1_000))
    gate.see(0, "A1", rssi=-50)
    gate.see(900, "A1", rssi=-80)
    gate.tick(1_000)
    assert [e.reads for e in gate.gone] == [1]


def test_the_antenna_is_the_one_with_the_highest_mean() -> None:
    gate = Gate(RULES)
    for step, (antenna, rssi) in enumerate([(1, -60), (2, -50), (1, -62), (2, -54), (1, -40)]):
        gate.see(step, "A1", antenna=antenna, rssi=rssi)  # means: -54 and -52
    gate.tick(9_000)
    assert [(e.antenna, e.rssi_dbm, e.reads) for e in gate.gone] == [(2, -50, 5)]


def test_two_antennas_that_hear_a_tag_equally_do_not_take_turns() -> None:
    chance = random.Random(1)
    gate = Gate(TagRules(margin_db=3))
    gate.see(0, "A1", antenna=1, rssi=-55)
    changes = 0
    last = 1
    for ms in range(1, 2_000):
        gate.see(ms, "A1", antenna=1 + ms % 2, rssi=-55 + chance.randint(-4, 4))
        (best,) = [there.best.antenna for there in gate.view._tags.values()]
        changes += best != last
        last = best or 0
    assert changes <= 2  # without the margin some hundred


def test_the_better_antenna_may_be_of_another_reader() -> None:
    gate = Gate(RULES)
    gate.see(0, "A1", antenna=1, rssi=-70)
    gate.see(1, "A1", antenna=1, rssi=-50, device="other")
    gate.tick(9_000)
    assert [(e.device, e.antenna, e.raw) for e in gate.gone] == [("other", 1, b"A1")]


def test_without_rssi_the_antenna_that_reads_more_than_twice_as_often() -> None:
    gate = Gate(RULES)
    for antenna in (1, 2, 2, 2):
        gate.see(0, "A1", antenna=antenna)
    gate.tick(9_000)
    assert [e.antenna for e in gate.gone] == [2]


def test_a_tag_that_stays_begins_another_episode() -> None:
    gate = Gate(TagRules(longest_ms=10_000))
    for ms in range(0, 25_000, 500):
        gate.see(ms, "A1")
    assert [(e.first.mono_ms, e.last.mono_ms, e.ended) for e in gate.gone] == [
        (0, 9_500, "long"),
        (10_000, 19_500, "long"),
    ]
    assert gate.view.present == 1


def test_one_tag_too_many_ends_the_episode_of_the_one_unread_longest() -> None:
    gate = Gate(TagRules(most=3))
    for ms, name in enumerate(["A1", "B2", "C3", "A1", "D4"]):
        gate.see(ms, name)
    assert [(e.tag_id, e.ended) for e in gate.gone] == [("B2", "crowded")]
    assert (gate.view.present, gate.view.crowded) == (3, 1)


def test_the_wall_clock_may_jump() -> None:
    gate = Gate(RULES)
    gate.see(0, "A1")
    leap = Instant(wall_ms=0, mono_ms=1_000, boot="b00t", synced=False)
    assert gate.view.see(tag("A1"), "gate", "llrp", leap) == []
    assert gate.view.present == 1


@given(
    reads=st.lists(
        st.tuples(st.integers(0, 800), st.integers(0, 5), st.integers(1, 3), st.integers(-80, -40)), max_size=120
    ),
    needed=st.integers(1, 3),
    most=st.integers(1, 6),
)
def test_every_read_is_in_one_episode_or_counted(
    reads: list[tuple[int, int, int, int]], needed: int, most: int
) -> None:
    gate = Gate(TagRules(reads=needed, lost_ms=1_000, floor_dbm=-75, most=most, longest_ms=4_000))
    glimpsed = now = 0
    for pause, name, antenna, rssi in reads:
        now += pause
        gate.see(now, f"{name}", antenna=antenna, rssi=rssi)
        assert len(gate.view._tags) <= most
        assert gate.view.present == sum(there.present for there in gate.view._tags.values())
    waiting = [there for there in gate.view._tags.values() if not there.present]
    glimpsed = sum(there.reads for there in waiting)
    gate.events += gate.view.close()
    told = sum(episode.reads for episode in gate.gone)
    assert told + gate.view.too_weak <= gate.view.reads == len(reads)
    if needed == 1:
        assert told + gate.view.too_weak == len(reads)
        assert glimpsed == 0
    assert len(gate.came) == len(gate.gone)
    for episode in gate.gone:
        assert episode.reads >= needed
        assert episode.last.mono_ms - episode.first.mono_ms < 4_000 + 800
    assert gate.view.present == 0


# At stations


def test_a_record_of_an_episode(hall: Hall) -> None:
    place = hall.place("log")
    epc = "30751FEB705C5904E3D50D70"
    for antenna, rssi in ((1, -60), (2, -48), (2, -52)):
        place.see(TagRead(tag_id=epc, kind="epc", raw=b"\x01", antenna=antenna, rssi_dbm=rssi), "gate")
    assert hall.of("tag") == []
    for _ in range(50):
        place.show("0.000")
    (record,) = hall.of("tag")
    assert (record["tag_id"], record["reads"], record["antenna"], record["rssi_dbm"]) == (epc, 3, 2, -48)
    assert record["first"] < record["last"]
    assert (record["device"], record["class"]) == ("gate", "epc")


def test_what_is_in_view_when_the_agent_stops_is_recorded(hall: Hall) -> None:
    place = hall.place("log")
    place.tag("E200")
    station = place.station
    assert isinstance(station, Watching)
    hall.keep(station.close(hall.now()))
    assert [record["tag_id"] for record in hall.of("tag")] == ["E200"]


def test_a_tag_that_stays_in_view_is_not_on_the_next_line(hall: Hall) -> None:
    dock = hall.place("transfer", "dock")
    dock.do("set", direction="in")
    dock.tag("E1")
    first = dock.do("confirm", goods_code="veg", net_mg=1_000_000)[0]
    dock.tag("E1").tag("E2")
    second = dock.do("confirm", goods_code="veg", net_mg=1_000_000)[0]
    assert (first["tags"], second["tags"]) == (["E1"], ["E2"])


def test_a_dock_door_records_its_episodes_too(hall: Hall) -> None:
    dock = hall.place("transfer", "dock", tags=TagRules(lost_ms=1_000))
    dock.tag("E1")
    for _ in range(10):
        dock.show("0.000")
    assert [record["tag_id"] for record in hall.of("tag")] == ["E1"]


def test_weak_reads_from_the_next_door_are_on_no_line(hall: Hall) -> None:
    dock = hall.place("transfer", "dock", tags=TagRules(floor_dbm=-65))
    dock.see(TagRead(tag_id="E9", kind="epc", raw=b"\x01", rssi_dbm=-72), "gate")
    dock.see(TagRead(tag_id="E1", kind="epc", raw=b"\x01", rssi_dbm=-50), "gate")
    dock.do("set", direction="in")
    assert dock.do("confirm", goods_code="veg", net_mg=1_000_000)[0]["tags"] == ["E1"]


# What it costs


def steps(work: Callable[[], object]) -> int:
    """How many lines of Python run: a measure of work that no clock and no other program can change."""
    count = 0

    def trace(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def door(mode: str, tags: int) -> Callable[[Sequence[int]], list[int]]:
    """A station that has so many tags in view; the function returned reads further ones and says what each cost."""
    station = make_station(Settings(id="door", mode=mode, zone=ZONE, rules=CYCLE), Books())
    now = 0

    def read(number: int) -> int:
        nonlocal now
        now += 2  # 500 a second
        seen = TagRead(tag_id=f"{number:024X}", kind="epc", raw=b"\x01" * 44, antenna=1 + number % 4, rssi_dbm=-50)
        observation = Observation(device="gate", driver="llrp", at=at(now), event=seen)
        return steps(lambda: (station.observe(observation), station.view))

    for number in range(tags):
        read(number)
    assert station.view.detail["tags_in_view"] == tags
    return lambda numbers: [read(number) for number in numbers]


@pytest.mark.parametrize("mode", ["log", "transfer"])
def test_a_read_costs_the_same_with_three_hundred_tags_in_view(mode: str) -> None:
    few = door(mode, 30)(range(30))
    many = door(mode, 300)(range(300))
    assert sum(many) / 300 <= 1.1 * sum(few) / 30
    assert max(many) < 300


def test_work_that_grows_with_the_tags_would_be_seen() -> None:
    view = TagsInView(RULES)
    for number in range(300):
        view.see(tag(f"{number:X}"), "gate", "llrp", at(number))
    assert steps(lambda: [there for there in view._tags.values() if there.present]) >= 1
    assert steps(lambda: sum(1 for there in view._tags.values() if there.present)) > 150


def test_a_door_of_three_hundred_tags_at_five_hundred_reads_a_second() -> None:
    """A minute of reads, three in ten missed: one episode a tag, none lost, none doubled."""
    chance = random.Random("door")
    gate = Gate(TagRules(lost_ms=10_000))  # each tag has its turn every 0.6 s and misses three in ten
    sent = now = 0
    while now < 60_000:
        for number in range(300):
            now += 2
            if chance.random() < 0.7:
                gate.see(now, f"{number:024X}", antenna=1 + chance.randrange(4), rssi=-50 + chance.randint(-9, 9))
                sent += 1
    gate.tick(now + 10_000)
    assert len(gate.came) == len(gate.gone) == 300
    assert sum(episode.reads for episode in gate.gone) == sent == gate.view.reads


def test_the_stored_body_is_small() -> None:
    """What a record of an episode takes on the wire, before compression."""
    station = make_station(Settings(id="door", mode="log", zone=ZONE, rules=CYCLE), Books())
    seen = TagRead(tag_id="30751FEB705C5904E3D50D70", kind="epc", raw=b"\x01" * 44, antenna=1, rssi_dbm=-50)
    station.observe(Observation(device="gate", driver="llrp", at=at(0), event=seen))
    assert isinstance(station, Watching)
    (draft,) = station.close(at(10))
    assert len(draft.data) < 1_200
    assert orjson.loads(draft.data)["raw"] == "01" * 44
