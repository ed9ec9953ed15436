"""Shuangjie (常熟双杰) balances: 14-byte lines, asked by ESC p.

Source: public description of the Shuangjie serial interface. 9600 8N1.

    column  0         1
            012345678901
               123.45 g ␍␊

    0       sign, blank when positive        1-8   weight, right-aligned        9-11   unit

`ESC p` asks, `ESC t` tares. It does not tell stability; a line without digits is refused.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, Poll, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=32),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=.{12}\Z)(?P<sign>[ +-]) *(?P<weight>[0-9]+(?:\.[0-9]+)?)(?=...\Z) *(?P<unit>[A-Za-z%]{1,3}) *"
            ),
            whole=True,
        ),
    ),
    units=COMMON_UNITS,
    any_case=True,
    poll=Poll(send=b"\x1bp", after=0.5),
    commands={"tare": b"\x1bt"},
)

SPEC = scale_driver(
    DIALECT,
    id="shuangjie",
    title="Shuangjie balances",
    models=("Shuangjie (常熟双杰) balances",),
    source="public description of the Shuangjie serial interface",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
