r"""METTLER TOLEDO print block of a JIK6CAB indicator: fourteen lines, one weighing.

Source: captures of a JIK6CAB. 9600 8N1, sent when the print key is pressed.

    ^KJIK000 ␍␊  2023-11-07 ␍␊  17:19:26 ␍␊
      0.00 kg ␍␊        tare
      1.94 kg ␍␊        gross
    0 ␍␊  0 ␍␊
      1.94 kg ␍␊        net
      1.94 kg ␍␊        displayed
        0 pcs ␍␊
    (blank) ␍␊  (blank) ␍␊  E ␍␊  ~P1 ␍␊

Four weights, one reading: the net weight. Gross must be net + tare, the displayed weight must be the net one, and all
have one unit, or the block is refused. The date is written with - or /. It does not tell stability; the
indicator prints when stable.
"""

from __future__ import annotations

import re

from drivers.framing import Marked
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, scale_driver

_LINE = rb"[ -~]{0,20}\r\n"

DIALECT = Dialect(
    framing=Marked(start=b"^KJIK", end=b"~P1\r\n", limit=256),
    forms=(
        Form(
            pattern=re.compile(
                rb"[0-9]{3}\r\n[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}\r\n[0-9]{2}:[0-9]{2}:[0-9]{2}\r\n"
                rb" *(?P<tare>[0-9]+(?:\.[0-9]+)?) (?P<unit>[A-Za-z]{1,3}) *\r\n"
                rb" *(?P<gross>[0-9]+(?:\.[0-9]+)?) (?P=unit) *\r\n"
                rb"%b%b"
                rb" *(?P<weight>-?[0-9]+(?:\.[0-9]+)?) (?P=unit) *\r\n"
                rb" *(?P=weight) (?P=unit) *\r\n"
                rb" *[0-9]+ pcs *\r\n *\r\n *\r\nE\r\n" % (_LINE, _LINE)
            ),
            basis="net",
        ),
    ),
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="mt-jik-print",
    title="METTLER TOLEDO JIK6CAB print block",
    models=("METTLER TOLEDO JIK6CAB",),
    source="captures of a JIK6CAB",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=None,
)
