"""SpanMap against a plain dictionary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.uplink.spans import SpanMap

numbers = st.integers(1, 60)
ranges = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))
steps = st.lists(st.tuples(st.sampled_from(["put", "cut"]), ranges, st.integers(0, 2)), max_size=40)


@given(steps, ranges)
def test_behaves_as_a_dictionary_of_numbers(
    steps: list[tuple[str, tuple[int, int], int]], probe: tuple[int, int]
) -> None:
    spans: SpanMap[int] = SpanMap()
    model: dict[int, int] = {}
    for what, (first, last), value in steps:
        covered = [n for n in range(first, last + 1) if n in model]
        if what == "cut":
            cut = spans.cut(first, last)
            assert {n: v for a, b, v in cut for n in range(a, b + 1)} == {n: model.pop(n) for n in covered}
        elif covered:
            with pytest.raises(ValueError, match="no free range"):
                spans.put(first, last, value)
        else:
            spans.put(first, last, value)
            model.update(dict.fromkeys(range(first, last + 1), value))
        assert {n: v for a, b, v in spans for n in range(a, b + 1)} == model
        assert spans.total == len(model)
        assert bool(spans) == bool(model)
    gaps = [n for a, b in spans.gaps(*probe) for n in range(a, b + 1)]
    assert gaps == [n for n in range(probe[0], probe[1] + 1) if n not in model]


def test_neighbours_with_equal_values_are_one_span() -> None:
    spans: SpanMap[str] = SpanMap()
    spans.put(1, 2, "a")
    spans.put(5, 6, "a")
    spans.put(3, 4, "a")
    spans.put(7, 8, "b")
    assert list(spans) == [(1, 6, "a"), (7, 8, "b")]
    assert spans.clear() == [(1, 6, "a"), (7, 8, "b")]
    assert not spans
