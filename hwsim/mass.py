"""Masses as integer milligrams, and their text in the units that the simulated instruments show."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

MILLIGRAMS: Final[dict[str, int]] = {
    "mg": 1,
    "g": 1_000,
    "kg": 1_000_000,
    "t": 1_000_000_000,
    "jin": 500_000,
    "liang": 50_000,
}

_TEXT: Final = re.compile(r"\s*(-?[0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*")


def parse_mass(text: str) -> int:
    """`1.234 kg` as milligrams. Raises ValueError for an unknown unit or a part of a milligram."""
    match = _TEXT.fullmatch(text)
    if match is None or match[2] not in MILLIGRAMS:
        raise ValueError(f"{text!r} is not a mass; write a number and one of {', '.join(MILLIGRAMS)}, e.g. '1.234 kg'")
    milligrams = Decimal(match[1]) * MILLIGRAMS[match[2]]
    if milligrams != int(milligrams):
        raise ValueError(f"{text!r} is finer than a milligram")
    return int(milligrams)


def shown(milligrams: int, unit: str, decimals: int) -> str:
    """The text on a display: sign, digits and `decimals` places; a negative zero shows no sign.

    Raises ValueError where the mass cannot be shown exactly, which a scale's division rules out.
    """
    counts, rest = divmod(abs(milligrams) * 10**decimals, MILLIGRAMS[unit])
    if rest:
        raise ValueError(f"{milligrams} mg is not a whole count of 10^-{decimals} {unit}")
    digits = str(counts).rjust(decimals + 1, "0")
    text = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    return f"-{text}" if milligrams < 0 and counts else text
