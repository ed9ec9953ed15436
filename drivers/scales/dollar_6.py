"""Indicators that send a dollar sign and six digits.

Source: a captured frame; no manual was found. 9600 8N1, continuous.

    column  0123456
            $000000␍       six digits from the high end, no sign, no point

The option `decimals` says where the point would be. It tells no unit, no stability and no overload.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import DECIMALS, Dialect, Form, scale_driver, with_decimals

DIALECT = Dialect(
    framing=Lines(end=b"\r", limit=20, start=re.compile(rb"\$")),
    forms=(Form(pattern=re.compile(rb"\$(?P<weight>[0-9]{6})"), whole=True),),
    decimals=0,
)


SPEC = scale_driver(
    DIALECT,
    id="dollar-6",
    title="Dollar sign and six digits",
    models=("Indicator of an unknown maker",),
    source="a captured frame; no manual was found",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
    options=(DECIMALS,),
    adapt=with_decimals,
)
