"""The width of frames as a line shows it: what is not of it has lost a byte, unless it stays so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from edge_agent.model import Reading, Stability
from edge_agent.supervisor.widths import Widths

Form = Callable[[str], bytes]


def padded(text: str) -> bytes:
    return f"ST,GS,+{text:>7}kg\r\n".encode()


def bare(text: str) -> bytes:
    return f"{text}kg\r\n".encode()


def reading(text: str, raw: bytes, stability: Stability = "stable") -> Reading:
    return Reading(weight=text, raw=raw, unit="kg", stability=stability)


def shown(widths: Widths, texts: Iterable[str], form: Form = padded) -> list[bool]:
    return [widths.fits(reading(text, form(text))) for text in texts]


@pytest.fixture
def learned() -> Widths:
    widths = Widths()
    assert all(shown(widths, ["0.000"] * 20 + ["12.340"] * 20))
    return widths


def test_a_frame_that_lost_a_digit_is_refused_where_frames_are_padded(learned: Widths) -> None:
    raw = padded("12.340")
    for lost, said in ((8, "2.340"), (9, "1.340"), (10, "12340"), (11, "12.40")):
        assert not learned.fits(reading(said, raw[:lost] + raw[lost + 1 :]))
    assert shown(learned, ["1.340", "12.345", "0.000"]) == [True, True, True]


def test_before_the_line_has_shown_it_nothing_is_refused() -> None:
    widths = Widths()
    assert all(shown(widths, ["12.340"] * 500))  # one number of digits proves nothing
    assert widths.fits(reading("1.340", padded("12.340")[1:]))


def test_a_line_that_pads_nothing_is_never_held_to_a_width() -> None:
    """Every weight, in any order, with bytes lost at the ends, with points lost."""
    widths = Widths()
    for round_ in range(40):
        for text in ("0.000", "9.995", "10.000", "12.340", "100.000"):
            assert all(shown(widths, [text] * 7, bare))
            short = bare(text)[:-1]
            assert widths.fits(reading(text, short))
            assert widths.fits(reading(text.replace(".", ""), bare(text.replace(".", "")))), round_


def test_a_width_that_stays_is_the_width_now(learned: Widths) -> None:
    """Somebody has set another format: after eight frames it counts, and is learned anew."""
    assert shown(learned, ["12.340"] * 12, bare) == [False] * 7 + [True] * 5
    assert shown(learned, ["0.000", "12.340"]) == [True, True]


def test_damaged_frames_between_whole_ones_never_become_the_width(learned: Widths) -> None:
    for _ in range(100):
        assert not learned.fits(reading("1.340", padded("12.340")[:-1]))
        assert shown(learned, ["12.340"]) == [True]


def test_frames_of_another_kind_have_a_width_of_their_own(learned: Widths) -> None:
    """`S` and `SD`, with and without a minus before the digits."""
    moving = reading("12.340", b"SD" + padded("12.340"), stability="moving")
    assert all(learned.fits(moving) for _ in range(50))
    assert learned.fits(reading("-1.000", b"-" + padded("1.000")))
    assert learned.fits(Reading(weight=None, condition="overload", raw=b"OL\r\n"))


def test_kilograms_that_lost_their_k_are_no_grams(learned: Widths) -> None:
    raw = padded("1.770")
    grams = Reading(weight="1.770", raw=raw.replace(b"kg", b"g"), unit="g", stability="stable")
    assert not learned.fits(grams)
    assert learned.fits(Reading(weight="1770", raw=raw.replace(b"1.770kg", b"  1770g"), unit="g", stability="stable"))
    assert [learned.fits(grams) for _ in range(8)] == [False] * 7 + [True]  # somebody has switched the unit


def test_what_it_keeps_is_bounded() -> None:
    widths = Widths()
    for number in range(5_000):
        text = "1" * (1 + number % 40) + "." + "5" * (number % 37)
        basis: Any = f"u{number % 90}"  # more of them than there are, as a broken driver might tell
        widths.fits(Reading(weight=text, raw=bytes(number), basis=basis, stability="stable"))
    assert len(widths._kinds) <= 16
    assert all(
        len(kind.shown) <= 8 and all(len(w) <= 8 for w in kind.shown.values()) for kind in widths._kinds.values()
    )
