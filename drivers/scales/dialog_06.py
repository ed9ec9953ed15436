r"""Checkout-Dialog 02, 04 and 06: shop scales of Bizerba and METTLER TOLEDO at a till; read only.

Source: "Checkout-Dialog 06" descriptions of Bizerba and METTLER TOLEDO; all of it unverified. 2400 or 4800 baud, 7O1.

    till    EOT STX record ESC … ETX                                   (04 02 …)
    scale   STX 02 ESC s ESC wwwww ESC pppppp ESC aaaaaa ETX           weight, unit price, amount
            STX 09 ESC nn ETX                                          why there is none

    s    unit and place of the point: 3 kg in grams, 1 lb in hundredths, 2 lb in thousandths by 5; 0 lb:oz is refused
    nn   20 moving, 21 no movement since the last, 22 not finished, 30 under the least load, 31 negative, 32 overload

A till must answer the scale's checksum challenge (records 10 and 11) with a polynomial that the makers keep to
themselves, so this driver does not ask; it reads what passes between a till and its scale. Price and amount have
two decimals unless set otherwise.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from drivers.framing import Marked
from drivers.scale_codec import Dialect, Form, State, scale_driver
from edge_agent.driver import Option

_RESULT = rb"02\x1b%b\x1b(?P<weight>[0-9]{5})\x1b(?P<price>[0-9]{6})\x1b(?P<amount>[0-9]{6})"

DIALECT = Dialect(
    framing=Marked(start=b"\x02", end=b"\x03", limit=40, singles=b"\x04\x05\x06\x15"),
    forms=(
        Form(pattern=re.compile(_RESULT % b"3"), unit="kg", decimals=3, stability="stable"),
        Form(pattern=re.compile(_RESULT % b"1"), unit="lb", decimals=2, stability="stable"),
        Form(pattern=re.compile(_RESULT % b"2"), unit="lb", decimals=3, stability="stable"),
    ),
    states=(
        State(pattern=re.compile(rb"09\x1b2[02]"), means="busy", detail="moving"),
        State(pattern=re.compile(rb"09\x1b21"), means="busy", detail="no movement since the last weighing"),
        State(pattern=re.compile(rb"09\x1b30"), means="other", detail="under the least load"),
        State(pattern=re.compile(rb"09\x1b31"), means="underload"),
        State(pattern=re.compile(rb"09\x1b32"), means="overload"),
        State(pattern=re.compile(rb"09\x1b[0-9]{2}"), means="error"),
        State(pattern=re.compile(rb"1[01]\x1b[ -~]*"), means="error", detail="checksum challenge"),
        State(pattern=re.compile(rb"[\x04\x05]"), means="other", detail="line control"),
        State(pattern=re.compile(rb"\x06"), means="ack"),
        State(pattern=re.compile(rb"\x15"), means="busy", detail="not acknowledged"),
    ),
    price_decimals=2,
)


def _adapt(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    return dataclasses.replace(dialect, price_decimals=options["price_decimals"])


SPEC = scale_driver(
    DIALECT,
    id="dialog-06",
    title="Checkout-Dialog 06",
    models=("Bizerba shop scales", "METTLER TOLEDO shop scales"),
    source="Checkout-Dialog 06 descriptions, unverified",
    maturity="manual",
    line={"baud": "2400", "bytesize": "7", "parity": "O", "stopbits": "1"},
    stale_after=None,
    options=(
        Option(
            name="price_decimals", type="integer", default=2, minimum=0, maximum=3, help="decimals of price and amount"
        ),
    ),
    adapt=_adapt,
)
