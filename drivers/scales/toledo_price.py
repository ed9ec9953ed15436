"""METTLER TOLEDO retail scales in China: weight, unit price and amount in one line.

Source: captures of a price-computing scale at a Kingtron till. 9600 8N1.

    byte    1    2 … 8      9  10 11   12 … 19     20 … 27     28 29
            STX  __0.012    _  K  G    ____0.00    ____0.00    ␍␊

Weight in seven characters, price and amount in eight each, right-aligned with their points. It does not tell
stability or overload; a line without digits is refused.
"""

from __future__ import annotations

import re

from drivers.framing import Marked
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, scale_driver

_SUM = rb"(?=.{8}%b) *(?P<%b>[0-9]+(?:\.[0-9]+)?)"

DIALECT = Dialect(
    framing=Marked(start=b"\x02", end=b"\r\n", limit=32),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=.{26}\Z)%b(?=.{19}\Z) (?P<unit>KG|kg|LB|lb)" % SIGNED
                + _SUM % (rb".{8}\Z", b"price")
                + _SUM % (rb"\Z", b"amount")
            )
        ),
    ),
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="toledo-price",
    title="METTLER TOLEDO retail, weight, price and amount",
    models=("METTLER TOLEDO price-computing scales (China)",),
    source="captures of a price-computing scale",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
