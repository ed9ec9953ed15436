"""MT-SICS, the METTLER TOLEDO Standard Interface Command Set; also Kern KCP, Ohaus, B-TEK.

Source: MT-SICS reference manual (11780711), sections "Response formats" and "S, SI, SIR, T, Z, @". 9600 8N1.
`SIR` makes the scale repeat its weight; it is sent at the start and again after a silence, because a scale
that was switched off forgets it.

    column  0         1         2
            01234567890123456789
            S S     129.07 g␍␊

    0      the answered command             2      S stable, D moving; I busy, L wrong parameter, + -  out of range
    4-13   weight, right-aligned in 10, minus attached (some send no padding)       15-    unit

S and SI give the net weight, which is the gross weight while no tare is set. `lb:oz` weights are written
12:07.50. `SX` and `SXI` answer in blocks A011 gross, A012 net, A013 tare, which must add up. Replies to other
commands are `ack`, `busy` or `error`; `I4 A "serial"` also comes unasked when the scale has been switched on.
"""

from __future__ import annotations

import re

from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, Poll, State, scale_driver

_NUMBER = rb"-?[0-9]{1,8}(?:\.[0-9]{1,7})?"
_UNIT = rb"[A-Za-z%]{1,4}"

DIALECT = Dialect(
    framing=Lines(limit=256),
    forms=(
        Form(
            pattern=re.compile(rb"S (?P<stability>[SD]) +(?P<weight>%b) (?P<unit>%b) *" % (_NUMBER, _UNIT)),
            basis="net",
        ),
        Form(
            pattern=re.compile(
                rb"S (?P<stability>[SD]) +(?P<weight>-?[0-9]+:[0-9]{1,2}(?:\.[0-9]+)?) (?P<unit>lb:oz) *"
            ),
            basis="net",
        ),
        Form(
            pattern=re.compile(
                rb"SXI? +A011 +(?P<gross>%b) (?P<unit>%b) +A012 +(?P<weight>%b) (?P=unit) +A013 +(?P<tare>%b) (?P=unit)"
                rb"(?: +A01[0-9][ -~]*)?" % (_NUMBER, _UNIT, _NUMBER, _NUMBER)
            ),
            basis="net",
        ),
    ),
    states=(
        State(pattern=re.compile(rb"S \+"), means="overload"),
        State(pattern=re.compile(rb"S -"), means="underload"),
        State(pattern=re.compile(rb"(?:S[A-Z]*|T[A-Z]*|ZI?) I"), means="busy", detail="not executable now"),
        State(pattern=re.compile(rb"[A-Z@][A-Z0-9]{0,4} I"), means="busy", detail="not executable now"),
        State(pattern=re.compile(rb"[A-Z@][A-Z0-9]{0,4} L"), means="error", detail="wrong parameter"),
        State(pattern=re.compile(rb"(?:T|TI|Z|ZI) [+-]"), means="error", detail="out of the range for tare or zero"),
        State(pattern=re.compile(rb"ES"), means="error", detail="syntax error"),
        State(pattern=re.compile(rb"ET"), means="error", detail="transmission error"),
        State(pattern=re.compile(rb"EL"), means="error", detail="logical error"),
        State(pattern=re.compile(rb"I[0-9]{1,2} [AB] [ -~]*"), means="other", detail="identity"),
        State(
            pattern=re.compile(rb"(?:T|TI|TA|Z|ZI) [SDA](?: [ -~]*)?|(?:TAC|[A-RU-Y][A-Z0-9]{0,3}) A(?: [ -~]*)?"),
            means="ack",
        ),
    ),
    stability={"S": "stable", "D": "moving"},
    units={
        "kg": "kg",
        "g": "g",
        "mg": "mg",
        "t": "t",
        "tl": None,
        "ct": "ct",
        "lb": "lb",
        "lb:oz": "lb:oz",
        "oz": "oz",
        "ozt": None,
        "GN": "GN",
        "PCS": "pcs",
        "pcs": "pcs",
        "%": "%",
    },
    poll=Poll(send=b"SIR\r\n", after=2.0),
    commands={"zero": b"Z\r\n", "tare": b"T\r\n", "clear-tare": b"TAC\r\n"},
)

SPEC = scale_driver(
    DIALECT,
    id="mt-sics",
    title="METTLER TOLEDO MT-SICS",
    models=("METTLER TOLEDO IND", "METTLER TOLEDO BBA", "Kern KIB-TM (KCP)", "Ohaus 7000", "B-TEK"),
    source="MT-SICS reference manual 11780711, response formats",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
    unguarded=True,
)
