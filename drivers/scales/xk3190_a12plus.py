"""Yaohua XK3190-A12+, A12+SS: text lines, also asked for by `R`.

Source: XK3190-A12+ user manual, chapter "Serial communication" (as quoted on yezidedianpu.cn 1560368). 9600 8N1.

    column  0    1
            01234567890
            ww000.000kg␍␊

    0       w, on some W           1    w gross, n net, t tare
    2-8     value: seven characters of digits with a point, leading zeros, a minus in the first place
    9-10    kg or lb

The terminator is not in the manual; CR LF was seen, and a frame also ends where the next one begins. Commands: `R`
sends one frame, `T` tares, `Z` zeroes; an invalid command returns an empty line. It tells no stability and no
overload.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, Poll, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=32, start=re.compile(rb"[wW][wWnNtT][-0-9]")),
    forms=(
        Form(
            pattern=re.compile(
                rb"[wW](?P<basis>[wWnNtT])(?=.{9}\Z)(?P<weight>-?[0-9]+(?:\.[0-9]+)?)(?=..\Z)(?P<unit>[A-Za-z]{2})"
            ),
            whole=True,
        ),
    ),
    units={"KG": "kg", "LB": "lb"},
    basis={"W": "gross", "N": "net", "T": "tare"},
    any_case=True,
    poll=Poll(send=b"R", after=1.0),
    commands={"zero": b"Z", "tare": b"T"},
)

SPEC = scale_driver(
    DIALECT,
    id="xk3190-a12plus",
    title="Yaohua XK3190-A12+",
    models=("Yaohua XK3190-A12+", "Yaohua XK3190-A12+SS"),
    source="XK3190-A12+ user manual, serial communication",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
