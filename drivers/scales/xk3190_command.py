"""Yaohua XK3190 command mode: indicators on one line that answer by address.

Source: XK3190-A9+ manual, chapter on serial communication (command mode); KELI XK3118K9-R manual p. 10. 600 to 9600
baud, 8N1.

    host    STX ADR CMD          X X ETX      ADR A … Z (numbers 1 to 26)      X  XOR of what lies between, as 0-9 A-F
    scale   STX ADR CMD payload  X X ETX

    CMD     A handshake, B gross, C tare, D net; E and F differ from model to model and carry no weight here
    payload of B, C, D: sign, six digits, decimals counted from the right; KELI: sign, six digits with their point

`H` for zero is unverified: it was seen in programs, not in a manual. The reply tells no unit, no stability and no
overload. Without the option `address` a reply of any address is read, and A is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drivers.checksum import xor_hex
from drivers.framing import Marked
from drivers.scale_codec import Dialect, Form, Poll, State, scale_driver
from edge_agent.driver import Option

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CHECK = rb"(?P<check>[0-9A-F]{2})"


def _request(address: bytes, command: bytes) -> bytes:
    return b"\x02" + address + command + xor_hex(address + command) + b"\x03"


def _dialect(address: str, read: str) -> Dialect:
    from_us = address.encode("ascii") or b"[A-Z]"
    asked = address.encode("ascii") or b"A"
    reply = rb"(?P<checked>%b(?P<basis>[BCD])(?P<sign>[+-])" % from_us
    return Dialect(
        framing=Marked(start=b"\x02", end=b"\x03", limit=32),
        forms=(
            Form(pattern=re.compile(reply + rb"(?P<weight>[0-9]{6})(?P<decimals>[0-4]))" + _CHECK)),
            Form(pattern=re.compile(reply + rb"(?=.{7}..\Z)(?P<weight>[0-9]+\.[0-9]*))" + _CHECK)),
        ),
        states=(
            State(pattern=re.compile(rb"(?P<checked>%bA)%b" % (from_us, _CHECK)), means="ack", detail="handshake"),
            State(pattern=re.compile(rb"(?P<checked>%b[E-Z][ -~]*)%b" % (from_us, _CHECK)), means="other"),
        ),
        basis={"B": "gross", "C": "tare", "D": "net"},
        checksum="xor-hex",
        poll=Poll(send=_request(asked, b"D" if read == "net" else b"B"), after=0.3),
        commands={"zero": _request(asked, b"H")},
    )


def _adapt(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    return _dialect(options["address"], options["read"])


SPEC = scale_driver(
    _dialect("", "gross"),
    id="xk3190-command",
    title="Yaohua XK3190, command mode",
    models=("Yaohua XK3190-A9+, A23p, A26 in command mode", "KELI XK3118K9-R"),
    source="XK3190-A9+ manual, command mode; KELI XK3118K9-R manual p. 10",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=5.0,
    options=(
        Option(
            name="address",
            type="text",
            default="",
            choices=("", *_LETTERS),
            help="the indicator's letter; replies of others are then refused",
        ),
        Option(
            name="read", type="text", default="gross", choices=("gross", "net"), help="which weight it is asked for"
        ),
    ),
    adapt=_adapt,
)
