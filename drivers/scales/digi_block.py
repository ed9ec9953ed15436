r"""Indicators that send a block of headed lines; the headers 0 and 4 are those of DIGI.

Source: captures of a drum scale ("TFO1"); header letters as in the DIGI DS-425 service manual p. 16. 9600 8N1.

    F      0.0 ␍  H … ␍  Q … ␍  X … ␍     limits
    A    366.0 ␍                          gross                  nine characters each, right-aligned
    0     23.0 ␍                          net
    4    343.5 ␍                          tare
    1      0.0 ␍  2       0 ␍             unit weight; count in eight characters
    B 81|83 ␍  C date ␍  V1 ␍␊            status byte, date and time, end

The block is one reading: the net weight. Gross, net and tare are each rounded to the display, so they may differ
by one of its steps, but not by more. What the status byte says is unknown; other values than the two that
were seen are refused. The maker is inferred from the headers. No unit.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import SIGNED, Dialect, Form, scale_driver

_NUMBER = rb"(?=.{9}\r) *-?[0-9]+(?:\.[0-9]+)?\r"
_NAMED = rb"(?=.{9}\r) *(?P<%b>[0-9]+(?:\.[0-9]+)?)\r"

DIALECT = Dialect(
    framing=Lines(end=b"\r\n", limit=256, start=re.compile(rb"F(?=[ 0-9.-]{9}\rH)")),
    forms=(
        Form(
            pattern=re.compile(
                b"".join(header + _NUMBER for header in (b"F", b"H", b"Q", b"X"))
                + (b"A" + _NAMED % b"gross")
                + (b"0(?=.{9}\r)" + SIGNED + b"\r")
                + (b"4" + _NAMED % b"tare")
                + (b"1" + _NUMBER + rb"2(?=.{8}\r) *[0-9]+\r")
                + rb"B[\x81\x83]\rC[^\r\n]{10,40}\rV1"
            ),
            basis="net",
            whole=True,
        ),
    ),
    gross_apart=10,
)

SPEC = scale_driver(
    DIALECT,
    id="digi-block",
    title="Block of headed lines (DIGI headers)",
    models=("DIGI-type indicator of a drum scale",),
    source="captures of a drum scale; DIGI DS-425 service manual p. 16 for the headers",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
