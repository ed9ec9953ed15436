"""DP-401 label scale with Wi-Fi: it connects to a server, and sends a line for each weighing and each label.

Source: KKBalta/carnitrack-edge, "TCP Server API Contract" (packets of real scales). TCP, the scale connects to port
8899; each packet is text, those without CR LF follow each other directly.

    SCALE-01                     who it is, once
    HB                           alive, every 30 seconds
    KONTROLLU AKTAR OK?          asks whether it may send; the answer is OK LF
    00001,06:00:27,30.01.2026,BONFILE,000000000004,0000,KAAN,0000072091,0000062415,0000009676,2,0,2,1,N,COMPANY ␍␊

    fields   PLU (after a question with P or P" in front), time, date, product, barcode, code, operator,
             gross, tare, net (ten digits each), flags, company; the text is in a single-byte code page

Gross must be net + tare, or the line is refused. The scale counts in grams, but in steps of 100 g where it
was set so, and a line does not tell which. Without the option `division` a line whose gross weight is under
1000 could be either and is refused; one with more is taken in grams. Each weighing comes twice, a second or two
apart (weight, then label).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import NOISE_LIMIT, Cut
from drivers.scale_codec import Dialect, Form, ScaleCodec, State
from edge_agent.driver import CodecOutput, DriverSpec, Option, Send
from edge_agent.model import Reading, Status

_LIMIT: Final = 320
_PACKET = re.compile(rb"HB|SCALE-[0-9]{2}|KONTROLLU AKTAR OK\?")
_PROMPT: Final = "asks whether it may send"


class Packets:
    """Packets that are known by their words, and lines."""

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        begin = at
        while begin < min(len(data), at + _LIMIT) and data[begin] in b"\r\n":
            begin += 1
        if begin - at == _LIMIT or (final and begin == len(data)):
            return Cut(size=begin - at, reason="noise")
        packet = _PACKET.match(data, begin)
        if packet and not lost:
            return Cut(size=packet.end() - at, body=packet[0])
        end = data.find(b"\n", begin, at + _LIMIT)
        if end >= 0:
            return self._piece(data, at, begin, end + 1, lost)
        if len(data) - at >= _LIMIT:
            return Cut(size=NOISE_LIMIT, reason="too-long", lost=True)
        return self._piece(data, at, begin, len(data), lost) if final else None

    @staticmethod
    def _piece(data: bytes, at: int, begin: int, stop: int, lost: bool) -> Cut:
        if lost:
            return Cut(size=stop - at, reason="noise")
        line = data[begin:stop]
        body = line.rstrip(b"\r\n")
        return Cut(size=stop - at, body=body, closed="mark" if line.endswith(b"\n") else "stream")


_TEN = rb"[0-9]{10}"
_TEXT = rb"[^,\r\n]*"


def _dialect(division: str) -> Dialect:
    # in steps of 100 g the digits are tenths of a kilogram
    gross = rb"(?!0{7})" + _TEN if division == "auto" else _TEN
    return Dialect(
        framing=Packets(),
        forms=(
            Form(
                pattern=re.compile(
                    rb'(?:P"?)?[0-9]{5},[0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{2}\.[0-9]{2}\.[0-9]{4},%b,[0-9]{12,13},%b,%b,'
                    rb"(?P<gross>%b),(?P<tare>%b),(?P<weight>%b)(?:,%b){0,8}"
                    % (_TEXT, _TEXT, _TEXT, gross, _TEN, _TEN, _TEXT)
                ),
                unit="kg",
                stability="stable",
                basis="net",
            ),
        ),
        states=(
            State(pattern=re.compile(rb"HB"), means="heartbeat"),
            State(pattern=re.compile(rb"SCALE-[0-9]{2}"), means="other", detail="registration"),
            State(pattern=re.compile(rb"KONTROLLU AKTAR OK\?"), means="other", detail=_PROMPT),
        ),
        decimals=1 if division == "100g" else 3,
    )


class Dp401Codec(ScaleCodec):
    """Answers the scale's question, and its lines, with OK."""

    def __init__(self, *, division: str, answer: bool) -> None:
        super().__init__(_dialect(division))
        self._answer = answer

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs: list[CodecOutput] = []
        for event in super().feed(data, now):
            outputs.append(event)
            asked = isinstance(event, Status) and event.detail == _PROMPT
            if self._answer and (asked or isinstance(event, Reading)):
                outputs.append(Send(data=b"OK\n"))
        return outputs


def _make(options: Mapping[str, Any]) -> Dp401Codec:
    return Dp401Codec(division=options.get("division", "auto"), answer=options.get("answer", True))


SPEC = DriverSpec(
    id="dp-401",
    kind="scale",
    title="DP-401 label scale, pushed over TCP",
    make=_make,
    models=("DP-401",),
    source="KKBalta/carnitrack-edge, TCP server API contract",
    maturity="captured",
    interfaces=("tcp", "memory"),
    line=MappingProxyType({}),
    options=(
        Option(
            name="division",
            type="text",
            default="auto",
            choices=("auto", "1g", "100g"),
            help="what the scale's last digit counts; auto: grams, and refuses lines that could be either",
        ),
        Option(name="answer", type="boolean", default=True, help="answer the scale's questions and lines with OK"),
    ),
    tells=("unit", "stability", "basis", "tare"),
    stale_after=75.0,
)
