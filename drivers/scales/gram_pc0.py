"""Gram Z3 indicators, format PC0: 14 bytes with a status byte.

Source: Gram Z3 indicator manual, serial format PC0. 9600 8N1, continuous.

    byte    1    2    3    4 … 10     11 12   13   14
            STX  20+  +-   weight     unit    CR   ETX

    status  20 hex plus: 01 gross, 02 net (a tare is set), 08 zero, 40 stable; both or none of 01 and 02 are refused
    weight  seven characters, right-aligned with the point, no sign

It tells no overload; a frame without digits is refused.
"""

from __future__ import annotations

import re

from drivers.framing import Marked
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, scale_driver
from edge_agent.model import Basis, Stability

_STATUS = tuple(code for code in range(0x20, 0x80) if code & 0x20 and code & 0x03 in (1, 2))
_STABILITY: dict[str, Stability] = {chr(code): "stable" if code & 0x40 else "moving" for code in _STATUS}
_BASIS: dict[str, Basis] = {chr(code): "gross" if code & 0x01 else "net" for code in _STATUS}

DIALECT = Dialect(
    framing=Marked(start=b"\x02", end=b"\r\x03", limit=14),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=(?P<stability>[ -\x7f]))(?P<basis>.)(?P<sign>[ +-])(?=.{9}\Z) *"
                rb"(?P<weight>[0-9]+(?:\.[0-9]+)?)(?=..\Z) ?(?P<unit>[A-Za-z]{1,2}) ?"
            ),
        ),
    ),
    stability=_STABILITY,
    basis=_BASIS,
    units={**COMMON_UNITS, **{text.lower(): unit for text, unit in COMMON_UNITS.items()}},
)

SPEC = scale_driver(
    DIALECT,
    id="gram-pc0",
    title="Gram Z3, format PC0",
    models=("Gram Z3",),
    source="Gram Z3 indicator manual, serial format PC0",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
