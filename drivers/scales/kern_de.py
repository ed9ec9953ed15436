"""Kern DE and EOC: lines with an area letter and a sign in front, asked by single letters.

Source: Kern DE instruction manual, "Data output via remote control commands"; ellery-it/odoo-serial-scale-drivers.
9600 8N1.

    column  0         1
            01234567890123456
            M-       0.000 kg␍␊

    0       M or blank         1   minus or blank         2-13   weight, right-aligned         15-   unit

`w` asks for any weight, `s` for a stable one, `t` tares: letters without CR. The manual's columns are ten for the
weight and three for the unit (16 in all), those that were seen twelve and two; both are read. It does not tell
stability; the terminator is assumed.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, Poll, scale_driver

_WEIGHT = rb"[M ](?P<sign>[ -]) *(?P<weight>[0-9]+(?:\.[0-9]+)?)"

DIALECT = Dialect(
    framing=Lines(limit=40),
    forms=(
        Form(
            pattern=re.compile(rb"(?=.{17}\Z)%b(?=...\Z) (?P<unit>[A-Za-z%%]{1,2}) ?" % _WEIGHT),
            whole=True,
        ),
        Form(
            pattern=re.compile(rb"(?=.{16}\Z)%b(?=....\Z) (?P<unit>[A-Za-z%%]{1,3}) *" % _WEIGHT),
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
    id="kern-de",
    title="Kern DE, EOC",
    models=("Kern DE", "Kern EOC", "Kern FKB, FKT, IKT, PKT"),
    source="Kern DE instruction manual, remote control; ellery-it/odoo-serial-scale-drivers",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
