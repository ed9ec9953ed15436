"""CAS CI and NT indicators, 10-byte format: the weight and nothing else.

Source: CAS CI-600D manual p. 74 (output format 10 bytes); CI-150A manual p. 54. 9600 8N1; streaming or on request.

    column  01234567
                13.5␍␊        eight characters, right-aligned

It tells no unit, no stability, no gross or net and no overload: use the 22-byte format where it can be set.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import SIGNED, Dialect, Form, scale_driver

DIALECT = Dialect(
    framing=Lines(limit=24),
    forms=(Form(pattern=re.compile(rb"(?=.{8}\Z)%b" % SIGNED), whole=True),),
)

SPEC = scale_driver(
    DIALECT,
    id="cas-10",
    title="CAS CI, 10 bytes",
    models=("CAS CI-150A, CI-200A, CI-400, CI-600D", "CAS NT-200", "Caston"),
    source="CAS CI-600D manual p. 74, 10-byte format",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
)
