"""The weigh cycle alone: readings in, loads out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.station.weigh_cycle import CycleRules, Load, Phase, WeighCycle, Weight

GRAM = 1_000


def rules(**changes: object) -> CycleRules:
    defaults: dict[str, object] = {
        "min_load": 20 * GRAM,
        "zero_band": 5 * GRAM,
        "stable_ms": 500,
        "stable_band": 2 * GRAM,
        "stable_readings": 2,
        "additions": False,
    }
    return CycleRules(**(defaults | changes))  # type: ignore[arg-type]


class Bench:
    """A cycle that is fed grams, 100 ms apart, and takes every load it can."""

    def __init__(self, *, take: bool = True, **changes: object) -> None:
        self.cycle = WeighCycle(rules(**changes))
        self.take = take
        self.ms = 0
        self.loads: list[Load] = []

    def feed(self, *grams: float | None, stability: str = "stable", condition: str = "ok") -> Bench:
        for value in grams:
            mass = None if value is None else round(value * GRAM)
            self.cycle.weight(Weight(mass_mg=mass, stability=stability, condition=condition), self.ms)  # type: ignore[arg-type]
            self.ms += 100
            if self.take and (load := self.cycle.take()) is not None:
                self.loads.append(load)
        return self

    @property
    def taken(self) -> list[float]:
        return [load.added_mg / GRAM for load in self.loads]


def test_two_equal_weighings_are_two_loads() -> None:
    assert Bench().feed(0, 500, 500, 500, 0, 500, 500, 0).taken == [500, 500]


def test_goods_left_on_the_platter_are_one_load() -> None:
    bench = Bench().feed(0, 500, 500, *[500] * 1_000, 0)
    assert bench.taken == [500]


def test_a_flickering_stable_mark_does_not_make_a_second_load() -> None:
    bench = Bench().feed(0, 500, 500)
    bench.feed(500, 501, stability="moving").feed(500, 500, 500, 0)
    assert bench.taken == [500]


def test_moving_is_never_taken() -> None:
    assert Bench().feed(0).feed(*[500] * 50, stability="moving").taken == []


def test_one_reading_alone_is_not_stable() -> None:
    assert Bench().feed(0, 900, 500, 500, 0).taken == [500]


def test_stability_by_time_when_the_instrument_does_not_tell() -> None:
    bench = Bench().feed(0, *[500] * 5, stability="unknown")
    assert bench.taken == []
    assert bench.feed(500, stability="unknown").taken == [500]


def test_a_swinging_weight_is_not_stable_by_time() -> None:
    assert Bench().feed(0, *[500, 503] * 30, stability="unknown").taken == []


def test_overload_is_a_state_and_no_mass() -> None:
    bench = Bench().feed(0, 500).feed(*[None] * 5, condition="overload")
    assert bench.taken == []
    assert bench.cycle.phase is Phase.LOADING
    assert bench.feed(700, 700, 0).taken == [700]


def test_underload_takes_nothing_and_ends_nothing() -> None:
    bench = Bench().feed(0, 500, 500).feed(None, condition="underload")
    assert bench.cycle.phase is Phase.CAPTURED


def test_loaded_at_start_waits_for_zero() -> None:
    bench = Bench().feed(500, 500, 500)
    assert bench.cycle.phase is Phase.LOADED_AT_START
    assert bench.taken == []
    assert bench.feed(0, 300, 300).taken == [300]


def test_loaded_at_start_can_be_taken_by_hand_once() -> None:
    bench = Bench().feed(500, 500)
    load = bench.cycle.take_by_hand()
    assert load == Load(mass_mg=500 * GRAM, base_mg=0, after_start=True)
    assert bench.cycle.take_by_hand() is None
    assert bench.feed(500, 500).taken == []


def test_taking_by_hand_needs_a_steady_load() -> None:
    bench = Bench().feed(500, 700, stability="moving")
    assert bench.cycle.take_by_hand() is None


def test_less_than_min_load_is_no_load() -> None:
    assert Bench().feed(0, *[19.9] * 20, 0, 20, 20).taken == [20]


def test_a_container_lifted_off_after_tare_ends_the_cycle() -> None:
    assert Bench().feed(0, 500, 500, -80, -80, 400, 400).taken == [500, 400]


def test_goods_added_are_a_load_of_the_difference() -> None:
    assert Bench(additions=True).feed(0, 500, 500, 800, 800, 0).taken == [500, 300]


def test_goods_added_are_ignored_unless_the_rules_say_so() -> None:
    assert Bench(additions=False).feed(0, 500, 500, 800, 800, 0).taken == [500]


def test_goods_added_after_some_were_taken_away() -> None:
    assert Bench(additions=True).feed(0, 500, 500, 200, 200, 450, 450, 0).taken == [500, 250]


def test_goods_taken_away_are_no_load() -> None:
    assert Bench(additions=True).feed(0, 500, 500, 200, 200, 200, 0).taken == [500]


def test_a_load_that_changes_before_it_is_taken_counts_as_it_is_then() -> None:
    bench = Bench(take=False).feed(0, 500, 500)
    assert bench.cycle.load is not None
    bench.feed(600, stability="moving")
    assert bench.cycle.load is None
    bench.feed(600, 600)
    assert bench.cycle.take() == Load(mass_mg=600 * GRAM, base_mg=0)


def test_a_load_that_was_taken_is_captured_before_the_next_frame_comes(stall: Any) -> None:
    """A polled scale may say nothing for seconds: until then no screen may offer to sell the load once more."""
    stall.sell(weight="1.500")
    view = stall.station.view
    assert (view.state, view.weight) == ("captured", "1.500")
    stall.do("goods", code="veg", price_fen=500)
    assert (stall.detail["can_confirm"], stall.detail["why_not"]) == (False, "already-sold")
    assert stall.station.view.state == "captured"
    assert stall.tell("confirm") == "already-sold"
    stall.show("1.500")
    assert stall.station.view.state == "captured"


def test_after_an_interruption_the_captured_load_is_the_same_load() -> None:
    bench = Bench().feed(0, 500, 500)
    bench.cycle.interrupted()
    assert bench.feed(500, 500, 500, 0).taken == [500]


def test_after_an_interruption_a_load_not_yet_taken_is_taken() -> None:
    bench = Bench(take=False).feed(0, 500, 500)
    bench.cycle.interrupted()
    assert bench.cycle.load is None
    bench.take = True
    assert bench.feed(500, 500).taken == [500]


@given(st.lists(st.tuples(st.integers(30, 5_000), st.integers(2, 6)), max_size=12), st.booleans())
def test_every_load_between_two_zeros_is_taken_exactly_once(loads: list[tuple[int, int]], tells: bool) -> None:
    """Whatever the masses, with or without a stability mark: as many loads as were put on, with their masses."""
    bench = Bench().feed(0, 0)
    for grams, readings in loads:
        if tells:
            bench.feed(grams * 0.4, grams * 1.1, stability="moving").feed(*[grams] * readings).feed(0)
        else:
            bench.feed(*[grams] * (readings + 6), stability="unknown").feed(0, 0, stability="unknown")
    assert bench.taken == [grams for grams, _ in loads]


@given(st.lists(st.sampled_from([0, 3, 10, 500, 501, 900, None, -50]), max_size=60), st.data())
def test_whatever_comes_nothing_is_taken_without_two_agreeing_readings(
    values: list[int | None], data: st.DataObject
) -> None:
    """Any stream: a load taken was shown by the last two readings, and lies above the least load."""
    cycle = WeighCycle(rules())
    previous: float | None = None
    for position, value in enumerate(values):
        stability = data.draw(st.sampled_from(["stable", "moving"]))
        condition = "ok" if value is not None else "overload"
        mass = None if value is None else value * GRAM
        cycle.weight(Weight(mass_mg=mass, stability=stability, condition=condition), position * 100)  # type: ignore[arg-type]
        load = cycle.take()
        if load is not None:
            assert mass == load.mass_mg
            assert load.mass_mg >= 20 * GRAM
            assert previous is not None
            assert abs(previous - load.mass_mg) <= 2 * GRAM
        previous = mass if stability == "stable" else None
