r"""NCI, Weigh-Tronix 3835 and Avery Weigh-Tronix scales, asked by `W` CR; also CAS CI-100A and Adam in NCI mode.

Source: Weigh-Tronix NCI SCP-01 standard; CAS CI-100A manual p. 40; NCI 7800 manual p. 32; Avery Weigh-Tronix 7821
manual p. 25. 9600 7E1, some 8N1.

    host    W ␍
    scale   ␊ 0012.34 lb ␍ ␊ S1 S2 [S3 S4] ␍ ETX         weight and status
            ␊ S1 S2 [S3 S4] ␍ ETX                        status only: moving, or out of range on many models
            ␊ ? ␍ ETX                                    command not known

    weight  seven characters and the unit, or six, a blank and the unit; grams in five characters, `g` and a blank
            (Salter Brecknell 3700LP manual p. 11); `^` all over when over capacity, `_` under,
            `-` where zero cannot be found
    S1      bit 0 motion, 1 at zero, 2 and 3 memory errors            S2   bit 0 under, 1 over capacity, 2 and 3 errors
    S3      bit 2 net, 3 initial zero error; bits 4, 5 are 1 in all of them, bit 6 may be 0 or 1
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from drivers.framing import Lines
from drivers.scale_codec import COMMON_UNITS, Dialect, Form, Poll, State, scale_driver

_BYTES: Final = (*range(0x30, 0x40), *range(0x70, 0x80))


def _texts(holds: Callable[[int], bool]) -> Iterator[str]:
    return (chr(code) for code in _BYTES if holds(code))


def _any(holds: Callable[[int], bool]) -> bytes:
    return b"[" + b"".join(re.escape(text.encode()) for text in _texts(holds)) + b"]"


_STATUS = _any(lambda code: True)
_BROKEN = _any(lambda code: bool(code & 0x0C))
_SOUND = _any(lambda code: not code & 0x0C)
_OVER = _any(lambda code: code & 0x0F == 2)
_UNDER = _any(lambda code: code & 0x0F == 1)
_WITHIN = _any(lambda code: not code & 0x0F)
_MOVING = _any(lambda code: code & 0x0D == 1)
_NO_ZERO = _any(lambda code: bool(code & 0x08))
_WEIGHT = (
    rb" *(?P<sign>-?) *(?P<weight>[0-9]+(?:\.[0-9]+)?)%%b\r\n(?P<stability>%b)(?P<condition>%b)(?:(?P<basis>%b)%b)?"
    % (
        _SOUND,
        _SOUND,
        _STATUS,
        _STATUS,
    )
)
_WEIGHED = rb"(?:\n[^\r\n]{6,12}\r)?"
_MORE = rb"(?:%b%b)?" % (_STATUS, _STATUS)

DIALECT = Dialect(
    framing=Lines(end=b"\r\x03", limit=40, start=re.compile(rb"\n(?=[^\r\n]{6,12}\r\n)")),
    forms=(
        Form(
            pattern=re.compile(rb"\n(?=(?:.{7}|.{6} )[A-Za-z]{2}\r)" + _WEIGHT % rb" ?(?P<unit>[A-Za-z]{2})"),
            whole=True,
        ),
        Form(pattern=re.compile(rb"\n(?=[ -].{4}[Gg] \r)" + _WEIGHT % rb"(?P<unit>[Gg]) "), whole=True),
    ),
    states=(
        State(
            pattern=re.compile(rb"%b\n(?:%b%b|%b%b)%b" % (_WEIGHED, _BROKEN, _STATUS, _STATUS, _BROKEN, _MORE)),
            means="error",
            detail="memory or calibration error",
        ),
        State(
            pattern=re.compile(rb"%b\n%b%b%b%b" % (_WEIGHED, _STATUS, _STATUS, _NO_ZERO, _STATUS)),
            means="error",
            detail="initial zero error",
        ),
        State(pattern=re.compile(rb"%b\n%b%b%b" % (_WEIGHED, _STATUS, _OVER, _MORE)), means="overload"),
        State(pattern=re.compile(rb"%b\n%b%b%b" % (_WEIGHED, _STATUS, _UNDER, _MORE)), means="underload"),
        State(pattern=re.compile(rb"\n\^+ ?[A-Za-z]{2}\r\n%b%b%b" % (_STATUS, _STATUS, _MORE)), means="overload"),
        State(pattern=re.compile(rb"\n_+ ?[A-Za-z]{2}\r\n%b%b%b" % (_STATUS, _STATUS, _MORE)), means="underload"),
        State(
            pattern=re.compile(rb"\n-+ ?[A-Za-z]{2}\r\n%b%b%b" % (_STATUS, _STATUS, _MORE)),
            means="error",
            detail="zero error",
        ),
        State(pattern=re.compile(rb"\n%b%b%b" % (_MOVING, _WITHIN, _MORE)), means="busy", detail="moving"),
        State(pattern=re.compile(rb"\n%b%b%b" % (_SOUND, _WITHIN, _MORE)), means="other", detail="status only"),
        State(pattern=re.compile(rb"\n\?"), means="error", detail="command not known"),
    ),
    units={**COMMON_UNITS, **{text.lower(): unit for text, unit in COMMON_UNITS.items()}},
    stability={text: "moving" if ord(text) & 1 else "stable" for text in _texts(lambda code: not code & 0x0C)},
    condition=dict.fromkeys(_texts(lambda code: not code & 0x0F), "ok"),
    basis={text: "net" if ord(text) & 4 else "gross" for text in _texts(lambda code: not code & 0x08)},
    poll=Poll(send=b"W\r", after=0.3),
    commands={"zero": b"Z\r"},
)

SPEC = scale_driver(
    DIALECT,
    id="nci-3835",
    title="NCI, Weigh-Tronix 3835",
    models=("Weigh-Tronix 3835", "NCI 7800", "Avery Weigh-Tronix 7821", "CAS CI-100A", "Adam MDW, CBD"),
    source="NCI SCP-01 standard; CAS CI-100A manual p. 40; Avery Weigh-Tronix 7821 manual p. 25",
    maturity="manual",
    line={"baud": "9600", "bytesize": "7", "parity": "E", "stopbits": "1"},
    stale_after=5.0,
)
