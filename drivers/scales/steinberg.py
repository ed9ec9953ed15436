"""Steinberg Systems bench balances: status, weight and unit in 17 bytes.

Source: eamars/OpenTrickler, frames of a Steinberg balance; no manual was found. 9600 8N1, continuous.

    column  0         1
            012345678901234
            SD     -1.14 GN␍␊

    0-1     `S ` stable, `SD` moving (dynamic)        2-11   weight, right-aligned, sign attached        13-14   unit
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=32),
    forms=(
        Form(
            pattern=re.compile(rb"(?=.{15}\Z)(?P<stability>S[ D])%b(?=...\Z)  ?(?P<unit>[A-Za-z]{1,2}) ?" % SIGNED),
            whole=True,
        ),
    ),
    stability={"S ": "stable", "SD": "moving"},
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="steinberg",
    title="Steinberg Systems",
    models=("Steinberg Systems balances",),
    source="eamars/OpenTrickler, frames of a Steinberg balance",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
