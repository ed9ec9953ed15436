"""DP-401 label scales that connect to the agent and push each weighing and label.

Source: KKBalta/carnitrack-edge, "TCP Server API Contract" (packets of real scales); the lines are those of the driver
`dp-401`, read here as what they are: finished weighings of named goods.

    SCALE-01 · HB · KONTROLLU AKTAR OK?        who it is, alive, may it send; the answer to the last is OK LF
    00001,06:00:27,30.01.2026,BONFILE,000000000004,0000,KAAN,0000072091,0000062415,0000009676,2,0,2,1,N,COMPANY ␍␊
    PLU   time     date       product barcode      code operator  gross     tare      net         flags    company

The answer OK to a line is given when it is kept, not when it is read. A line has no number: it is told by its time,
barcode and masses. Each weighing comes twice, a second or two apart (weight, then label); the second is the same sale.
As with `dp-401`, `division` says what the last digit counts. There are no prices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Frame, FrameBuffer
from drivers.scales.dp_401 import Packets
from edge_agent.driver import CodecOutput, DriverSpec, Option, Send
from edge_agent.model import PushedSale, Rejected, Status

_TWICE_WITHIN: Final = 3
"""Seconds by the scale's clock between a weighing and its label."""
_ANSWER: Final = Send(data=b"OK\n")
_LINE: Final = re.compile(
    rb'(?:P"?)?(?P<plu>[0-9]{5}),(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}),(?P<date>[0-9]{2}\.[0-9]{2}\.[0-9]{4}),'
    rb"(?P<product>[^,\r\n]*),(?P<barcode>[0-9]{12,13}),(?P<code>[^,\r\n]*),(?P<operator>[^,\r\n]*),"
    rb"(?P<gross>[0-9]{10}),(?P<tare>[0-9]{10}),(?P<net>[0-9]{10})(?:,[^,\r\n]*){0,8}"
)


class Dp401PushCodec:
    """Packets to sales; see `edge_agent.driver.Codec` and `Settles`."""

    deadline = None

    def __init__(self, division: str, page: str) -> None:
        self._division = division
        self._page = page
        self._packets = FrameBuffer(Packets())
        self._last: tuple[tuple[bytes, ...], datetime, str] | None = None

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        return [output for piece in self._packets.feed(data) for output in self._piece(piece)]

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        return []

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: it has none."""
        raise ValueError(f"no command {name!r}; a DP-401 takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return [output for piece in self._packets.finish() for output in self._piece(piece)]

    def settled(self, sale: PushedSale, now: float) -> list[CodecOutput]:
        """See `Settles.settled`: only now the scale hears that it may forget the line."""
        return [_ANSWER]

    def _piece(self, piece: Frame | Rejected) -> list[CodecOutput]:
        if isinstance(piece, Rejected):
            return [piece]
        if piece.body == b"HB":
            return [Status(status="heartbeat", raw=piece.raw)]
        if piece.body.startswith(b"SCALE-"):
            return [Status(status="other", detail="registration", raw=piece.raw)]
        if piece.body.startswith(b"KONTROLLU"):
            return [Status(status="other", detail="asks whether it may send", raw=piece.raw), _ANSWER]
        line = _LINE.fullmatch(piece.body)
        if line is None:
            return [Rejected(reason="malformed", raw=piece.raw)]
        return [self._line(line, piece.raw)]

    def _line(self, line: re.Match[bytes], raw: bytes) -> PushedSale | Rejected:
        gross, tare, net = (int(line[name]) for name in ("gross", "tare", "net"))
        try:
            at = datetime.strptime(f"{line['date'].decode()} {line['time'].decode()}", "%d.%m.%Y %H:%M:%S")
        except ValueError:
            return Rejected(reason="bad-time", raw=raw)
        if gross != net + tare:
            return Rejected(reason="inconsistent", raw=raw)
        if not net:
            return Rejected(reason="no-quantity", raw=raw)
        if self._division == "auto" and gross < 1000:
            return Rejected(reason="ambiguous", raw=raw)
        key = tuple(line[name] for name in ("plu", "barcode", "gross", "tare", "net"))
        number = f"{at:%Y%m%dT%H%M%S}-{line['barcode'].decode()}-{gross}-{tare}"
        if self._last is not None and self._last[0] == key and 0 <= (at - self._last[1]).seconds <= _TWICE_WITHIN:
            number = self._last[2]
        self._last = key, at, number
        grams = 100 if self._division == "100g" else 1
        return PushedSale(
            number=number,
            raw=raw,
            sold_at=at.isoformat(),
            weight=str(net * grams),
            gross=str(gross * grams),
            tare=str(tare * grams),
            unit="g",
            goods_code=line["barcode"].decode(),
            goods_name=line["product"].decode(self._page, "replace").strip() or None,
        )


def _make(options: Mapping[str, Any]) -> Dp401PushCodec:
    return Dp401PushCodec(options.get("division", "auto"), options.get("code_page", "cp1254"))


SPEC = DriverSpec(
    id="dp-401-push",
    kind="push",
    title="DP-401 label scale, connects to the agent",
    make=_make,
    models=("DP-401",),
    source="KKBalta/carnitrack-edge, TCP server API contract",
    maturity="captured",
    interfaces=("tcp-listen", "tcp", "memory"),
    line=MappingProxyType({}),
    options=(
        Option(
            name="division",
            type="text",
            default="auto",
            choices=("auto", "1g", "100g"),
            help="what the scale's last digit counts; auto: grams, and refuses lines that could be either",
        ),
        Option(
            name="code_page",
            type="text",
            default="cp1254",
            choices=("cp1254", "latin-1", "gb18030", "utf-8"),
            help="of the product names",
        ),
    ),
    tells=("unit", "tare", "device time"),
    stale_after=75.0,
    status_is_life=True,
)
