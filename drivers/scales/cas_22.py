"""CAS CI indicators, 22-byte format, with a binary device number and lamp byte.

Source: CAS CI-600D manual p. 74; CI-400 manual p. 103; CI-150A manual p. 54; NT-200 manual p. 48; captures of CI-200A
and CI-6000. 9600 8N1; streaming, or on request.

    byte    0  2 3  5 6  7  8 9              17 18 20
            ST , GS , ID LP , _____0.0        _  kg ␍␊

    0-1     ST stable, US moving, OL out of range          3-4     GS gross, NT net
    6       device number: binary on CI (it can be a comma or a line feed), `1` … on NT-200
    7       lamps: bit 6 stable, 4 hold, 3 printer, 2 gross, 1 tare, 0 zero; 7 always (8-bit lines), 5 on some models
    9-16    weight with its point, right-aligned           17      blank, or NUL on CI-6000          18-19   unit

The stable lamp says the same as ST and US: a frame in which they disagree is rejected. In command mode the
instrument zeroes and tares at `D`, its number in two digits, `KZ` or `KT`; tare is unverified.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from drivers.framing import Fixed
from drivers.scale_codec import COMMON_UNITS, SIGNED, Dialect, Form, State, scale_driver
from edge_agent.driver import Option

_LENGTH: Final = 22
_STABLE_LAMP: Final = 0x40


def _in_columns(frame: bytes) -> bool:
    return frame[5:6] == frame[8:9] == b"," and frame.endswith(b"\r\n")


def _lamps(*, stable: bool) -> bytes:
    lit = (lamp for lamp in range(256) if bool(lamp & _STABLE_LAMP) == stable)
    return b"[" + b"".join(re.escape(bytes((lamp,))) for lamp in lit) + b"]"


def _form(header: bytes, lamps: bytes) -> Form:
    return Form(
        pattern=re.compile(
            rb"(?P<stability>%b),(?P<basis>GS|NT),.%b,(?=.{13}\Z)%b[ \0](?=..\r\n\Z) ?(?P<unit>[A-Za-z]{1,2})\r\n"
            % (header, lamps, SIGNED),
            re.DOTALL,
        )
    )


DIALECT = Dialect(
    framing=Fixed(start=(b"ST,", b"US,", b"OL,"), length=_LENGTH, check=_in_columns, reason="malformed"),
    forms=(_form(b"ST", _lamps(stable=True)), _form(b"US", _lamps(stable=False))),
    states=(
        State(pattern=re.compile(rb"OL,(?:GS|NT),..,[ 0-9.]*-[ 0-9.]*[ \0]..\r\n", re.DOTALL), means="underload"),
        State(pattern=re.compile(rb"OL,(?:GS|NT),..,.{8}[ \0]..\r\n", re.DOTALL), means="overload"),
    ),
    units=COMMON_UNITS,
    stability={"ST": "stable", "US": "moving"},
    basis={"GS": "gross", "NT": "net"},
    any_case=True,
)


def _adapt(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    number = b"%02d" % options["number"]
    return dataclasses.replace(dialect, commands={"zero": b"D" + number + b"KZ\r\n", "tare": b"D" + number + b"KT\r\n"})


SPEC = scale_driver(
    dataclasses.replace(DIALECT, commands={"zero": b"D01KZ\r\n", "tare": b"D01KT\r\n"}),
    id="cas-22",
    title="CAS CI, 22 bytes",
    models=("CAS CI-150A, CI-200A, CI-400, CI-600D, CI-6000", "CAS NT-200", "Caston"),
    source="CAS CI-600D manual p. 74; CI-400 manual p. 103; captures of CI-200A and CI-6000",
    maturity="captured",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    stale_after=3.0,
    options=(
        Option(
            name="number",
            type="integer",
            default=1,
            minimum=0,
            maximum=99,
            help="the indicator's device number, for its zero and tare commands",
        ),
    ),
    adapt=_adapt,
)
