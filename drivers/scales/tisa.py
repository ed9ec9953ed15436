"""TISA protocol of Dibal and Epelsa-type shop scales: the till sends the price, the scale weight and amount.

Source: Dibal DPOS-400 manual p. 15. 9600 8N1.

    till    98 PPPPP C ␍␊
    scale   99 S WWWWW E IIIIII C ␍␊

    P   unit price        S   0 stable; 1 moving, or the same weight asked for again        W   weight in grams
    E   0 the amount holds, 1 it does not        I   amount        C   XOR of all before it

It is asked with the price 0, as goods and prices are the agent's business; then the amount is 0. The scale
answers 0 for S again only after a change of 20 d or a return to zero. The frame tells no unit: its grams are fixed
by the protocol, shown as kilograms with three decimals; other decimals are a setting, as are those of the amount.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from drivers.checksum import xor
from drivers.framing import Lines
from drivers.scale_codec import Dialect, Form, Poll, scale_driver
from edge_agent.driver import Option

_QUESTION = b"9800000"
_HEAD = rb"(?P<checked>99(?P<stability>[01])(?P<weight>[0-9]{5})"

DIALECT = Dialect(
    framing=Lines(end=b"\r\n", limit=40),
    forms=(
        Form(pattern=re.compile(_HEAD + rb"0(?P<amount>[0-9]{6}))(?P<check>.)"), unit="kg", whole=True),
        Form(pattern=re.compile(_HEAD + rb"1[0-9]{6})(?P<check>.)"), unit="kg", whole=True),
    ),
    stability={"0": "stable", "1": "moving"},
    checksum="xor",
    decimals=3,
    price_decimals=2,
    poll=Poll(send=_QUESTION + xor(_QUESTION) + b"\r\n", after=0.3),
)


def _adapt(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    return dataclasses.replace(dialect, decimals=options["decimals"], price_decimals=options["price_decimals"])


SPEC = scale_driver(
    DIALECT,
    id="tisa",
    title="TISA (Dibal)",
    models=("Dibal DPOS-400", "Epelsa-type shop scales with TISA"),
    source="Dibal DPOS-400 manual p. 15",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
    options=(
        Option(name="decimals", type="integer", default=3, minimum=0, maximum=3, help="decimals of the weight in kg"),
        Option(name="price_decimals", type="integer", default=2, minimum=0, maximum=3, help="decimals of the amount"),
    ),
    adapt=_adapt,
)
