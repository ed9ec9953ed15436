"""G&G balances (JJ-B, T and E series): 14-byte lines, asked by ESC p.

Source: eamars/OpenTrickler, G&G JJ-B; frames captured on a JJ-B. 9600 8N1.

    column  0         1
            012345678901
            -  29.182 g ␍␊

    0       sign, blank when positive; 1 blank        2-8  weight, right-aligned        9-11  unit, a blank before it

`ESC p` asks, `ESC t` tares; the escape character can be set to `!` on the balance. It tells no stability; overload
was not seen, and a line without digits is refused.
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
                rb"(?=.{12}\Z)(?P<sign>[ +-])  *(?P<weight>[0-9]+(?:\.[0-9]+)?)(?=...\Z) ?(?P<unit>[A-Za-z%]{1,3}) *"
            ),
            whole=True,
        ),
    ),
    units=COMMON_UNITS,
    any_case=True,
    poll=Poll(send=b"\x1bp\r\n", after=0.5),
    commands={"tare": b"\x1bt\r\n"},
)

SPEC = scale_driver(
    DIALECT,
    id="gng",
    title="G&G JJ-B",
    models=("G&G JJ-B",),
    source="eamars/OpenTrickler, G&G JJ-B; captures",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
