"""CAS AP, PD, SW, PR and ACLAS PS1X, OS2X (also Mertech, Ohaus Aviator 7000): asked by ENQ, answered by ACK.

Source: CAS AP-1 protocol note; CAS SW-II manual p. 15; ACLAS OS2CX manual p. 19; Ohaus Aviator 7000 manual p. 36;
captured on M-ER 328ACPX. 9600 8N1. ACLAS scales in active mode send the same frame unasked (`poll = false`).

    host    ENQ 05          DC1 11, or DC2 12 with the option `price`
    scale           ACK 06         frame          (NAK 15: not now)

    byte     1    2    3    4   5 6 7 8 9 10   11 12   13   14   15
            SOH  STX  STA   S   W W W W W W    U  U    BCC  ETX  EOT
            01   02                                          03   04

    STA  S stable, U moving, F out of range or no zero at start      S    blank, -, F (overload, digits F)
    W    six characters with their point (seven on some)      U   kg, lb, g, SJ (jin); TJ, TL of Taiwan: refused
    BCC  XOR from STA to the last unit character; it can be any byte

    DC2 is answered in three blocks, each with its BCC (Aviator 7000 manual p. 36): amount, weight, unit price.

    SOH  STX  amount  BCC ETX  STX  STA S WWWWWW UU  BCC ETX  STX  price  BCC ETX  EOT
              8 characters with their point                        8, as the amount

ACLAS OS2 zeroes at `<ZK>` TAB and tares at `<TK>` TAB; others do not know these.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from drivers.checksum import xor
from drivers.framing import Frame, Marked
from drivers.scale_codec import Dialect, Form, FrameCodec, Refused, State, displayed, poll_options, read_frame
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent, Reading, Status

_ENQ: Final = b"\x05"
_DC1: Final = b"\x11"
_DC2: Final = b"\x12"
_COMMANDS: Final = MappingProxyType({"zero": b"<ZK>\t", "tare": b"<TK>\t"})
_UNIT = rb" ?(?P<unit>[A-Za-z]{1,2}) ?"


def _form(fields: bytes, **constants: Any) -> Form:
    """A frame's body: 11 characters, 12 where the weight has seven; the last is the BCC over the others."""
    return Form(pattern=re.compile(rb"(?=.{11,12}\Z)(?P<checked>" + fields + rb")(?P<check>.)", re.DOTALL), **constants)


DIALECT = Dialect(
    framing=Marked(start=b"\x01\x02", end=b"\x03\x04", limit=40, singles=b"\x06\x15"),
    forms=(
        _form(rb"(?P<stability>[SU])(?P<sign>[ -])(?P<weight> *[0-9]{1,6}(?:\.[0-9]{1,5})?)" + _UNIT),
        _form(rb"[SUF](?P<sign>F)[F0-9. ]{6,7}[A-Za-z ]{2}", condition="overload"),
        _form(rb"[SUF](?P<sign>[ -]) *F[F ]*[A-Za-z ]{2}", condition="by-sign"),
        _form(rb"F(?P<sign>[ -])[0-9. ]{6,7}[A-Za-z ]{2}", condition="by-sign"),
    ),
    states=(
        State(pattern=re.compile(rb"\x06"), means="ack"),
        State(pattern=re.compile(rb"\x15"), means="busy", detail="not acknowledged"),
    ),
    stability={"S": "stable", "U": "moving"},
    units={"KG": "kg", "G": "g", "LB": "lb", "OZ": "oz", "SJ": "jin", "TJ": None, "TL": None},
    checksum="xor",
    any_case=True,
)


_SUM = rb"(?P<%b>[ 0-9.]{8})(?P<%b_check>.)"
_BLOCKS: Final = re.compile(
    _SUM % (b"amount", b"amount") + rb"\x03\x02(?P<weight>.{11,12})\x03\x02" + _SUM % (b"price", b"price") + rb"\x03",
    re.DOTALL,
)


