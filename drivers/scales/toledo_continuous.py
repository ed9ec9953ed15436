"""METTLER TOLEDO standard continuous output: 8142, 8530, IND13x/23x/445, XK3124 and clones.

Source: WILDCAT technical manual pp. 6-4, 6-5; IND445 manual p. 50; IND131/331 manual p. 121. 4800 or 9600 baud,
8N1, 7E1 or 7E2; about 20 frames a second.

    byte     1    2    3    4    5 6 7 8 9 10   11 12 13 14 15 16   17   18
            STX  SWA  SWB  SWC   W W W W W W     T  T  T  T  T  T   CR   CHK
            02                                                      0D   optional

    W, T   displayed weight and tare: six characters, leading blanks, no point, no sign; `*` while averaging
    SWA    bits 2-0 decimals: 0 XXXX00, 1 XXXXX0, 2 XXXXXX, 3 .X, 4 .XX … 7 .XXXXX; bits 4-3 increment
    SWB    0 net, 1 negative, 2 out of range (over, or under when negative), 3 motion, 4 kg (else lb),
           6 zero not captured since power-up
    SWC    bits 2-0 unit: 0 by SWB, 1 g, 2 t, 3 oz, 6 ton, 7 N; 3 print; 4 expanded ten times
    CHK    two's complement of the low seven bits of the sum of bytes 1 to 17: can be 0A, 0D or 02

Bits not named here are fixed at 1 or 0 by the manual, but not by all clones; they are not looked at. Whether
there is a checksum is learned from the stream: behind CR stands either the right checksum or the next STX.
Once it has come right three times, frames without it are refused. No weight is taken from expanded frames
(manuals disagree on their decimals), nor before the zero is captured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import twos_complement_7
from drivers.framing import NOISE_LIMIT, Cut, Frame, FrameBuffer
from drivers.scale_codec import Refused, command_bytes, displayed
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Send
from edge_agent.model import DeviceEvent, Reading, Rejected, Status

_STX: Final = 0x02
_CR: Final = 0x0D
_BARE: Final = 17
_CHECKED: Final = 18
_SURE: Final = 3
"""So many frames alike and the instrument is known to send, or not to send, the checksum."""

_COMMANDS: Final = MappingProxyType({"zero": b"Z", "tare": b"T", "clear-tare": b"C"})
_UNITS: Final = MappingProxyType({1: "g", 2: "t", 3: "oz"})
_FIELD = re.compile(rb" *[0-9]+")


class _ContinuousFraming:
    """Frames of 17 or 18 bytes; learns which. Its judgement depends on the bytes alone."""

    def __init__(self) -> None:
        self._checked = 0
        self._bare = 0

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        if data[at] != _STX:
            return self._noise(data, at, final=final)
        for index in range(at + 1, min(at + _BARE - 1, len(data))):
            if data[index] < 0x20 or data[index] > 0x7F:
                self._bare = 0
                size = index - at if data[index] == _STX else index - at + 1
                return Cut(size=size, reason="truncated" if data[index] == _STX else "malformed", lost=True)
        if len(data) - at < _BARE:
            return Cut(size=len(data) - at, reason="truncated", lost=True) if final else None
        if data[at + _BARE - 1] != _CR:
            self._bare = 0
            size = _BARE - 1 if data[at + _BARE - 1] == _STX else _BARE
            return Cut(size=size, reason="malformed", lost=True)
        return self._ending(data, at, final=final)

    def _noise(self, data: bytes, at: int, *, final: bool) -> Cut | None:
        start = data.find(b"\x02", at, at + NOISE_LIMIT)
        size = start - at if start >= 0 else min(len(data) - at, NOISE_LIMIT)
        if start < 0 and size < NOISE_LIMIT and not final:
            return None
        self._bare = 0
        return Cut(size=size, reason="noise", lost=True)

    def _ending(self, data: bytes, at: int, *, final: bool) -> Cut | None:
        """All 17 bytes are there: is an 18th the checksum, and is it right?"""
        if self._bare >= _SURE:
            return self._without_checksum(data, at)
        check = twos_complement_7(data[at : at + _BARE])[0]
        following = data[at + _BARE : at + _BARE + 2]
        if not following:
            return self._without_checksum(data, at) if final else None
        if following[0] != _STX:
            return self._with_checksum(data, at, right=following[0] == check)
        if len(following) < 2:  # a checksum of 02, or the next frame: if it cannot be told, refuse
            return self._with_checksum(data, at, right=check == _STX) if final else None
        if following[1] == _STX:
            return self._with_checksum(data, at, right=check == _STX)
        return self._without_checksum(data, at)

    def _with_checksum(self, data: bytes, at: int, *, right: bool) -> Cut:
        self._bare = 0
        if not right:
            return Cut(size=_CHECKED, reason="checksum", lost=True)
        self._checked += 1
        return Cut(size=_CHECKED, body=data[at : at + _BARE])

    def _without_checksum(self, data: bytes, at: int) -> Cut:
        if self._checked >= _SURE:
            return Cut(size=_BARE, reason="checksum", lost=True)
        self._bare += 1
        return Cut(size=_BARE, body=data[at : at + _BARE])


class ToledoContinuousCodec:
    """Reads the status words; see `edge_agent.driver.Codec`."""

    deadline: float | None = None

    def __init__(self) -> None:
        self._frames = FrameBuffer(_ContinuousFraming())

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        return [_decode(piece) for piece in self._frames.feed(data)]

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`: nothing is ever due."""
        return []

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: single letters (IND445 manual p. 50)."""
        return [Send(data=command_bytes(_COMMANDS, name))]

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return [_decode(piece) for piece in self._frames.finish()]


def _decode(piece: Frame | Rejected) -> DeviceEvent:
    if isinstance(piece, Rejected):
        return piece
    swa, swb, swc = piece.body[1:4]
    weight, tare = piece.body[4:10], piece.body[10:16]
    if swb & 0x04:
        return Reading(weight=None, condition="underload" if swb & 0x02 else "overload", raw=piece.raw)
    if swb & 0x40:
        return Status(status="busy", detail="zero not captured since power-up", raw=piece.raw)
    if b"*" in weight and not weight.strip(b"*"):
        return Status(status="busy", detail="averaging", raw=piece.raw)
    try:
        if swc & 0x10:
            raise Refused("expanded")
        decimals = (swa & 0x07) - 2
        return Reading(
            weight=_number("-" if swb & 0x02 else "", weight, decimals),
            unit=_unit(swb, swc),
            stability="moving" if swb & 0x08 else "stable",
            basis="net" if swb & 0x01 else "gross",
            tare=_number("", tare, decimals) if tare.strip() else None,
            raw=piece.raw,
        )
    except Refused as refused:
        return Rejected(reason=str(refused), raw=piece.raw)


def _number(sign: str, field: bytes, decimals: int) -> str:
    if not _FIELD.fullmatch(field):
        raise Refused("malformed")
    return displayed(sign, field.strip().decode("ascii"), decimals)


def _unit(swb: int, swc: int) -> str:
    code = swc & 0x07
    if code == 0:
        return "kg" if swb & 0x10 else "lb"
    if code not in _UNITS:
        raise Refused("unknown-unit")
    return _UNITS[code]


def _make(options: Mapping[str, Any]) -> ToledoContinuousCodec:
    return ToledoContinuousCodec()


SPEC = DriverSpec(
    id="toledo-continuous",
    kind="scale",
    title="METTLER TOLEDO standard continuous output",
    make=_make,
    models=("METTLER TOLEDO 8142, 8530, IND131, IND245, IND445, XK3124, WILDCAT", "Vector VI-200", "Liden LUW2001"),
    source="WILDCAT technical manual pp. 6-4, 6-5; IND445 manual p. 50; IND131/331 manual p. 121",
    maturity="manual",
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    tells=("unit", "stability", "basis", "overload", "tare", "checksum"),
    dialogue=Dialogue(commands=tuple(sorted(_COMMANDS))),
    stale_after=3.0,
)
