"""The list of batches that a trace scale is given, so that the stall can say at the scale what it sells from.

Source: published descriptions of the exchange with trace scales: a text file for each scale, fields with tabs between,
lines ended by CR LF. Two layouts are described, told apart by the file's name:

    jz       M_JZ_NUMBER.txt         a heading, then    intake date 2026-11-23 ⇥ batch ⇥ mass ⇥ goods code ⇥ goods name
    traceno  M_Traceno_NUMBER.txt                       intake date 2026/11/23 ⇥ batch ⇥ mass ⇥ goods code ⇥ goods name

In which unit the mass stands the descriptions do not say; it is a setting.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final, Literal

from edge_agent.station.batches import Account

Layout = Literal["jz", "traceno"]

_NAMES: Final[dict[Layout, str]] = {"jz": "M_JZ_{}.txt", "traceno": "M_Traceno_{}.txt"}
_DATES: Final[dict[Layout, str]] = {"jz": "%Y-%m-%d", "traceno": "%Y/%m/%d"}
_HEADING: Final = "进货日期\t批次号\t重量\t商品编码\t商品名称"
_MOST: Final = 2_000
_PER: Final = {"kg": 1_000_000, "g": 1_000}


def file_name(layout: Layout, scale: str) -> str:
    """The name that a scale looks for."""
    return _NAMES[layout].format(scale)


def batch_list(accounts: Iterable[Account], *, layout: Layout, unit: Literal["kg", "g"], zone: tzinfo) -> str:
    """The list of these batches, the newest 2,000, oldest first."""
    lines = [_HEADING] if layout == "jz" else []
    for account in list(accounts)[-_MOST:]:
        opened = account.opened_ms
        day = "" if opened is None else datetime.fromtimestamp(opened / 1000, zone).strftime(_DATES[layout])
        mass = max(0, account.left_mg) // 1_000 * Decimal(1_000) / _PER[unit]
        words = (day, account.batch, f"{mass:f}", account.goods, account.goods_name or "")
        lines.append("\t".join(word.replace("\t", " ").replace("\r", " ").replace("\n", " ") for word in words))
    return "".join(f"{line}\r\n" for line in lines)
