"""Shanghai Yaohua XK3190 continuous output, the format "tF=0" of A9, A12, A23, A26, D9 and their many clones.

Source: XK3190-A9 manual, chapter on serial communication (continuous mode); XK3190-A26 manual p. 11; frames
captured on truck scales. 600 to 9600 baud, 8N1. The display is sent several times a second.

    byte   1    2   3 4 5 6 7 8   9    10 11   12
          STX   S   W W W W W W   P    X  X    ETX
          02   +/-  6 digits     0-4   XOR     03

    S   sign         W   digits from the high end, no point         P   decimals counted from the right
    X   XOR of bytes 2 to 9, high nibble first, as two characters 0-9 A-F

The frame tells no unit, no stability, no overload and no net: it is the value on the display.
"""

from __future__ import annotations

import re

from drivers.framing import Marked
from drivers.scale_codec import Dialect, Form, scale_driver

DIALECT = Dialect(
    framing=Marked(start=b"\x02", end=b"\x03", limit=12),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?P<checked>(?P<sign>[+-])(?P<weight>[0-9]{6})(?P<decimals>[0-4]))(?P<check>[0-9A-F]{2})"
            )
        ),
    ),
    checksum="xor-hex",
)

SPEC = scale_driver(
    DIALECT,
    id="xk3190-continuous",
    title="Yaohua XK3190, continuous (tF=0)",
    models=("Yaohua XK3190-A9, A12, A23, A26, D9, D10", "KELI XK3118K9"),
    source="XK3190-A9 manual, continuous mode; XK3190-A26 manual p. 11",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
