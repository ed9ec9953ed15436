"""Sartorius SBI text: Sartorius and Minebea Intec balances and indicators.

Source: Sartorius manuals, "Data output": Master series p. 79, BP 3100 P p. 59, Combics 1 p. 98, Entris II p. 3.
1200 7O1 on classic models, 9600 8O1 or 8N1 on newer ones (unverified). Asked by ESC P.

    column  0         1
            01234567890123456789
                  +   123.56 g  ␍␊     16 characters with CR LF
            N     +   123.56 g  ␍␊     22: an identity in front
            Stat        HH      ␍␊     22: no weight

    identity    N net, G or G# gross, T, T1, T2, PT2 tare, Qnt pieces; others are refused
    sign, blank, weight right-aligned in 8 with its point, blank, unit left-aligned in 3
    unit        blank: not stable. Square brackets mark a digit that is not verified; it is read with the others
    no weight   H, HH, High overload; L, LL, Low underload; -- final; C, Cal. calibrating; Err ###; OFF

The 16 characters are also the end of the 22: a stream that begins just there gives the weight without its
identity. With the option `format` only one of them is read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, Poll, State, scale_driver
from edge_agent.driver import Option

_VALUE = (
    rb"(?=.{14}\Z)(?P<sign>[ +-]) ?(?=[ 0-9.\[]{8,9}[ \]]...\Z) *(?P<weight>[0-9]+(?:\.?[0-9]*\[[0-9]\]|\.[0-9]+)?) ?"
    rb"(?=...\Z)"
)
_UNIT = rb"(?P<unit>[A-Za-z%]{1,3}) *"
_BASIS = rb"(?P<basis>N     |G     |G#    |T     |T1    |T2    |PT2   )"

_SHORT = (
    Form(pattern=re.compile(_VALUE + _UNIT), stability="stable", whole=True),
    Form(pattern=re.compile(_VALUE + rb"   "), stability="moving", whole=True),
)
_LONG = (
    Form(pattern=re.compile(_BASIS + _VALUE + _UNIT), stability="stable", whole=True),
    Form(pattern=re.compile(_BASIS + _VALUE + rb"   "), stability="moving", whole=True),
    Form(pattern=re.compile(rb"Qnt   " + _VALUE + rb"(?P<unit>pcs)"), stability="stable", whole=True),
)

_CODED = rb"(?:Stat(?=.{16}\Z)|(?=.{14}\Z)) +"

DIALECT = Dialect(
    framing=Lines(limit=48),
    forms=(*_LONG, *_SHORT),
    states=(
        State(pattern=re.compile(_CODED + rb"(?:HH?|High) *"), means="overload"),
        State(pattern=re.compile(_CODED + rb"(?:LL?|Low) *"), means="underload"),
        State(pattern=re.compile(_CODED + rb"- ?- *"), means="other", detail="final readout"),
        State(pattern=re.compile(_CODED + rb"(?:C|Cal\.[ A-Za-z.]*) *"), means="busy", detail="calibrating"),
        State(pattern=re.compile(_CODED + rb"(?:[Ee][Rr][Rr] +[0-9 ]{2,3}|[A-Z]{3}\.ER) *"), means="error"),
        State(pattern=re.compile(_CODED + rb"OFF *"), means="other", detail="display off"),
    ),
    units=COMMON_UNITS,
    basis={
        "N     ": "net",
        "G     ": "gross",
        "G#    ": "gross",
        "T     ": "tare",
        "T1    ": "tare",
        "T2    ": "tare",
        "PT2   ": "tare",
    },
    ignored="[]",
    any_case=True,
    poll=Poll(send=b"\x1bP", after=0.5),
    commands={"zero": b"\x1bV", "tare": b"\x1bU"},
)


def _adapt(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    forms = {"any": (*_LONG, *_SHORT), "16": _SHORT, "22": _LONG}
    return dataclasses.replace(dialect, forms=forms[options["format"]])


SPEC = scale_driver(
    DIALECT,
    id="sartorius-sbi",
    title="Sartorius SBI",
    models=("Sartorius Entris, Cubis", "Sartorius BP, Master", "Sartorius Combics", "Minebea Intec"),
    source="Sartorius manuals, data output: Master series p. 79; Combics 1 p. 98; Entris II p. 3",
    maturity="manual",
    line={"baud": "1200", "bytesize": "7", "parity": "O", "stopbits": "1"},
    stale_after=5.0,
    options=(
        Option(
            name="format",
            type="text",
            default="any",
            choices=("any", "16", "22"),
            help="characters in a line, with CR LF: 22 with the identity in front, 16 without",
        ),
    ),
    adapt=_adapt,
)
