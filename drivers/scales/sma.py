"""SMA protocol of the American Scale Manufacturers Association: Fairbanks, B-TEK, Sartorius PR and others.

Source: SMA SCP-0499, section "Standard scale response message"; the same in the manuals of Fairbanks FB2550 (p. 180),
B-TEK T419S (p. 61) and Sartorius PR 5220 (p. 130). 9600 8N1.

    host    ␊ W ␍
    scale   ␊ s r n m f xxxxxx.xxx uuu ␍

    s   blank; Z centre of zero, O over, U under capacity; E zero, I initial zero, T tare error (dashes, no digits)
    r   range, 1 …        n   G gross, T tare, N net (g, n: ten times the resolution: refused, the display shows less)
    m   M in motion, blank stable        f   for future use        x   weight, ten characters        u   unit, three

Zero is `␊Z␍`, tare `␊T␍`; a command that is not known is answered `␊?␍`.
"""

from __future__ import annotations

import re

from drivers.framing import Marked
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, Poll, State, scale_driver

_REST = rb"[0-9][GTNgn][M ].[ -~]{13}"

DIALECT = Dialect(
    framing=Marked(start=b"\n", end=b"\r", limit=24),
    forms=(
        Form(
            pattern=re.compile(
                rb"(?=.{18}\Z)[ Z][0-9](?P<basis>[GTN])(?P<stability>[M ])[ -~]%b(?=.{3}\Z)(?P<unit>[A-Za-z]{1,3}) *"
                % SIGNED
            )
        ),
    ),
    states=(
        State(pattern=re.compile(rb"O%b" % _REST), means="overload"),
        State(pattern=re.compile(rb"U%b" % _REST), means="underload"),
        State(pattern=re.compile(rb"E%b" % _REST), means="error", detail="zero error"),
        State(pattern=re.compile(rb"I%b" % _REST), means="error", detail="initial zero error"),
        State(pattern=re.compile(rb"T%b" % _REST), means="error", detail="tare error"),
        State(pattern=re.compile(rb"\?"), means="error", detail="command not known"),
    ),
    units=COMMON_UNITS,
    stability={"M": "moving", " ": "stable"},
    basis={"G": "gross", "T": "tare", "N": "net"},
    any_case=True,
    poll=Poll(send=b"\nW\r", after=0.3),
    commands={"zero": b"\nZ\r", "tare": b"\nT\r"},
)

SPEC = scale_driver(
    DIALECT,
    id="sma",
    title="SMA SCP-0499",
    models=("Fairbanks FB2550", "B-TEK T419S", "Sartorius PR 5211, PR 5220"),
    source="SMA SCP-0499, standard scale response message; Fairbanks FB2550 manual p. 180",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
)
