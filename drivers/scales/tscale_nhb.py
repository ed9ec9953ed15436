"""T-Scale NHB: the ST,GS family without the second comma, and the unit in columns of its own.

Source: captures of a T-Scale NHB. 9600 8N1, continuous.

    column  0         1
            0123456789012345
            ST,GS    20.7g  ␍␊

    0-1     ST stable, US moving, OL out of range        3-4     GS gross, NT net
    5-12    weight, right-aligned with its sign          13-15   unit
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, State, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=40, start=re.compile(rb"(?:ST|US|OL),(?:GS|NT)[ +-]")),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?P<stability>ST|US),(?P<basis>GS|NT)(?=[ +-].{10}\Z)%b(?=...\Z) *(?P<unit>[A-Za-z%%]{1,3}) *"
                % SIGNED
            ),
            whole=True,
        ),
    ),
    states=(
        State(pattern=re.compile(rb"OL,(?:GS|NT) *-(?!-)[ -~]*"), means="underload", may_be_head=True),
        State(pattern=re.compile(rb"OL,(?:GS|NT)[ +-][ -~]{6,12}"), means="overload"),  # dashes only fill the columns
    ),
    stability={"ST": "stable", "US": "moving"},
    basis={"GS": "gross", "NT": "net"},
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="tscale-nhb",
    title="T-Scale NHB",
    models=("T-Scale NHB",),
    source="captures of a T-Scale NHB",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
