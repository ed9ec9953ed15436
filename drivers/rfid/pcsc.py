"""Card readers under PC/SC: number and ATS of contactless cards.

Source: PC/SC part 3 (GET DATA, ATR of storage cards: `… A0 00 00 03 06` standard, name); ACS ACR122U API manual.

    port says   11 len ATR         12 len  n command answer        13 00 00 gone
    asked       FF CA 00 00 00 number      FF CA 01 00 00 ATS, of cards with ISO 14443-4

The number of an ISO 15693 card begins with E0 (ISO 15693-3, 4.1), and some readers tell it last byte first: it is told
from the E0. Where one stands at both ends, what the reader did before decides; before it did, such a number is refused.

While a card lies there its number is asked again and again, so that a card that is taken away quickly and put back is
not taken for one that stayed. Numbers of copied cards are not unique: they are a hint, no proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drivers.framing import Frame, FrameBuffer
from drivers.sized_framing import MAYBE, Sized
from drivers.tag_codec import Refused, asking_options, card_number, status
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Send
from edge_agent.model import DeviceEvent, Rejected, TagKind, TagRead

_CAME, _ANSWER, _GONE = 0x11, 0x12, 0x13
_LONGEST: Final = 3 + 1 + 255 + 258
_ATR_LENGTHS: Final = range(2, 34)
NUMBER: Final = bytes.fromhex("ffca000000")
ATS: Final = bytes.fromhex("ffca010000")
_DONE: Final = b"\x90\x00"
_STORAGE: Final = bytes.fromhex("a000000306")
_VICINITY: Final = range(0x09, 0x0D)
"""The standards of a storage card's ATR that are ISO 15693."""
_VICINITY_BEGINS: Final = 0xE0


def _measure(header: bytes) -> int | None:
    if header and header[0] not in (_GONE, _CAME, _ANSWER):
        return None
    if len(header) < 3:
        return MAYBE
    length = int.from_bytes(header[1:3], "big")
    if header[0] == _GONE:
        return 3 if length == 0 else None
    if header[0] == _CAME:
        return 3 + length if length in _ATR_LENGTHS else None
    return 3 + length if 7 <= length <= _LONGEST - 3 else None


def _check(raw: bytes) -> str:
    if raw[0] == _CAME:
        return "" if raw[3] in (0x3B, 0x3F) else "malformed"
    if raw[0] == _ANSWER:
        return "" if 4 <= raw[3] <= len(raw) - 6 else "malformed"
    return ""


class PcscCodec:
    """Cards that come and go; see `edge_agent.driver.Codec`. `every` is in seconds, None only listens."""

    def __init__(self, every: float | None) -> None:
        self._frames = FrameBuffer(Sized(3, _measure, _check))
        self._every = every
        self._atr = b""
        self._backwards: bool | None = None
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When the card is asked again; None without one."""
        return self._due

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs: list[CodecOutput] = []
        for piece in self._frames.feed(data):
            outputs += self._events(piece)
            if isinstance(piece, Frame) and self._every is not None:
                outputs += self._next(piece.body, now, self._every)
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        if self._every is None or self._due is None or now < self._due:
            return []
        self._due = now + self._every
        return [Send(data=NUMBER)]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: there is none."""
        raise ValueError(f"no command {name!r}; a card reader takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return [event for piece in self._frames.finish() for event in self._events(piece)]

    def card_in(self, raw: bytes) -> bytes | None:
        """See `CardCodec.card_in`."""
        return raw[3:] if raw[:1] == bytes([_CAME]) else None

    def exchanged(self, raw: bytes) -> tuple[bytes, bytes] | None:
        """See `CardCodec.exchanged`."""
        if raw[:1] != bytes([_ANSWER]):
            return None
        return raw[4 : 4 + raw[3]], raw[4 + raw[3] :]

    def _next(self, raw: bytes, now: float, every: float) -> list[CodecOutput]:
        """What is asked after a message: the number of a card that came, then its ATS, then the number again."""
        if raw[0] == _GONE:
            self._due = None
            return []
        self._due = now + every
        return [Send(data=NUMBER), Send(data=ATS)] if raw[0] == _CAME else []

    def _events(self, piece: Frame | Rejected) -> list[DeviceEvent]:
        if isinstance(piece, Rejected):
            return [piece]
        raw = piece.raw
        if raw[0] == _GONE:
            self._atr = b""
            return status(raw, "other", "card removed")
        if raw[0] == _CAME:
            self._atr = raw[3:]
            return status(raw, "other", f"card, ATR {raw[3:].hex().upper()}")
        command, answer = raw[4 : 4 + raw[3]], raw[4 + raw[3] :]
        data, done = answer[:-2], answer[-2:] == _DONE
        if command == NUMBER:
            return self._number(raw, data) if done else status(raw, "error", f"no number: {answer[-2:].hex().upper()}")
        if command == ATS:
            words = f"ATS {data.hex().upper()}" if done and data else f"no ATS: {answer[-2:].hex().upper()}"
            return status(raw, "other", words)
        return status(raw, "ack" if done else "error", f"{command[:2].hex().upper()}: {answer[-2:].hex().upper()}")

    def _number(self, raw: bytes, data: bytes) -> list[DeviceEvent]:
        kind: TagKind = "iso14443"
        at = self._atr.find(_STORAGE)
        standard = self._atr[at + 5] if 0 <= at < len(self._atr) - 5 else None
        if standard in _VICINITY or (standard is None and not self._atr and len(data) == 8):
            kind = "iso15693"
        try:
            number = self._vicinity(data) if kind == "iso15693" else card_number(data, (4, 7, 10))
        except Refused as refused:
            return [Rejected(reason=str(refused), raw=raw)]
        return [TagRead(tag_id=number, kind=kind, raw=raw)]

    def _vicinity(self, data: bytes) -> str:
        """The number of an ISO 15693 card, E0 first; raises `Refused`."""
        if len(data) != 8:
            raise Refused("no-number")
        first, last = data[0] == _VICINITY_BEGINS, data[-1] == _VICINITY_BEGINS
        if first != last:
            self._backwards = last
        elif not first or self._backwards is None:
            raise Refused("byte-order")
        return (data[::-1] if self._backwards else data).hex().upper()


def _make(options: Mapping[str, Any]) -> PcscCodec:
    return PcscCodec(options.get("poll_ms", 500) / 1000 if options.get("poll", True) else None)


SPEC = DriverSpec(
    id="pcsc",
    kind="rfid",
    title="Card reader under PC/SC",
    make=_make,
    models=("ACS ACR122U, ACR1252U", "HID Omnikey 5022", "readers with a CCID driver and GET DATA"),
    source="PC/SC part 3; ACS ACR122U API manual",
    maturity="manual",
    interfaces=("pcsc", "memory"),
    options=asking_options(500),
    dialogue=Dialogue(polls=True),
)
