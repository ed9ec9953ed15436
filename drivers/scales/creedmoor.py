"""Creedmoor balances: 14-byte lines with leading zeros.

Source: example lines in the eamars/OpenTrickler driver, taken from the balance's output. 9600 8N1, continuous.

    column  0         1
            012345678901
            +009.198 g  ␍␊

    0       sign         1-7   seven characters of digits with a point, leading zeros        9-10   unit, left-aligned

It tells no stability; overload was not seen, and a line without digits is refused.
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
                rb"(?P<sign>[+-])(?=.{11}\Z)(?P<weight>[0-9]+(?:\.[0-9]+)?)(?=.{4}\Z) (?P<unit>[A-Za-z]{1,2}) *"
            ),
            whole=True,
        ),
    ),
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="creedmoor",
    title="Creedmoor",
    models=("Creedmoor balances",),
    source="eamars/OpenTrickler, example lines of the balance",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
