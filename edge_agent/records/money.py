"""Prices and amounts in integer fen (分).

A line's amount is mass times price, rounded half-up to the fen as shop scales do it. Rounding off (抹零) comes
after that and is only ever downward, so that what is paid is never more than the sum of the lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final, Literal

PricePer = Literal["kg", "500g", "each"]

RoundOff = Literal["none", "jiao", "yuan"]
"""To what an amount is rounded off: not at all, to 10 fen (角), to 100 fen (元)."""

_MILLIGRAMS_PER: Final = {"kg": 1_000_000, "500g": 500_000}
_STEP: Final = {"none": 1, "jiao": 10, "yuan": 100}

# A slipped decimal point gives a tenth or a hundredth of the price that was meant, which lies near the catalogue's.
_SLIPS: Final = (10, 100)
_NEAR_PERCENT: Final = 25


@dataclass(frozen=True, slots=True)
class Quote:
    """A price in fen as quoted, and what it is for."""

    price_fen: int
    price_per: PricePer


def amount_of_mass(net_mg: int, price_fen: int, price_per: Literal["kg", "500g"]) -> int:
    """The amount of a mass at a price, in fen, rounded half-up."""
    per = _MILLIGRAMS_PER[price_per]
    return (2 * net_mg * price_fen + per) // (2 * per)


def line_amount(quote: Quote, *, paid_mg: int | None, qty: int) -> int | None:
    """The amount of a line in fen: pieces at a price for each, else mass at its price. None without a mass.

    `paid_mg` is the mass that is paid for: the net mass without deductions.
    """
    if quote.price_per == "each":
        return qty * quote.price_fen
    return None if paid_mg is None else amount_of_mass(paid_mg, quote.price_fen, quote.price_per)


def round_off(amount_fen: int, to: RoundOff) -> int:
    """An amount rounded off (抹零): downward only."""
    return amount_fen - amount_fen % _STEP[to]


def total(lines_fen: Iterable[int], to: RoundOff = "none") -> tuple[int, int]:
    """The sum of the lines, and what is to be paid: the sum rounded off, never more."""
    lines = sum(lines_fen)
    return lines, round_off(lines, to)


def check_rounded(raw_fen: int | None, rounded_fen: int | None) -> None:
    """Raise ValueError where rounding off went upward, or where an amount was rounded off that is not known."""
    if rounded_fen is not None and (raw_fen is None or rounded_fen > raw_fen):
        raise ValueError(f"{rounded_fen} fen is more than {raw_fen} fen: rounding off is only downward")


def price_suspect(quote: Quote, catalogue: Quote) -> bool:
    """Whether a price is about a tenth or a hundredth of the catalogue's, as when a decimal point slipped.

    About: within 25 %, since prices move from day to day. A price for each piece cannot be held against a price by
    mass.
    """
    if (quote.price_per == "each") != (catalogue.price_per == "each"):
        return False
    price, usual = _comparable(quote), _comparable(catalogue)
    return any(abs(price * slip - usual) * 100 <= usual * _NEAR_PERCENT for slip in _SLIPS) and price < usual


def _comparable(quote: Quote) -> int:
    return quote.price_fen * 2 if quote.price_per == "500g" else quote.price_fen


def fen(text: str) -> int:
    """A decimal text in yuan as fen, rounded half-up. Raises ValueError for what is no number."""
    try:
        value = Decimal(text)
        return int((value * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount in yuan") from None
