r"""Indicators that send a block of labelled lines: set points, gross, net, tare, date, status.

Source: captures of a drum scale ("TFO3"). 9600 8N1.

    SET P1(W)       0.0 ␍  SET P2 … ␍  SET P3 … ␍  SET P4 … ␍
    GROSS WEIGHT    1152.0 ␍
    NET WEIGHT        35.5 ␍
    TARE      1116.5 ␍
    DATE & TIME JAN. 14,2024  06:34AM ␍
    SCALE NO 1 ␍
    STATUS 81|83 * ␍␊

The block is one reading: the net weight. Gross, net and tare are each rounded to the display, so they may differ
by one of its steps, but not by more. What the status byte says is unknown; other values than the two that
were seen are refused. No unit.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import SIGNED, Dialect, Form, scale_driver

_POINT = rb"(?=.{10}\r) *-?[0-9]+(?:\.[0-9]+)?\r"

DIALECT = Dialect(
    framing=Lines(end=b"\r\n", limit=320, start=re.compile(rb"SET P1\(W\)")),
    forms=(
        Form(
            pattern=re.compile(
                b"".join(label + _POINT for label in (rb"SET P1\(W\)", b"SET P2", b"SET P3", b"SET P4"))
                + rb"GROSS WEIGHT(?=.{10}\r) *(?P<gross>[0-9]+(?:\.[0-9]+)?)\r"
                + (rb"NET WEIGHT(?=.{12}\r)" + SIGNED + rb"\r")
                + rb"TARE(?=.{12}\r) *(?P<tare>[0-9]+(?:\.[0-9]+)?)\r"
                + rb"DATE & TIME [^\r\n]{10,40}\rSCALE NO *[0-9]{1,3}\rSTATUS [\x81\x83]\*"
            ),
            basis="net",
            whole=True,
        ),
    ),
    gross_apart=10,
)

SPEC = scale_driver(
    DIALECT,
    id="label-block",
    title="Block of labelled lines (GROSS WEIGHT, NET WEIGHT, TARE)",
    models=("Indicator of a drum scale with four set points",),
    source="captures of a drum scale",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
