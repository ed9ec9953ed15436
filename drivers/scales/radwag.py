"""Radwag balances and indicators, asked by `SUI`.

Source: Radwag communication protocol, "S, SI, SU, SUI"; eamars/OpenTrickler, Radwag PS R2. 9600 8N1.

    column  0         1
            0123456789012345678
            SUI        1.56 gr ␍␊

    0-2     the command: S, SI in the basic unit, SU, SUI in the displayed one
    3       blank stable, ? moving, ^ above the range, v below it
    4-15    weight, right-aligned, its sign in the same columns; a blank may stand behind it
    16-18   unit, at the left or at the right of its columns

Other replies: `XX_A` understood, `XX_D` done, `XX_I` not now, `XX_E` too long or wrong, `XX_^`, `XX_v` out of the
range for zero or tare (a blank for _).
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, Poll, State, scale_driver

_COMMAND = rb"(?:SUI|SU |SI |S  )"
_OTHER = rb"[A-Z]{1,4}[ _]"

DIALECT = Dialect(
    framing=Lines(limit=48),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=.{19}\Z)%b(?P<stability>[ ?])%b ?(?=...\Z) *(?P<unit>[A-Za-z%%]{1,3}) *" % (_COMMAND, SIGNED)
            ),
            whole=True,
        ),
    ),
    states=(
        State(pattern=re.compile(rb"%b\^[ -~]{15}" % _COMMAND), means="overload"),
        State(pattern=re.compile(rb"%bv[ -~]{15}" % _COMMAND), means="underload"),
        State(pattern=re.compile(rb"%b[AD]" % _OTHER), means="ack"),
        State(pattern=re.compile(rb"%bI" % _OTHER), means="busy", detail="not now"),
        State(pattern=re.compile(rb"%b[E^v]|ES" % _OTHER), means="error"),
    ),
    stability={" ": "stable", "?": "moving"},
    units={**COMMON_UNITS, "GR": "gr"},
    any_case=True,
    poll=Poll(send=b"SUI\r\n", after=0.5),
    commands={"zero": b"Z\r\n", "tare": b"T\r\n"},
)

SPEC = scale_driver(
    DIALECT,
    id="radwag",
    title="Radwag",
    models=("Radwag PS R2",),
    source="Radwag communication protocol, S, SI, SU, SUI",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
