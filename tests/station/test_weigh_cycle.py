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


def test_a_bad_frame_within_the_band_is_neither_taken_nor_moves_what_is() -> None:
    for bad in (499, 501, 502, 500.1):
        for place in range(3):
            readings: list[float] = [500, 500]
            readings.insert(place, bad)
            assert Bench().feed(0, *readings).taken == [500], readings


def test_a_bad_frame_does_not_take_a_load_back_that_could_be_taken() -> None:
    bench = Bench(take=False).feed(0, 500, 500, 501)
    assert bench.cycle.phase is Phase.STABLE
    assert bench.cycle.take() == Load(mass_mg=500 * GRAM, base_mg=0)


def test_a_load_that_is_put_right_by_less_than_the_band_counts_as_shown_then() -> None:
    bench = Bench(take=False).feed(0, *[500] * 50, 501, 501)
    assert bench.cycle.take() == Load(mass_mg=501 * GRAM, base_mg=0)


def test_a_last_digit_that_flickers_is_taken_with_the_third_reading() -> None:
    for readings in ((500, 500.1, 500), (500, 500.1, 500.1)):
        bench = Bench(take=False).feed(0, *readings[:2])
        assert bench.cycle.load is None
        bench.feed(readings[2])
        assert bench.cycle.take() == Load(mass_mg=round(readings[2] * GRAM), base_mg=0)


def test_a_scale_too_fine_to_repeat_itself_is_taken_after_the_time_of_rest() -> None:
    fine = [500.003, 500.011, 500.007, 500.014, 500.001, 500.009]
    for stability in ("stable", "unknown"):
        bench = Bench().feed(0).feed(*fine[:5], stability=stability)
        assert bench.taken == []
        bench.feed(fine[5], stability=stability)
        assert bench.taken == [500.009]  # the middle one of the last three


def test_a_fine_scale_that_is_asked_once_a_second_is_taken_with_its_third_reading() -> None:
    cycle = WeighCycle(rules())
    for second, grams in enumerate((0, 0, 500.003, 500.011, 500.007)):
        assert cycle.load is None
        cycle.weight(Weight(mass_mg=round(grams * GRAM), stability="stable", condition="ok"), second * 1_000)
    assert cycle.take() == Load(mass_mg=500_007, base_mg=0)


def test_with_one_reading_wanted_the_first_stable_one_is_taken() -> None:
    assert Bench(stable_readings=1).feed(0, 500, 0).taken == [500]


def test_more_readings_wanted_outvote_more_bad_frames() -> None:
    assert Bench(stable_readings=3).feed(0, 501, 500, 501, 500, 500, 0).taken == [500]
    assert Bench(stable_readings=3).feed(0, 500, 500, 0).taken == []


def test_an_empty_platter_may_have_to_be_shown_more_than_once() -> None:
    """One damaged frame that says 0.000 makes a second weighing of one, unless that is asked for."""
    readings = (0, 0, 500, 500, 0, 500, 500, 0, 0, 500, 500)
    assert Bench().feed(*readings).taken == [500, 500, 500]
    assert Bench(empty_readings=2).feed(*readings).taken == [500, 500]


def test_a_load_is_never_taken_with_the_mass_of_the_empty_platter() -> None:
    """A band wider than the least load lets zero and load into one run."""
    bench = Bench(stable_band=50 * GRAM).feed(0, 0, 30)
    assert bench.taken == []
    assert bench.feed(30, 30).taken == [30]


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


@given(st.lists(st.sampled_from([0, 3, 10, 500, 501, 500.5, 900, None, -50]), max_size=60), st.data())
def test_whatever_comes_nothing_is_taken_that_was_not_shown_twice_in_three_readings(
    values: list[float | None], data: st.DataObject
) -> None:
    """Any stream: a load taken was shown by two of the last three readings, and lies above the least load.

    Where no reading repeats for a time, it is the middle one of three that lie within the band.
    """
    cycle = WeighCycle(rules())
    last: list[float] = []
    for position, value in enumerate(values):
        stability = data.draw(st.sampled_from(["stable", "moving"]))
        condition = "ok" if value is not None else "overload"
        mass = None if value is None else round(value * GRAM)
        cycle.weight(Weight(mass_mg=mass, stability=stability, condition=condition), position * 100)  # type: ignore[arg-type]
        load = cycle.take()
        last = [*last[-2:], mass] if mass is not None and stability == "stable" else []
        if load is not None:
            assert load.mass_mg >= 20 * GRAM
            assert last.count(load.mass_mg) >= 2 or (
                sorted(last)[1] == load.mass_mg and max(last) - min(last) <= 2 * GRAM
            )


@given(
    st.integers(30, 5_000),
    st.integers(2, 12),
    st.integers(-2 * GRAM, 2 * GRAM).filter(bool),
    st.data(),
    st.sampled_from(["stable", "unknown"]),
)
def test_one_bad_frame_anywhere_changes_no_weighing(
    grams: int, readings: int, off_mg: int, data: st.DataObject, stability: str
) -> None:
    """A scale at rest, one frame that is off by up to the band, at any place: the load is as it is."""
    shown = [float(grams)] * (readings + 5)
    shown.insert(data.draw(st.integers(0, len(shown))), grams + off_mg / GRAM)
    assert Bench().feed(0).feed(*shown, stability=stability).taken == [grams]
