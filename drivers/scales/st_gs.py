"""The ST,GS family: CAS, A&D clones, T-Scale, Excell, Selleton, AWH, GSC, Gram, Kern, Dini Argeo, Ohaus clones.

Source: manuals of CAS CI series (18-byte format), T-Scale QHW, Kern KIB-TM and GAB; captures of GSC SGW-3015PS and
AWH-SA30. 9600 8N1, some 7E1. The dialects of the family differ in commas, padding, case and terminator.

    column  0         1
            012345678901234567
            ST,GS,+  1.236kg␍␊

    0-1     ST stable, US moving, OL out of range (the value is filler), UL below it; short: S, U
    3-4     GS gross, NT net, TR tare; short: G, N
    6-      sign (+, -, blank), blanks or zeros, digits with a point or a comma, unit with or without a blank

The value is 1 to 6 digits before the point and at least one; leading zeros do not count. A bare point after
the digits is left out. `OL` with a minus is underload; dashes in the columns of the digits are none. The
terminator is CR LF, CR, LF or none, so a frame also ends where the next long header begins. The tail of
`OL,GS,+99kg` looks like the short form `S,+99kg`: that one counts only behind a terminator, or where it is all
that came.

Many of the family zero at `Z` and tare at `T` (T-Scale, 安衡); CAS indicators do not know these letters.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, State, scale_driver

_HEADER = rb"(?P<stability>ST|US),(?P<basis>GS|NT|TR|G|N)(?:,|(?=[ +-]))"
_VALUE = rb"(?P<weight>0*[0-9]{1,6}(?:[.,][0-9]{0,5})?)"
_UNIT = rb" *(?P<unit>[A-Za-z%]{1,4})"
_SIGNED = rb" *(?P<sign>[+-]?) *" + _VALUE + _UNIT + rb" *"
_OUT = rb"(?:GS|NT|TR|G|N),? *%b(?:[0-9., ]*|[0-9. ]*-[-. ]+)(?:[A-Za-z]{1,3})? *"

DIALECT = Dialect(
    framing=Lines(limit=64, start=re.compile(rb"(?:ST|US|OL|UL),(?:GS|NT|TR|G|N)[, +-]", re.IGNORECASE)),
    forms=(
        Form(pattern=re.compile(_HEADER + _SIGNED, re.IGNORECASE)),
        Form(pattern=re.compile(rb"(?P<stability>[SU]),(?P<basis>[GN])," + _SIGNED, re.IGNORECASE)),
        Form(
            pattern=re.compile(rb"(?P<stability>[SU]),(?P<sign>[+-]?)" + _VALUE + _UNIT, re.IGNORECASE),
            may_be_tail=True,
        ),
    ),
    states=(
        State(
            pattern=re.compile(rb"OL," + _OUT % rb"(?:\+|(?=[ 0-9.,]{6})|(?=-[- ]*-))", re.IGNORECASE), means="overload"
        ),
        State(pattern=re.compile(rb"OL," + _OUT % rb"-", re.IGNORECASE), means="underload", may_be_head=True),
        State(pattern=re.compile(rb"UL," + _OUT % rb"[+-]?", re.IGNORECASE), means="underload"),
    ),
    stability={"ST": "stable", "US": "moving", "S": "stable", "U": "moving"},
    basis={"GS": "gross", "NT": "net", "TR": "tare", "G": "gross", "N": "net"},
    units={
        "KG": "kg",
        "G": "g",
        "T": "t",
        "LB": "lb",
        "OZ": "oz",
        "OZT": None,
        "PCS": "pcs",
        "PC": "pcs",
        "%": "%",
    },
    decimal_marks=".,",
    any_case=True,
    commands={"zero": b"Z\r\n", "tare": b"T\r\n"},
)

SPEC = scale_driver(
    DIALECT,
    id="st-gs",
    title="ST,GS text (CAS, T-Scale, Excell, Kern and many more)",
    models=("CAS CI-200", "T-Scale QHW", "AWH-SA30", "GSC SGW-3015PS", "Kern KIB-TM", "Excell", "Dini Argeo"),
    source="CAS CI series manual, 18-byte format; Kern KIB-TM interface manual; captures",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
    unguarded=True,
)
