"""The checks that parts of GS1 values must pass, by the names used in the table of AIs.

Each takes the text of one part, already of the right length and characters, and gives the words of what is wrong,
or None. What is allowed follows the GS1 General Specifications and the tests of the GS1 Barcode Syntax Dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from edge_agent.codes import check_digits
from edge_agent.codes.dates import century, ymd, yyyymmdd
from edge_agent.codes.iso_lists import COUNTRY_BY_NUMBER, COUNTRY_LETTERS, CURRENCY_BY_NUMBER

_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MEDIA: Final = frozenset(f"{number:02d}" for number in (*range(1, 11), *range(80, 100)))
# Only whether 29 February exists depends on the century, and 2000 was a leap year: any near year will do.
_ANY_YEAR: Final = 2026


def _mod10(text: str) -> str | None:
    digit = check_digits.mod10(text[:-1])
    return None if text[-1] == str(digit) else f"check digit is {text[-1]}, {digit} is right"


def _prefix(text: str) -> str | None:
    if len(text) < 4 or not check_digits.is_digits(text[:4]):
        return "does not begin with a GS1 company prefix"
    return None


def _date(text: str, zero_day: bool = False) -> str | None:
    year, month, day = century(int(text[:2]), _ANY_YEAR), int(text[2:4]), int(text[4:6])
    if ymd(year, month, day) or (zero_day and day == 0 and 1 <= month <= 12):
        return None
    return "there is no such date"


def _date0(text: str) -> str | None:
    return _date(text, zero_day=True)


def _yyyymmdd(text: str) -> str | None:
    return None if yyyymmdd(text) else "there is no such date"


def _time(text: str) -> str | None:
    return None if int(text[:2]) < 24 and int(text[2:]) < 60 else "there is no such time"


def _time_or_none(text: str) -> str | None:
    return None if text == "9999" else _time(text)


def _gmn(text: str) -> str | None:
    if len(text) < 2:
        return "too short for a check character pair"
    pair = check_digits.gmn_pair(text[:-2])
    return None if text[-2:] == pair else f"check characters are {text[-2:]}, {pair} is right"


def _iban(text: str) -> str | None:
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{6,30}", text) or text[:2] not in COUNTRY_LETTERS:
        return "is not an IBAN"
    return None if check_digits.iban_holds(text) else "check digits of the IBAN are wrong"


def _piece(text: str) -> str | None:
    return None if 1 <= int(text[:2]) <= int(text[2:]) else "is no piece of a total"


def _sequence(text: str) -> str | None:
    return None if re.fullmatch(r"[1-9]/[1-9]", text) and text[0] <= text[2] else "is no position in a sequence"


def _base64_padding(text: str) -> str | None:
    body = text.rstrip("=")
    padding = len(text) - len(body)
    return "is no base64url text" if "=" in body or (padding and (padding > 2 or len(text) % 4)) else None


def _one_of(allowed: frozenset[str] | dict[str, str], words: str) -> Callable[[str], str | None]:
    return lambda text: None if text in allowed else words


def _when(condition: Callable[[str], bool], words: str) -> Callable[[str], str | None]:
    return lambda text: words if condition(text) else None


CHECKS: Final[dict[str, Callable[[str], str | None]]] = {
    "mod10": _mod10,
    "prefix": _prefix,
    "date": _date,
    "date0": _date0,
    "yyyymmdd": _yyyymmdd,
    "time": _time,
    "time_or_none": _time_or_none,
    "hour": _when(lambda text: int(text) > 23, "there is no such hour"),
    "sixty": _when(lambda text: int(text) > 59, "there is no such minute or second"),
    "country": _one_of(COUNTRY_BY_NUMBER, "is no ISO 3166 country number"),
    "country999": _one_of({**COUNTRY_BY_NUMBER, "999": ""}, "is no ISO 3166 country number"),
    "letters": _one_of(COUNTRY_LETTERS, "is no ISO 3166 country"),
    "currency": _one_of(CURRENCY_BY_NUMBER, "is no ISO 4217 currency number"),
    "percent": _when(lambda text: bool(_BAD_PERCENT.search(text)), "holds a broken percent escape"),
    "latitude": _when(lambda text: int(text) > 1_800_000_000, "is no latitude"),
    "longitude": _when(lambda text: int(text) > 3_600_000_000, "is no longitude"),
    "flag": _one_of(frozenset("01"), "is neither 0 nor 1"),
    "winding": _one_of(frozenset("019"), "is no winding direction"),
    "sex": _one_of(frozenset("0129"), "is no ISO 5218 code"),
    "media": _one_of(_MEDIA, "is no AIDC media type"),
    "minus": _one_of(frozenset("-"), "is no minus sign"),
    "zero": _one_of(frozenset("0"), "is not 0"),
    "nonzero": _when(lambda text: int(text) == 0, "is zero"),
    "no_leading_zero": _when(lambda text: len(text) > 1 and text[0] == "0", "begins with a zero"),
    "importer": _when(lambda text: not re.fullmatch("[A-Za-z0-9_-]", text), "is no importer index"),
    "letter": _when(check_digits.is_digits, "holds digits only"),
    "gmn": _gmn,
    "iban": _iban,
    "piece": _piece,
    "sequence": _sequence,
    "base64": _base64_padding,
}
