"""Whatever a page or a program sends: a record that is what its schema says, or a refusal; never an exception."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.model import Instant
from edge_agent.station import MODES

NAMES = [
    *("code", "name", "batch", "goods_code", "goods_name", "net_mg", "qty", "price_fen", "price_per", "amount_fen"),
    *("direction", "plate_no", "tags", "lines", "ticket", "pay_method", "total_fen", "sale", "reason", "goods_go"),
    *("items", "result", "kind", "check_no", "inspection", "stop_sale", "until", "lot", "cause", "party", "supplier"),
    *("vouchers", "type", "no", "issued", "url", "attachment", "country", "entry_day", "intake", "intakes", "decision"),
    *(
        "batches",
        "weigh",
        "crate",
        "count",
        "mass_mg",
        "permille",
        "sensor",
        "temperature_milli_c",
        "door",
        "origin_code",
    ),
    *("certificate", "no_certificate", "loss_mg", "process", "inspected_until", "limit_mg", "medium", "project"),
]
WORDS = ["", " ", "veg", "in", "out", "fail", "pass", "each", "kg", "1", "B", "2026-11-23", "\ud800", "x" * 600, "冷"]
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=6,
)
sane = st.fixed_dictionaries(
    {},
    optional={
        "code": st.just("veg"),
        "goods_code": st.just("veg"),
        "net_mg": st.integers(0, 10**9),
        "direction": st.sampled_from(["in", "out"]),
        "result": st.sampled_from(["pass", "fail"]),
        "batch": st.just("B"),
        "reason": st.just("x"),
        "kind": st.just("quick"),
        "inspected_until": st.just("2099-01-01"),
    },
)
arguments = st.builds(lambda a, b: a | b, sane, st.dictionaries(st.sampled_from(NAMES), values, max_size=4))


def moments() -> Any:
    ticks = itertools.count()
    return lambda: Instant(wall_ms=1_795_400_000_000 + next(ticks), mono_ms=next(ticks), boot="b", synced=True)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_command_of_any_mode_can_break_a_station(hall: Any, data: st.DataObject) -> None:
    fresh = type(hall)(moments())
    for mode in sorted(MODES):
        place = fresh.place(mode)
        for name in sorted(getattr(place.station, "_actions", {"capture": None})):
            if data.draw(st.booleans()):
                place.load("1.500")
            place.tell(name, **data.draw(arguments))
            assert place.station.view.mode == mode
