"""Ohaus Defender text output.

Source: captures of a Defender 3000, and of a second scale with one decimal. 9600 8N1, some 2400. Printed on request or
continuously; the commands `IP`, `Z` and `T` are unverified, known from other programs only.

    column  0         1
            0123456789012345
            -  1.340 kg   ?N␍␊

    0       blank or -, apart from the digits       1-7    weight, right-aligned
    9-13    unit, left-aligned                      14     ? moving, blank stable       15  G gross, N net

All 16 columns are always there, so a frame that begins or ends too late has another length and is rejected.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, Poll, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=40),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=.{16}\Z)%b(?=.{8}\Z) (?P<unit>[A-Za-z]{1,5}) *(?=..\Z)(?P<stability>[ ?])(?P<basis>[GN])" % SIGNED
            ),
            whole=True,
        ),
    ),
    units=COMMON_UNITS,
    stability={" ": "stable", "?": "moving"},
    basis={"G": "gross", "N": "net"},
    any_case=True,
    poll=Poll(send=b"IP\r\n", after=1.0),
    commands={"zero": b"Z\r\n", "tare": b"T\r\n"},
)

SPEC = scale_driver(
    DIALECT,
    id="ohaus-defender",
    title="Ohaus Defender",
    models=("Ohaus Defender 3000",),
    source="captures of a Defender 3000 and a second scale",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
