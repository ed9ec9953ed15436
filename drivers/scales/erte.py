"""Erte indicators: a status letter and six digits.

Source: field notes on Erte-type weighing indicators ("status letter and six digits"); no manual was found. 9600 8N1.

    column  0123456
            A  1500␍

    0       A stable, gross     B stable, net (a tare is set)    C moving, gross    D moving, net
            E under or over the range: told as overload, or as underload where a minus stands before the digits
    1-6     digits, right-aligned, no point: the option `decimals` says where it would be

It tells no unit.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import DECIMALS, Dialect, Form, State, scale_driver, with_decimals

DIALECT = Dialect(
    framing=Lines(end=b"\r", limit=20, start=re.compile(rb"[A-E](?=[ 0-9-])")),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=(?P<stability>[A-D]))(?P<basis>[A-D])(?=.{6}\Z) *(?P<sign>-?) *(?P<weight>[0-9]+)"
            ),
            whole=True,
        ),
    ),
    states=(
        State(pattern=re.compile(rb"E *- *[0-9 ]*"), means="underload"),
        State(pattern=re.compile(rb"E[ -~]{6}"), means="overload"),
    ),
    stability={"A": "stable", "B": "stable", "C": "moving", "D": "moving"},
    basis={"A": "gross", "B": "net", "C": "gross", "D": "net"},
    decimals=0,
)


SPEC = scale_driver(
    DIALECT,
    id="erte",
    title="Erte, status letter and six digits",
    models=("Erte weighing indicators",),
    source="field notes; no manual was found",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
    options=(DECIMALS,),
    adapt=with_decimals,
)
