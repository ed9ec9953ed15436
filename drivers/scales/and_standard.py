"""A&D standard format: A&D balances and scales, and many Asian makes that copy it.

Source: A&D FX-i/FZ-i, GX-A and HV-C instruction manuals, section "Data format, A&D standard format". 2400 7E1 from
the factory. Asked by `Q`, or streaming about ten times a second.

    column  0         1
            012345678901234
            ST,+0001.234 kg␍␊

    0-1     ST stable, US moving, QT stable count, OL out of range (the digits are filler; - is below)
    3-      a comparator puts `LO,`, `OK,`, `HI,` or `--,` here
    3-11    sign and eight characters of digits with a point, leading zeros      12-14   unit, right-aligned

A command is answered by ACK (06), an error by `EC,E00` and the like. `Q`, `Z` and `T` are those of the A&D manuals;
the error form is unverified.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, Poll, State, scale_driver

_COMPARED = rb"(?:(?:LO|OK|HI|--),)?"
_WEIGHT = rb"(?P<sign>[+-])(?=[0-9.]{8}[^0-9.])(?P<weight>[0-9]+(?:\.[0-9]+)?)"

DIALECT = Dialect(
    framing=Lines(limit=40, start=re.compile(rb"(?:ST|US|QT|OL),[-+LOH]")),
    forms=(
        Form(
            pattern=re.compile(rb"(?P<stability>ST|US),%b%b(?P<unit>[ A-Za-z%%]{3})" % (_COMPARED, _WEIGHT)),
            whole=True,
        ),
        Form(
            pattern=re.compile(rb"QT,%b%b(?P<unit> PC)" % (_COMPARED, _WEIGHT)),
            stability="stable",
            whole=True,
        ),
    ),
    states=(
        State(pattern=re.compile(rb"OL,%b\+[0-9.E+-]{8}[ -~]{3}" % _COMPARED), means="overload"),
        State(pattern=re.compile(rb"OL,%b-[0-9.E+-]{8}[ -~]{3}" % _COMPARED), means="underload"),
        State(pattern=re.compile(rb"\x06"), means="ack"),
        State(pattern=re.compile(rb"EC,E[0-9]{2}"), means="error", detail="the balance reports an error"),
    ),
    stability={"ST": "stable", "US": "moving"},
    units={
        "  G": "g",
        " KG": "kg",
        " MG": "mg",
        " PC": "pcs",
        "  %": "%",
        " OZ": "oz",
        " LB": "lb",
        " CT": "ct",
        " GN": "GN",
        "OZT": None,
        "MOM": None,
        "DWT": None,
        " TL": None,
        "  T": None,
    },
    any_case=True,
    poll=Poll(send=b"Q\r\n", after=1.0),
    commands={"zero": b"Z\r\n", "tare": b"T\r\n"},
)

SPEC = scale_driver(
    DIALECT,
    id="and-standard",
    title="A&D standard format",
    models=("A&D FX-i, FZ-i, GX-A, GF-A", "A&D HV-C, HW-C, SK-WP", "Selleton, T-Scale and others in A&D mode"),
    source="A&D FX-i/FZ-i and GX-A instruction manuals, A&D standard format",
    maturity="manual",
    line={"baud": "2400", "bytesize": "7", "parity": "E", "stopbits": "1"},
    stale_after=5.0,
)