def _read(frame: Frame) -> DeviceEvent:
    """What one frame says; raises `Refused`."""
    blocks = _BLOCKS.fullmatch(frame.body + b"\x03") if len(frame.body) > 12 else None
    if blocks is None:
        return read_frame(DIALECT, frame)
    if any(xor(blocks[name]) != blocks[f"{name}_check"] for name in ("amount", "price")):
        raise Refused("checksum")
    event = read_frame(DIALECT, dataclasses.replace(frame, body=blocks["weight"]))
    if not isinstance(event, Reading) or event.weight is None:
        return event
    texts = {name: blocks[name].decode("ascii").strip() for name in ("amount", "price")}
    amount, price = (displayed("", text) if text else None for text in texts.values())
    return dataclasses.replace(event, unit_price=price, amount=amount)


class CasPollCodec:
    """The conversation ENQ, ACK, DC1 or DC2, frame; frames that come unasked are read too.

    `price`: DC2, which asks for unit price and amount too. All times are seconds: `every` from an answer to the next
    ENQ, `reply_within` for each answer. After `_TRIES` questions without an answer it waits `_PAUSE` before it asks
    again.
    """

    _TRIES: Final = 3
    _PAUSE: Final = 2.0

    def __init__(self, *, every: float | None, reply_within: float, price: bool = False) -> None:
        self._frames = FrameCodec(DIALECT.framing, _read, commands=_COMMANDS)
        self._question = _DC2 if price else _DC1
        self._every = every
        self._reply_within = reply_within
        self._awaiting: Literal["nothing", "ack", "frame"] = "nothing"
        self._due = 0.0
        self._unanswered = 0

    @property
    def deadline(self) -> float | None:
        """When the next ENQ is due, or the answer overdue; None when only listening."""
        return None if self._every is None else self._due

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs: list[CodecOutput] = []
        for event in self._frames.feed(data, now):
            outputs.append(event)
            if self._every is not None:
                outputs += self._answered(event, now, self._every)
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        if self._every is None or now < self._due:
            return []
        outputs: list[CodecOutput] = []
        if self._awaiting != "nothing":
            outputs += self._frames.close(now)  # a frame that stopped half-way must not swallow the next ACK
            self._unanswered += 1
            if self._unanswered >= self._TRIES:
                self._rest(now + self._PAUSE)
                return outputs
        self._awaiting = "ack"
        self._due = now + self._reply_within
        return [*outputs, Send(data=_ENQ)]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`."""
        return self._frames.command(name, now)

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return self._frames.close(now)

    def _answered(self, event: CodecOutput, now: float, every: float) -> list[CodecOutput]:
        if isinstance(event, Status) and event.status == "ack" and self._awaiting == "ack":
            self._awaiting = "frame"
            self._due = now + self._reply_within
            return [Send(data=self._question)]
        if isinstance(event, Reading) or (isinstance(event, Status) and event.status == "busy"):
            self._rest(now + every)
        return []

    def _rest(self, until: float) -> None:
        self._awaiting = "nothing"
        self._unanswered = 0
        self._due = until


def _make(options: Mapping[str, Any]) -> CasPollCodec:
    every = options.get("poll_ms", 200) / 1000 if options.get("poll", True) else None
    return CasPollCodec(
        every=every, reply_within=options.get("reply_ms", 500) / 1000, price=options.get("price", False)
    )


SPEC = DriverSpec(
    id="cas-poll",
    kind="scale",
    title="CAS AP and ACLAS, asked by ENQ and DC1",
    make=_make,
    models=("CAS AP", "CAS PD", "CAS SW", "CAS PR", "ACLAS PS1X", "ACLAS OS2X", "Mertech M-ER", "Ohaus Aviator 7000"),
    source="CAS SW-II manual p. 15; ACLAS OS2CX manual p. 19; Ohaus Aviator 7000 manual p. 36",
    maturity="captured",
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        *poll_options(200),
        Option(
            name="reply_ms",
            type="integer",
            default=500,
            minimum=50,
            maximum=10_000,
            help="milliseconds that the scale may take for each answer",
        ),
        Option(name="price", type="boolean", default=False, help="ask for unit price and amount too (DC2)"),
    ),
    tells=("unit", "stability", "overload", "price", "checksum"),
    dialogue=Dialogue(polls=True, commands=tuple(sorted(_COMMANDS))),
    stale_after=5.0,
)
