"""Ranges against a plain set."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.store import Ranges

NUMBER = st.integers(1, 60)
SPAN = st.tuples(NUMBER, NUMBER).map(lambda pair: (min(pair), max(pair)))
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), SPAN), max_size=30)


def build(steps: list[tuple[str, tuple[int, int]]]) -> tuple[Ranges, set[int]]:
    ranges, model = Ranges(), set[int]()
    for name, (first, last) in steps:
        span = set(range(first, last + 1))
        if name == "add":
            assert ranges.add(first, last) == len(span - model)
            model |= span
        else:
            assert ranges.remove(first, last) == len(span & model)
            model -= span
    return ranges, model


def flat(pairs: object) -> list[int]:
    return [value for first, last in pairs for value in range(first, last + 1)]  # type: ignore[attr-defined]


@given(STEPS)
def test_holds_what_a_set_holds(steps: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, model = build(steps)
    assert flat(ranges) == sorted(model)
    assert ranges.total == len(model)
    assert [value in ranges for value in range(62)] == [value in model for value in range(62)]


@given(STEPS)
def test_ranges_are_disjoint_and_never_touch(steps: list[tuple[str, tuple[int, int]]]) -> None:
    pairs = list(build(steps)[0])
    assert all(first <= last for first, last in pairs)
    assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(pairs))


@given(STEPS, SPAN)
def test_gaps_and_within_divide_a_span(steps: list[tuple[str, tuple[int, int]]], span: tuple[int, int]) -> None:
    ranges, model = build(steps)
    whole = range(span[0], span[1] + 1)
    assert flat(ranges.within(*span)) == [value for value in whole if value in model]
    assert flat(ranges.gaps(*span)) == [value for value in whole if value not in model]


@given(STEPS, NUMBER)
def test_runs(steps: list[tuple[str, tuple[int, int]]], start: int) -> None:
    ranges, model = build(steps)
    end = start - 1
    while end + 1 in model:
        end += 1
    assert ranges.covered_through(start) == end
    assert ranges.next_from(start) == min((value for value in model if value >= start), default=None)


@given(STEPS, SPAN)
def test_touching_names_what_add_would_merge(steps: list[tuple[str, tuple[int, int]]], span: tuple[int, int]) -> None:
    ranges, _ = build(steps)
    touching = ranges.touching(*span)
    before = len(ranges)
    ranges.add(*span)
    assert before - len(touching) + 1 == len(ranges)


def test_a_range_runs_upwards() -> None:
    with pytest.raises(ValueError, match="upwards"):
        Ranges([(2, 1)])
    with pytest.raises(ValueError, match="upwards"):
        Ranges().remove(2, 1)


def test_a_million_in_order_are_one_range() -> None:
    ranges = Ranges()
    for first in range(1, 1_000_000, 1000):
        ranges.add(first, first + 999)
    assert list(ranges) == [(1, 1_000_000)]
    assert ranges == Ranges([(1, 1_000_000)])
