r"""DIGI (Teraoka) DS-425: net and tare, with or without status and headers.

Source: DIGI DS-425 service manual p. 16. 2400 to 19200 baud, 8N1, continuous or on request.

    [00|01 ␍] [0] N N N N N N N ␍ [4] T T T T T T T ␍ ␊

    status      one byte and CR: 00 stable, 01 moving; can be switched off
    headers     0 before the net weight, 4 before the tare; both or none
    N, T        seven characters, right-aligned, with the point

The settings give four lengths: 17, 19 (status or headers) and 21 bytes. The frame tells no unit. A stream that begins
behind the status byte gives the same weight with unknown stability.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import SIGNED, Dialect, Form, scale_driver

_STATUS = rb"(?:(?P<stability>[\x00\x01])\r)?"
_NET = rb"(?=.{7}\r)%b\r" % SIGNED
_TARE = rb"(?=.{7}\Z) *(?P<tare>[0-9]+(?:\.[0-9]+)?)"

DIALECT = Dialect(
    framing=Lines(end=b"\r\n", limit=48),
    forms=(
        Form(pattern=re.compile(_STATUS + rb"0" + _NET + rb"4" + _TARE), basis="net", whole=True),
        Form(pattern=re.compile(_STATUS + _NET + _TARE), basis="net", whole=True),
    ),
    stability={"\x00": "stable", "\x01": "moving"},
)

SPEC = scale_driver(
    DIALECT,
    id="digi-ds425",
    title="DIGI DS-425",
    models=("DIGI DS-425", "Teraoka DS-425"),
    source="DIGI DS-425 service manual p. 16",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
