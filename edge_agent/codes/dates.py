"""Dates inside codes. The current year enters as data; nothing here reads a clock."""

from __future__ import annotations

from calendar import monthrange
from typing import Final

_LONGEST_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def century(two_digits: int, this_year: int) -> int:
    """The full year of a two-digit one: within 49 years back and 50 years ahead of `this_year`
    (GS1 General Specifications, determination of century in dates)."""
    year = this_year - this_year % 100 + two_digits
    gap = year - this_year
    if gap > 50:
        return year - 100
    return year + 100 if gap < -49 else year


def ymd(year: int, month: int, day: int) -> bool:
    """Whether the three make a day of the calendar; years 1 to 9999."""
    return 1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def yyyymmdd(digits: str) -> bool:
    """Whether eight digits are a day."""
    return ymd(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))


def month_day(month: int, day: int) -> bool:
    """Whether month and day exist in some year."""
    return 1 <= month <= 12 and 1 <= day <= _LONGEST_MONTH[month - 1]


def iso_date(yymmdd: str, this_year: int, *, day_may_be_zero: bool) -> str | None:
    """The ISO date of six digits YYMMDD, or None if there is no such day.

    Day 00 stands for the whole month and gives its last day, where it is allowed.
    """
    year, month, day = century(int(yymmdd[:2]), this_year), int(yymmdd[2:4]), int(yymmdd[4:6])
    if not 1 <= month <= 12:
        return None
    last = monthrange(year, month)[1]
    if day == 0 and day_may_be_zero:
        day = last
    return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= day <= last else None
