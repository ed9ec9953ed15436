"""METTLER TOLEDO MS-TS balances, printed line.

Source: captures of an MS204TS. 9600 8N1, sent when the print key is pressed.

    column  0         1         2
            012345678901234567890123
                 N       0.3749 g   ␍␊

    5       N net, G gross, T tare        6-18    weight, right-aligned        20-23   unit, left-aligned

All 24 columns are always there. It does not tell stability; the balance prints when stable. G and T were not seen.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=64),
    forms=(
        Form(
            pattern=re.compile(rb"(?=.{24}\Z) {5}(?P<basis>[NGT]) %b(?=.{5}\Z) (?P<unit>[A-Za-z%%]{1,4}) *" % SIGNED),
            whole=True,
        ),
    ),
    basis={"N": "net", "G": "gross", "T": "tare"},
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="mt-ms204-print",
    title="METTLER TOLEDO MS-TS, printed line",
    models=("METTLER TOLEDO MS204TS", "METTLER TOLEDO MS-TS"),
    source="captures of an MS204TS",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=None,
)
