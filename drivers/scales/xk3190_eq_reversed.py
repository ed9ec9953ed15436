"""Yaohua XK3190 `=` frames, digits from low to high: A26 format 1; D10 and DS3 class indicators (unverified).

Source: XK3190-A26 manual p. 11 (format 1). 600 to 9600 baud, 8N1, continuous.

    =000.3000      the display read from its end: 0003.000, that is 3.000
    =00.1000-      -1.00

Eight characters follow the mark: seven of the display with its point, then the sign, 0 or -. The mark stands
between the values, and there is nothing else to tell that one is whole, so a value counts when the next mark
has come, or 50 ms of silence. Some indicators send seven characters without a place for the sign, and the mark
behind them (`543.210=` for 12.345): set `width` to 7.

The frame tells no unit and no stability. Its digits make sense in the other direction too (`xk3190-eq-forward`):
prove the direction with a known mass.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, scale_driver
from edge_agent.driver import Option


def _forms(width: int) -> tuple[Form, ...]:
    sign = rb"[0-]" if width == 8 else rb"[0-9-]"
    return (
        Form(
            pattern=re.compile(rb"=(?=.{%d}\Z)(?P<weight>[0-9]*\.?[0-9]+%b)" % (width, sign)),
            whole=True,
            backwards=True,
        ),
    )


DIALECT = Dialect(
    framing=Lines(limit=24, start=re.compile(rb"=")),
    settle=0.05,
    forms=_forms(8),
)


def _adapt(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    return dataclasses.replace(dialect, forms=_forms(options["width"]))


SPEC = scale_driver(
    DIALECT,
    id="xk3190-eq-reversed",
    title="Yaohua XK3190, = frames from low to high",
    models=("Yaohua XK3190-A26 (format 1)", "Yaohua XK3190-D10, DS3 (unverified)"),
    source="XK3190-A26 manual p. 11",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
    options=(
        Option(
            name="width",
            type="integer",
            default=8,
            choices=(8, 7),
            help="characters between two marks: 8 with the sign, 7 without",
        ),
    ),
    adapt=_adapt,
)
