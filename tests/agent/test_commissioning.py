"""Every mistake of a set-up that would give a wrong weight is caught by comparing with the display."""

from __future__ import annotations

from typing import Any

import pytest

from drivers import bundle
from edge_agent.model import Reading
from edge_agent.workshop.commissioning import STEPS, Shown, compare, passed, skipped

SPECS = {spec.id: spec for spec in bundle().drivers}


def reading(weight: str | None, unit: str | None = None, **more: Any) -> Reading:
    return Reading(weight=weight, unit=unit, raw=b"", **more)


def read(driver: str, data: bytes, **options: Any) -> Reading:
    spec = SPECS[driver]
    codec = spec.make({**({"poll": False} if spec.dialogue.polls else {}), **options})
    outputs = [*codec.feed(data, 0.0), *codec.close(0.0)]
    (found,) = [output for output in outputs if isinstance(output, Reading)]
    return found


def finding(step: Any, found: Reading | None, shown: str, unit: str | None = None, known: int | None = None) -> Any:
    return compare(step, found, Shown.parse(shown), unit=unit, known_mg=known).finding


@pytest.mark.parametrize(
    ("weight", "unit", "shown", "expected"),
    [
        ("1.236", "kg", "1.236 kg", None),
        ("1236", "g", "1.236 kg", None),
        ("1.236", "kg", "1.236公斤", None),
        ("1.236", "kg", "1.236", None),
        ("1.236", "g", "1.236 kg", "unit"),
        ("1.236", "kg", "1.236 斤", "unit"),
        ("12.36", "kg", "1.236 kg", "decimal"),
        ("1236", "kg", "1.236 kg", "decimal"),
        ("12.36", "g", "1.236 kg", "unit, decimal"),
        ("6.321", "kg", "1.236 kg", "reversed"),
        ("63210.00", "kg", "1.236 kg", "reversed"),
        ("-1.236", "kg", "1.236 kg", "sign"),
        ("1.237", "kg", "1.236 kg", "value"),
        ("0.000", "kg", "1.236 kg", "value"),
        ("0.000", "kg", "-0.000 kg", None),
    ],
)
def test_what_differs_is_named(weight: str, unit: str, shown: str, expected: str | None) -> None:
    assert finding("mass", reading(weight, unit), shown) == expected


def test_a_known_mass_tells_the_unit_of_a_display_without_one() -> None:
    assert finding("mass", reading("2.000"), "2.000", unit="kg", known=1_000_000) == "unit"  # it shows 斤
    assert finding("mass", reading("2.000"), "2.000", unit="jin", known=1_000_000) is None
    assert finding("mass", reading("1000"), "1000", unit="kg", known=1_000_000) == "unit"


def test_a_scale_that_is_off_is_told_apart_from_one_that_is_misread() -> None:
    assert finding("mass", reading("1.050", "kg"), "1.050 kg", known=1_000_000) == "scale-off"
    assert finding("mass", reading("1.002", "kg"), "1.002 kg", known=1_000_000) is None


def test_states_are_no_weights() -> None:
    assert finding("overload", reading(None, condition="overload"), "OL") is None
    assert finding("overload", None, "----") is None
    assert finding("overload", reading("15.000", "kg"), "OL") == "not-a-weight"
    assert finding("mass", reading(None, condition="overload"), "1.236 kg") == "no-reading"
    assert finding("mass", None, "1.236 kg") == "no-reading"


def test_a_weight_on_the_display_proves_no_overload() -> None:
    with pytest.raises(ValueError, match="no overload yet"):
        finding("overload", reading("15.000", "kg"), "15.000 kg")


def test_net_on_the_display_and_gross_on_the_line_is_caught() -> None:
    assert finding("tare", reading("0.000", "kg", basis="gross"), "0.000 kg NET") == "basis"
    assert finding("tare", reading("0.000", "kg", basis="net"), "0.000 kg NET") is None


@pytest.mark.parametrize("text", ["1.2.3", "5 wheels", "1,2,3"])
def test_what_is_no_display_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"kg"):
        Shown.parse(text)


def test_mistakes_of_real_set_ups_are_caught() -> None:
    """The wrong driver, setting or unit on the bytes of a real dialect, with 3.250 kg on the platter."""
    reversed_frames = b"=052.3000=052.3000"  # 0003.250 from its end
    assert finding("mass", read("xk3190-eq-reversed", b"=052.3000"), "3.250 kg", unit="kg") is None
    forward = SPECS["xk3190-eq-forward"].make({}).feed(reversed_frames, 0.0)
    (misread,) = [event for event in forward if isinstance(event, Reading)]
    assert finding("mass", misread, "3.250 kg", unit="kg") == "reversed"
    continuous = bytes.fromhex("022b30303332353033")
    check = 0
    for byte in continuous[1:]:
        check ^= byte
    right = read("xk3190-continuous", continuous + b"%02X\x03" % check)
    assert (right.weight, finding("mass", right, "3.250 kg", unit="kg")) == ("3.250", None)
    assert finding("mass", right, "3.250 kg", unit="g") == "unit"
    moved = continuous[:-1] + b"2"
    check = 0
    for byte in moved[1:]:
        check ^= byte
    assert finding("mass", read("xk3190-continuous", moved + b"%02X\x03" % check), "3.250 kg", unit="kg") == "decimal"


def test_a_scale_passes_when_no_step_is_missing_or_bad() -> None:
    weighed = Shown.parse("0.000 kg")
    good = [
        compare("overload", None, Shown.parse("OL"), unit=None)
        if step == "overload"
        else compare(step, reading("0.000", "kg"), weighed, unit=None)
        for step in STEPS
    ]
    assert passed(good)
    assert passed([*good[:2], skipped("tare"), skipped("overload"), good[4]])
    assert not passed(good[:4])
    bad = compare("mass", reading("0.001", "kg"), Shown.parse("0.000 kg"), unit=None)
    assert not passed([good[0], bad, *good[2:]])
    with pytest.raises(ValueError, match="mass"):
        skipped("mass")
