r"""Scales that send STX, the letter A, eight characters of weight, CR and ETX.

Source: a captured frame; no manual was found. 9600 8N1.

    byte    1    2    3 … 10       11   12
            STX  A    ___0.165     CR   ETX

What the letter says is unknown, so frames with another letter are refused. No unit, no stability, no overload.
"""

from __future__ import annotations

import re

from drivers.framing import Marked
from drivers.scale_codec import SIGNED, Dialect, Form, scale_driver

DIALECT = Dialect(
    framing=Marked(start=b"\x02", end=b"\r\x03", limit=12),
    forms=(Form(pattern=re.compile(rb"A(?=.{8}\Z)%b" % SIGNED)),),
)

SPEC = scale_driver(
    DIALECT,
    id="stx-a",
    title="STX, A, eight characters",
    models=("Scale of an unknown maker",),
    source="a captured frame; no manual was found",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
