"""METTLER TOLEDO 8217 and 8213 counter scales, asked by `W`; also Datalogic Magellan and Diva.

Source: Datalogic Magellan 8500 and Diva service manual, sections 6.1.3 and 6.1.4 (pp. 45-51). 9600 7E1.

    host    W                      one letter without CR
    scale   STX 01.234 CR          kilograms, both models                       N before CR: net, else gross
            STX 012.34 CR          pounds, 8217
            STX 12.34 CR           pounds, 8213
            STX ? S CR             no weight; S: bit 0 motion, 1 over capacity, 2 below zero, 3 zero not captured,
                                   4 centre of zero, 5 net, 6 always 1

A weight comes only when it is stable and not negative. The frame does not tell the unit. Some scales send a
weight once and then only status `@` until it changes. The 8213's pounds look like kilograms that lost a digit:
the model is a setting, and its pounds are read only with it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from drivers.framing import Marked
from drivers.scale_codec import Dialect, Form, Poll, State, scale_driver
from edge_agent.driver import Option

_DIGITS: Final[Mapping[str, bytes]] = {
    "8217": rb"[0-9]{2}\.[0-9]{3}|[0-9]{3}\.[0-9]{2}",
    "8213": rb"[0-9]{2}\.[0-9]{2}",
}


def _form(model: str) -> Form:
    return Form(pattern=re.compile(rb"(?P<weight>%b)(?P<basis>N?)" % _DIGITS[model]), stability="stable")


def _status(
    means: Literal["overload", "underload", "busy", "other"], holds: Callable[[int], bool], detail: str = ""
) -> State:
    letters = b"".join(re.escape(bytes((code,))) for code in range(0x40, 0x80) if holds(code))
    return State(pattern=re.compile(rb"\?[%b]" % letters), means=means, detail=detail)


DIALECT = Dialect(
    framing=Marked(start=b"\x02", end=b"\r", limit=12),
    forms=(_form("8217"),),
    states=(
        _status("overload", lambda code: code & 0x06 == 0x02),
        _status("underload", lambda code: code & 0x06 == 0x04),
        _status("busy", lambda code: bool(code & 0x01), "moving"),
        _status("other", lambda code: not code & 0x07, "no new weight"),
    ),
    basis={"": "gross", "N": "net"},
    poll=Poll(send=b"W", after=0.3),
    commands={"zero": b"Z", "tare": b"T", "clear-tare": b"C"},
)


def _adapt(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    return dataclasses.replace(dialect, forms=(_form(options["model"]),))


SPEC = scale_driver(
    DIALECT,
    id="toledo-8217",
    title="METTLER TOLEDO 8217, 8213",
    models=("METTLER TOLEDO 8217, 8213", "Datalogic Magellan 8500", "Diva"),
    source="Diva service manual, sections 6.1.3, 6.1.4; Magellan 8500 manual pp. 45-51",
    maturity="manual",
    line={"baud": "9600", "bytesize": "7", "parity": "E", "stopbits": "1"},
    stale_after=5.0,
    options=(
        Option(
            name="model",
            type="text",
            default="8217",
            choices=("8217", "8213"),
            help="8217: kilograms or six-character pounds; 8213: five-character pounds",
        ),
    ),
    adapt=_adapt,
)
