"""Yaohua XK3190 `=` frames, digits from high to low: A26 and A23p format 2; also the sums of A23p formats 3 and 4.

Source: XK3190-A26 manual p. 11; XK3190-A23p manual p. 22. 600 to 9600 baud, 8N1, continuous.

    =0003.000                           format 2: the mark, the sign (0 or -), seven characters with the point
    =-0001.00                           -1.00
    =0003.000;0012.50                   format 3: `;` and the unit price behind it
    =0003.000kg;0012.50;0037.50         format 4 (A23p, 27 bytes): unit (kg, lb, pc), price, amount

The separators of format 4 are not named: one blank, comma, colon, semicolon or slash is taken. There is nothing
behind the last digit, so a value counts when the next mark has come, or 50 ms of silence. Format 2 tells no unit
and no stability. Its digits make sense in the other direction too (`xk3190-eq-reversed`): prove the direction with
a known mass.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, scale_driver

_VALUE = rb"=(?P<sign>[0-])(?=[0-9.]{7}%b)(?P<weight>[0-9]+(?:\.[0-9]*)?)"
_SUM = rb"(?=[0-9.]{7}%b)(?P<%b>[0-9]+(?:\.[0-9]*)?)"
_BREAK = rb"[ ,;:/]"

DIALECT = Dialect(
    framing=Lines(limit=48, start=re.compile(rb"=")),
    settle=0.05,
    forms=(
        Form(pattern=re.compile(_VALUE % rb"\Z"), whole=True),
        Form(pattern=re.compile(_VALUE % rb";" + rb";" + _SUM % (rb"\Z", b"price")), whole=True),
        Form(
            pattern=re.compile(
                _VALUE % rb"[klp]"
                + rb"(?P<unit>kg|lb|pc)"
                + _BREAK
                + _SUM % (_BREAK, b"price")
                + _BREAK
                + _SUM % (rb"\Z", b"amount")
            ),
            whole=True,
        ),
    ),
    units={"kg": "kg", "lb": "lb", "pc": "pcs"},
)

SPEC = scale_driver(
    DIALECT,
    id="xk3190-eq-forward",
    title="Yaohua XK3190, = frames from high to low",
    models=("Yaohua XK3190-A26 (format 2)", "Yaohua XK3190-A23p (formats 2, 3, 4)"),
    source="XK3190-A26 manual p. 11; XK3190-A23p manual p. 22",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
