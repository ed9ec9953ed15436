"""T-Scale QHW: the ST,GS family with two commas and the unit in two columns.

Source: captures of a T-Scale QHW; the letters as in the ST,GS family. 9600 8N1, continuous.

    column  0         1
            0123456789012345
            ST,GS,   245.6 g␍␊

    0-1     ST stable, US moving, OL out of range        3-4     GS gross, NT net
    6-13    weight, right-aligned with its sign          14-15   unit, right-aligned
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, State, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=40, start=re.compile(rb"(?:ST|US|OL),(?:GS|NT),")),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?P<stability>ST|US),(?P<basis>GS|NT),(?=.{10}\Z)%b(?=..\Z) ?(?P<unit>[A-Za-z%%]{1,2})" % SIGNED
            ),
            whole=True,
        ),
    ),
    states=(
        State(pattern=re.compile(rb"OL,(?:GS|NT), *-(?!-)[ -~]*"), means="underload", may_be_head=True),
        State(pattern=re.compile(rb"OL,(?:GS|NT),[ -~]{6,12}"), means="overload"),  # dashes only fill the columns
    ),
    stability={"ST": "stable", "US": "moving"},
    basis={"GS": "gross", "NT": "net"},
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="tscale-qhw",
    title="T-Scale QHW",
    models=("T-Scale QHW",),
    source="captures of a T-Scale QHW",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
