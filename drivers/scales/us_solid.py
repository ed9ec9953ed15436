"""U.S. Solid JFDBS balances: sign, weight and unit in 13 columns.

Source: eamars/OpenTrickler, example lines of a JFDBS. 9600 8N1, continuous.

    column  0         1
            0123456789012
            +   20.758g  ␍␊
            + ~~~~~~~~GN ␍␊       overload

    0       sign        2-9   weight, right-aligned; tildes when out of range        10-12   unit, left-aligned

It does not tell stability.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, State, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=32),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=.{13}\Z)(?P<sign>[+-])  *(?P<weight>[0-9]+(?:\.[0-9]+)?)(?=...\Z)(?P<unit>[A-Za-z%]{1,3}) *"
            ),
            whole=True,
        ),
    ),
    states=(
        State(pattern=re.compile(rb"\+ ~{8}[A-Za-z% ]{3}"), means="overload"),
        State(pattern=re.compile(rb"- ~{8}[A-Za-z% ]{3}"), means="underload"),
    ),
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="us-solid",
    title="U.S. Solid JFDBS",
    models=("U.S. Solid JFDBS",),
    source="eamars/OpenTrickler, example lines of a JFDBS",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
