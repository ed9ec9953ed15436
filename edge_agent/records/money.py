"""Prices and amounts in integer fen (分).

A line's amount is mass times price, rounded half-up to the fen as shop scales do it.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final, Literal

PricePer = Literal["kg", "500g", "each"]

_MILLIGRAMS_PER: Final = {"kg": 1_000_000, "500g": 500_000}


def amount_of_mass(net_mg: int, price_fen: int, price_per: Literal["kg", "500g"]) -> int:
    """The amount of a mass at a price, in fen, rounded half-up."""
    per = _MILLIGRAMS_PER[price_per]
    return (2 * net_mg * price_fen + per) // (2 * per)


def fen(text: str) -> int:
    """A decimal text in yuan as fen, rounded half-up. Raises ValueError for what is no number."""
    try:
        value = Decimal(text)
        return int((value * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount in yuan") from None
