"""Lines of a number and its unit, as many cheap scales send them.

Source: captures of shop scales; no manual, as there is no one maker. 9600 8N1.

     0.996kg␍␊          blank or sign, digits with a point, unit, with or without blanks between
    12.5 kg␍␊

Nothing in such a line tells where it begins: `0.996kg` may be the end of 10.996kg. So a line that begins with a
digit counts only behind the end of another; at the start of a stream a blank or a sign must come before the digits.
A minus must be attached to them. The end mark may be missing at the end of the stream, as the unit is last.
Where more is known of a scale than this, use its own dialect.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, scale_driver

_VALUE = rb"(?P<weight>[0-9]{1,7}(?:\.[0-9]{1,5})?) *(?P<unit>[A-Za-z]{1,3}) *"

DIALECT = Dialect(
    framing=Lines(limit=40),
    forms=(
        Form(pattern=re.compile(rb" *(?P<sign>[ +-])%b" % _VALUE)),
        Form(pattern=re.compile(_VALUE), only_after_end=True),
    ),
    units=COMMON_UNITS,
    any_case=True,
)

SPEC = scale_driver(
    DIALECT,
    id="plain-line",
    title="A number and its unit",
    models=("Scales that print lines such as 0.996kg",),
    source="captures of shop scales",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
    unguarded=True,
)
