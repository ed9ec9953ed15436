"""GTINs of 8, 12, 13 and 14 digits, SSCCs, and the expansion of UPC-E (GS1 General Specifications)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge_agent.codes.check_digits import is_digits, mod10, mod10_holds
from edge_agent.codes.values import CodeClass, Finding, Problem

GTIN_LENGTHS: Final[frozenset[int]] = frozenset({8, 12, 13, 14})

UPC_E_NOTE: Final = "UPC-E must be announced: its digits look like a GTIN-8 or a bare number"


def gtin(digits: str) -> Finding:
    """What digits of one of the GTIN lengths are, taken as a GTIN.

    Fields: `gtin` (always 14 digits), `format`, `prefix` (the three digits GS1 assigns to its members), and
    `restricted` where the prefix is one for use inside a company or region.
    """
    padded = digits.zfill(14)
    fields = {"gtin": padded, "format": _format(padded), "written_as": f"GTIN-{len(digits)}"}
    if fields["format"] == "GTIN-8":
        fields["prefix"] = padded[6:9]
    else:
        fields["prefix"] = padded[1:4]
        if padded[1] == "2" or padded[1:3] in {"02", "04"}:
            fields["restricted"] = "true"
    return _checked("gtin", digits, fields)


def sscc(digits: str) -> Finding:
    """What 18 digits are, taken as a serial shipping container code."""
    return _checked("sscc", digits, {"00": digits, "sscc": digits})


def expand_upc_e(digits: str) -> str | None:
    """The GTIN-12 of a UPC-E code of 6 (no number system, no check digit), 7 or 8 digits; None if it has none.

    Only number systems 0 and 1 exist, and the check digit must be right where it is given.
    """
    if not is_digits(digits) or len(digits) not in {6, 7, 8}:
        return None
    system, body = ("0", digits) if len(digits) == 6 else (digits[0], digits[1:7])
    if system not in "01":
        return None
    last = body[5]
    if last in "012":
        company = body[:2] + last + "0000" + body[2:5]
    elif last == "3":
        company = body[:3] + "00000" + body[3:5]
    elif last == "4":
        company = body[:4] + "00000" + body[4]
    else:
        company = body[:5] + "0000" + last
    full = system + company
    check = str(mod10(full))
    return full + check if len(digits) < 8 or digits[7] == check else None


def upc_e(digits: str) -> Finding | None:
    """What digits are, taken as UPC-E; None if they cannot be one."""
    full = expand_upc_e(digits)
    if full is None:
        return None
    fields = {**gtin(full).fields, "written_as": "UPC-E"}
    return Finding(code_class="gtin", valid=True, fields=fields)


def _format(padded: str) -> str:
    """The shortest GTIN the 14 digits stand for; leading zeros are filling, but a GTIN-8 has none in a GTIN-12."""
    if padded[:6] == "000000":
        return "GTIN-8"
    if padded[:2] == "00":
        return "GTIN-12"
    return "GTIN-13" if padded[0] == "0" else "GTIN-14"


def _checked(code_class: CodeClass, digits: str, fields: Mapping[str, str]) -> Finding:
    if mod10_holds(digits):
        return Finding(code_class=code_class, valid=True, fields=fields)
    words = f"check digit is {digits[-1]}, {mod10(digits[:-1])} is right"
    return Finding(code_class=code_class, valid=False, fields=fields, problems=(Problem("check-digit", words),))
