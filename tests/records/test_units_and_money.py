"""Property tests of units, rounding and money: exact where they are exact, and never a fen too much to pay."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records.bodies import Sale, Settlement
from edge_agent.records.money import Quote, amount_of_mass, check_rounded, line_amount, price_suspect, round_off, total
from edge_agent.units import MILLIGRAMS, to_milligrams

EXACT = {"t": 9, "kg": 6, "g": 3, "mg": 0, "jin": 5, "liang": 4}
"""How many decimals of each unit are whole milligrams."""
PER = {"kg": 1_000_000, "500g": 500_000}
CLOCK: Any = {"synced": True, "boot": "b", "mono_ms": 1}


def shown(number: int, decimals: int) -> str:
    return format(Decimal(number).scaleb(-decimals), "f")


@given(st.sampled_from(sorted(EXACT)), st.integers(-(10**12), 10**12), st.data())
def test_metric_and_chinese_units_are_exact_and_the_displayed_text_comes_back(
    unit: str, number: int, data: st.DataObject
) -> None:
    decimals = data.draw(st.integers(0, min(EXACT[unit], 6)))
    text = shown(number, decimals)
    mass = to_milligrams(text, unit)
    assert mass is not None
    assert Fraction(mass) == Fraction(text) * Fraction(MILLIGRAMS[unit])
    assert format((Decimal(mass) / MILLIGRAMS[unit]).quantize(Decimal(1).scaleb(-decimals)), "f") == text


@given(st.sampled_from(["lb", "oz", "gr", "GN", "ct"]), st.integers(-(10**9), 10**9), st.integers(0, 4))
def test_other_units_are_rounded_half_even_and_the_displayed_text_comes_back_where_it_can(
    unit: str, number: int, decimals: int
) -> None:
    text = shown(number, decimals)
    mass = to_milligrams(text, unit)
    assert mass is not None
    whole = Fraction(text) * Fraction(MILLIGRAMS[unit])
    assert mass == round(whole)  # Python rounds fractions half to even
    step = MILLIGRAMS[unit].scaleb(-decimals)
    if step > 1:  # a display step is more than the milligram that rounding may cost
        again = (Decimal(mass) / MILLIGRAMS[unit]).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
        assert again == Decimal(text)


@given(st.integers(0, 500), st.integers(0, 159))
def test_pounds_and_ounces_are_their_sum(pounds: int, tenths: int) -> None:
    ounces = shown(tenths, 1)
    whole = pounds * Fraction(MILLIGRAMS["lb"]) + Fraction(ounces) * Fraction(MILLIGRAMS["oz"])
    assert to_milligrams(f"{pounds}:{ounces}", "lb:oz") == round(whole)
    assert to_milligrams(f"-{pounds}:{ounces}", "lb:oz") == -round(whole)


@given(st.integers(0, 10**11), st.integers(0, 10**8), st.sampled_from(sorted(PER)))
def test_a_lines_amount_is_half_up_to_the_fen(mass: int, price: int, per: Any) -> None:
    exact = Decimal(mass) * price / PER[per]
    assert amount_of_mass(mass, price, per) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    assert line_amount(Quote(price, per), paid_mg=mass, qty=1) == amount_of_mass(mass, price, per)


@given(st.integers(0, 1_000), st.integers(0, 10**8))
def test_pieces_cost_their_number_times_the_price(qty: int, price: int) -> None:
    assert line_amount(Quote(price, "each"), paid_mg=None, qty=qty) == qty * price


@given(st.lists(st.integers(0, 10**9), max_size=50), st.sampled_from(["none", "jiao", "yuan"]))
def test_what_is_paid_is_never_above_the_sum_of_the_lines(lines: list[int], to: Any) -> None:
    whole, due = total(lines, to)
    assert whole == sum(lines)
    assert 0 <= whole - due < {"none": 1, "jiao": 10, "yuan": 100}[to]
    assert due % {"none": 1, "jiao": 10, "yuan": 100}[to] == 0
    assert all(round_off(line, to) <= line for line in lines)


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_no_body_can_hold_more_than_its_lines(amount: int, more: int) -> None:
    with pytest.raises(ValueError, match="only downward"):
        check_rounded(amount, amount + more)
    with pytest.raises(ValueError, match="only downward"):
        Sale(clock=CLOCK, amount_raw_fen=amount, amount_fen=amount + more, amount_source="agent")
    with pytest.raises(ValueError, match="only downward"):
        Settlement(clock=CLOCK, lines=(), lines_fen=amount, total_fen=amount + more, pay_method="cash")
    assert Sale(clock=CLOCK, amount_raw_fen=amount, amount_fen=amount, amount_source="agent").amount_fen == amount


@given(st.integers(100, 10**7), st.sampled_from([10, 100]), st.sampled_from(["kg", "500g"]))
def test_a_slipped_decimal_point_is_seen_and_an_ordinary_price_is_not(usual: int, slip: int, per: Any) -> None:
    quote = Quote(usual, per)
    if usual // slip:
        assert price_suspect(Quote(usual // slip, per), quote) or usual % slip  # rounding may lead too far from it
        assert price_suspect(Quote(usual, per), Quote(usual * slip, per))
    assert not price_suspect(quote, quote)
    assert not price_suspect(Quote(usual * 9 // 10, per), quote)
    assert not price_suspect(Quote(usual, "each"), quote)
