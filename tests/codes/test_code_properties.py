"""Check digits, round trips and tables, by property."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.codes import classify, digital_link, gs1, gtin
from edge_agent.codes.bits import Bits, NotDecodable
from edge_agent.codes.check_digits import (
    gmn_pair,
    iban_holds,
    luhn_holds,
    mod10,
    mod10_holds,
    mod11_10,
    price_verifier,
    resident_character,
    uscc_character,
)
from edge_agent.codes.dates import century, iso_date
from edge_agent.codes.gs1_ai import AI_LENGTH, AIS, value_pattern
from edge_agent.codes.gs1_checks import CHECKS

DIGITS = st.text("0123456789", min_size=1, max_size=40)
CSET82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


@given(DIGITS, st.data())
def test_gs1_check_digit_finds_every_changed_digit(body: str, data: st.DataObject) -> None:
    full = body + str(mod10(body))
    assert mod10_holds(full)
    place = data.draw(st.integers(0, len(full) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != full[place]]))
    assert not mod10_holds(full[:place] + other + full[place + 1 :])


@given(st.text("0123456789", min_size=13, max_size=13), st.data())
def test_mod11_10_finds_every_changed_digit(body: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 12))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != body[place]]))
    assert mod11_10(body) != mod11_10(body[:place] + other + body[place + 1 :])


def test_known_check_characters() -> None:
    assert uscc_character("91350100M000100Y4") == "3"
    assert uscc_character("91350100I000100Y4") is None
    assert resident_character("11010519491231002") == "X"
    assert gmn_pair("1987654Ad4X4bL5ttr2310c") == "2K"
    assert (price_verifier("2875"), price_verifier("14685")) == (9, 6)
    assert iban_holds("GB82WEST12345698765432")
    assert not iban_holds("GB82WEST12345698765433")
    assert luhn_holds("4111111111111111")
    assert (mod10("37610425002123456"), mod10("950110153100"), mod10("978820551237")) == (9, 0, 5)
    with pytest.raises(ValueError, match="4 or 5"):
        price_verifier("123")


@pytest.mark.parametrize(
    ("digits", "this_year", "year"),
    [(99, 2026, 1999), (76, 2026, 2076), (77, 2026, 1977), (26, 2026, 2026), (0, 2099, 2100), (50, 2099, 2050)],
)
def test_two_digit_years_lie_within_fifty(digits: int, this_year: int, year: int) -> None:
    assert century(digits, this_year) == year


def test_day_zero_is_the_last_of_the_month_where_allowed() -> None:
    assert iso_date("240200", 2026, day_may_be_zero=True) == "2024-02-29"
    assert iso_date("240200", 2026, day_may_be_zero=False) is None
    assert iso_date("230229", 2026, day_may_be_zero=True) is None


def test_the_table_of_ais_is_consistent() -> None:
    assert all(check in CHECKS for ai in AIS.values() for part in ai.parts for check in part.checks)
    assert all(len(code) == AI_LENGTH[code[:2]] for code in AIS)
    assert all(ai.separated or ai.shortest == ai.longest for ai in AIS.values())
    assert {code for code, ai in AIS.items() if ai.paths} == set(
        "00 01 253 255 401 402 414 415 417 8003 8004 8006 8010 8013 8017 8018".split()  # noqa: SIM905
    )
    for ai in AIS.values():
        named = {one for need in ai.needs for group in need for one in group} | set(ai.excludes)
        assert all("n" in one or one in AIS for one in named), ai.code
        value_pattern(ai.code)


@st.composite
def _messages(draw: st.DrawFn) -> list[tuple[str, str]]:
    codes = draw(
        st.lists(st.sampled_from(["10", "21", "240", "91", "400", "3103", "37", "20"]), unique=True, max_size=5)
    )
    elements = [("01", (body := draw(st.text("0123456789", min_size=13, max_size=13))) + str(mod10(body)))]
    for code in codes:
        if code in {"3103", "37", "20"}:
            size = {"3103": 6, "37": 5, "20": 2}[code]
            elements.append((code, draw(st.text("0123456789", min_size=size, max_size=size))))
        else:
            elements.append((code, draw(st.text(CSET82, min_size=1, max_size=20))))
    return elements


@given(_messages())
def test_element_strings_survive_every_form(elements: list[tuple[str, str]]) -> None:
    message = gs1.from_elements(elements)
    again = gs1.parse(gs1.element_string(message))
    assert [(one.code, one.value) for one in again.elements] == elements
    if not any("\\" in value for _, value in elements):
        brackets = gs1.parse_bracketed(gs1.bracketed(message))
        assert brackets is not None
        assert [(one.code, one.value) for one in brackets.elements] == elements


@given(_messages())
def test_digital_links_survive_building_and_parsing(elements: list[tuple[str, str]]) -> None:
    link = digital_link.build(gs1.from_elements(elements))
    assert link is not None
    parsed = digital_link.parse(link).message
    assert {(one.code, one.value) for one in parsed.elements} == set(elements)


@given(st.sampled_from([8, 12, 13, 14]), st.data())
def test_gtins_are_known_by_their_check_digit(length: int, data: st.DataObject) -> None:
    body = data.draw(st.text("0123456789", min_size=length - 1, max_size=length - 1))
    finding = gtin.gtin(body + str(mod10(body)))
    assert finding.valid is True
    assert finding.fields["gtin"].endswith(body + str(mod10(body)))


@given(st.text("01", min_size=1, max_size=1), st.text("0123456789", min_size=6, max_size=6))
def test_upc_e_expands_to_a_gtin_12_with_the_same_check_digit(system: str, body: str) -> None:
    full = gtin.expand_upc_e(system + body)
    assert full is not None
    assert len(full) == 12
    assert mod10_holds(full)
    assert gtin.expand_upc_e(system + body + full[-1]) == full
    assert gtin.expand_upc_e(system + body + str((int(full[-1]) + 1) % 10)) is None


def test_sgtin_96_round_trip_over_all_partitions() -> None:
    """Bits packed here by hand from the table of TDS, read back by the decoder."""
    from edge_agent.codes import classify_epc

    for partition, (width, length) in enumerate(((40, 12), (37, 11), (34, 10), (30, 9), (27, 8), (24, 7), (20, 6))):
        company, item = "9" * length, "8" * (13 - length)
        value = 0x30
        for number, bits in ((1, 3), (partition, 3), (int(company), width), (int(item), 44 - width), (7, 38)):
            value = value << bits | number
        found = classify_epc(f"{value:024X}")
        assert found.fields["uri"] == f"urn:epc:id:sgtin:{company}.{item}.7"
        assert mod10_holds(found.fields["gtin"])


@given(st.integers(0, 2**96 - 1), st.lists(st.integers(1, 20), max_size=6))
def test_bits_come_in_order_and_never_behind_the_end(value: int, widths: list[int]) -> None:
    bits, text = Bits(value, 96), f"{value:096b}"
    at = 0
    for width in widths:
        if at + width > 96:
            with pytest.raises(NotDecodable):
                bits.number(width)
            return
        assert bits.number(width) == int(text[at : at + width], 2)
        at += width
    assert bits.rest_is_set() == ("1" in text[at:])


@settings(max_examples=50)
@given(st.text(CSET82, min_size=1, max_size=12), st.integers(2020, 2035), st.integers(1, 12), st.integers(1, 28))
def test_a_date_swallowed_by_a_lot_is_seen(lot: str, year: int, month: int, day: int) -> None:
    date = f"{year % 100:02d}{month:02d}{day:02d}"
    whole = classify(f"]C10106901234567892\x1d10{lot}\x1d17{date}")
    lost = classify(f"]C1010690123456789210{lot}17{date}")
    assert whole.fields["17"] == date
    assert not whole.has("wedge_suspect") or gs1.split_swallowed(lot) is not None
    assert lost.has("wedge_suspect")
