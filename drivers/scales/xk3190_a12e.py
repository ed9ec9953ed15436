"""Yaohua XK3190-A12E: 15-byte lines with a check.

Source: XK3190-A12(E) user manual p. 13. 9600 8N1, continuous.

    column  0         1
            0123456789012
            WG004.139kg3D␍␊

    1       G gross, N net
    2-8     value: digits with a point, the last place blank where there is none; a minus in the first place
    11-12   XOR of columns 0 to 10 as two characters 0-9 A-F

Nine blanks, `OL` or `LO` (more than 20 d below zero), and the check `23` stand for out of range. No stability.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, State, scale_driver

_CHECK = rb"(?P<check>[0-9A-F]{2})"

DIALECT = Dialect(
    framing=Lines(limit=32, start=re.compile(rb"W[GN][-0-9]| {9}(?:OL|LO)")),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?P<checked>W(?P<basis>[GN])(?=.{7}[kl])(?P<weight>-?[0-9]+(?:\.[0-9]+| ))(?P<unit>kg|lb))" + _CHECK
            ),
            whole=True,
        ),
    ),
    states=(
        State(pattern=re.compile(rb"(?P<checked> {9}OL)" + _CHECK), means="overload"),
        State(pattern=re.compile(rb"(?P<checked> {9}LO)" + _CHECK), means="underload"),
    ),
    units={"kg": "kg", "lb": "lb"},
    basis={"G": "gross", "N": "net"},
    checksum="xor-hex",
)

SPEC = scale_driver(
    DIALECT,
    id="xk3190-a12e",
    title="Yaohua XK3190-A12E",
    models=("Yaohua XK3190-A12E",),
    source="XK3190-A12(E) user manual p. 13",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
