"""ViBRA (Shinko Denshi) balances: the digit behind the slash is the auxiliary digit.

Source: captures of a ViBRA balance. 9600 8N1.

    column  0         1
            0123456789012
            +001.23/6 G S␍␊       1.236 g

    0       sign         1-6   digits with their point        7-8   slash and the auxiliary digit, part of the weight
    10-     unit         last  S stable, U moving

That the last letter is the stability, and U stands for moving, is unverified. The auxiliary digit is easily
taken for something else, and the weight is then short of a digit.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=32),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?P<sign>[+-])(?=[0-9.]{6}/)(?P<weight>[0-9]+\.[0-9]*/[0-9])"
                rb" (?P<unit>[A-Z]{1,2}) (?P<stability>[SU])"
            ),
            whole=True,
        ),
    ),
    stability={"S": "stable", "U": "moving"},
    units=COMMON_UNITS,
    ignored="/",
)

SPEC = scale_driver(
    DIALECT,
    id="vibra",
    title="ViBRA, auxiliary digit behind a slash",
    models=("ViBRA balances (Shinko Denshi)",),
    source="captures of a ViBRA balance",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=None,
)
