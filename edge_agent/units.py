"""Mass units to integer milligrams.

kg, g, mg, t, ct, jin (斤, 500 g) and liang (两, 50 g) are exact. The avoirdupois units are exact by
definition (international pound, 1959: 0.45359237 kg) and rounded half-even to the milligram.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

MILLIGRAMS: Final[dict[str, Decimal]] = {
    "t": Decimal(1_000_000_000),
    "kg": Decimal(1_000_000),
    "g": Decimal(1_000),
    "mg": Decimal(1),
    "ct": Decimal(200),
    "jin": Decimal(500_000),
    "liang": Decimal(50_000),
    "lb": Decimal("453592.37"),
    "oz": Decimal("28349.523125"),
    "gr": Decimal("64.79891"),
    "GN": Decimal("64.79891"),
}

_COUNTS: Final = frozenset({"pcs", "%"})


def to_milligrams(indication: str, unit: str) -> int | None:
    """The mass of a displayed text in milligrams, rounded half-even; None for pieces and percent.

    Raises ValueError for a text that is not a decimal number or a unit that is not known.
    """
    if unit in _COUNTS:
        return None
    if unit == "lb:oz":
        pounds, colon, ounces = indication.lstrip("-").partition(":")
        if not colon:
            raise ValueError(f"{indication!r} is not pounds:ounces")
        mass = _decimal(pounds) * MILLIGRAMS["lb"] + _decimal(ounces) * MILLIGRAMS["oz"]
        mass = -mass if indication.startswith("-") else mass
    else:
        try:
            mass = _decimal(indication) * MILLIGRAMS[unit]
        except KeyError:
            raise ValueError(f"unit {unit!r} is not known") from None
    return int(mass.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a decimal number")
    return number
