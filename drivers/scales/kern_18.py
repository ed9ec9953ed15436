"""Kern FCB and similar: 18-byte lines of a weight and its unit.

Source: frames captured on a Kern FCB 8. 9600 8N1.

    column  0         1
            0123456789012345
                 -29.186 g  ␍␊

    0-11    weight, right-aligned with its sign        13-15   unit, left-aligned

Asked by the letter `w` without CR; `t` tares (unverified: the letters of other Kern scales). All 16 columns are
always there. It tells no stability; a line without digits or unit is refused.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, Poll, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=40),
    forms=(
        Form(
            pattern=re.compile(rb"(?=.{16}\Z)%b(?=.{4}\Z) (?P<unit>[A-Za-z%%]{1,3}) *" % SIGNED),
            whole=True,
        ),
    ),
    units=COMMON_UNITS,
    any_case=True,
    poll=Poll(send=b"w", after=0.5),
    commands={"tare": b"t"},
)

SPEC = scale_driver(
    DIALECT,
    id="kern-18",
    title="Kern FCB, 18 bytes",
    models=("Kern FCB 8",),
    source="captures of an FCB 8",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
