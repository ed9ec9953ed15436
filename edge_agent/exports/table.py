"""Records as rows of a table.

Texts that a spreadsheet would take for a formula get an apostrophe in front (OWASP, CSV injection); a code of
many digits gets one too, because spreadsheets turn it into a rounded number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_EVENT: Final = ("sequence", "time", "type", "subject", "id")
_DATA: Final = (
    "device",
    "operator",
    "party",
    "indication",
    "unit",
    "gross_mg",
    "tare_mg",
    "net_mg",
    "text",
    "tag_id",
    "goods_code",
    "goods_name",
    "batch",
    "qty",
    "price_fen",
    "price_per",
    "amount_raw_fen",
    "amount_fen",
    "flags",
    "corrects",
)
COLUMNS: Final = (*_EVENT, *_DATA, "hash")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_LONGEST_EXACT_NUMBER: Final = 15


def row_of(event: Mapping[str, Any]) -> list[str]:
    """The cells of one event, in the order of `COLUMNS`."""
    data = event["data"]
    cells = [event[name] for name in _EVENT] + [data.get(name) for name in _DATA] + [event["hash"]]
    return [_cell(value) for value in cells]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = str(value)
    if isinstance(value, str):
        risky = text.startswith(_FORMULA) and not _is_number(text)
        long_number = text.isdigit() and len(text) > _LONGEST_EXACT_NUMBER
        return f"'{text}" if risky or long_number else text
    return text


def _is_number(text: str) -> bool:
    return text.lstrip("-+").replace(".", "", 1).isdigit()
