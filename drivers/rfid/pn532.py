"""NXP PN532 on a serial line (HSU): 13.56 MHz cards, ISO 14443 A.

Source: NXP UM0701-02 PN532 user manual, 6.2.1 (frames) and 7.3.5 (InListPassiveTarget); frames of public tests.
115200 8N1.

    00 00 FF | LEN LCS | TFI data | DCS 00          LEN + LCS = 0, TFI + data + DCS = 0 (mod 256)
    00 00 FF | FF FF LENM LENL LCS | TFI data | DCS 00          extended
    00 00 FF 00 FF 00  ACK      00 00 FF FF 00 00  NAK      00 00 FF 01 FF 7F 81 00  error

    card     D5 4B  n  { Tg  ATQA ATQA  SAK  len  UID  [ATS, which begins with its length, where SAK has bit 5] }

A number of 4, 7 or 10 bytes is whole. Numbers of copied cards are not unique: they are a hint, no proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Frame
from drivers.sized_framing import MAYBE, Sized
from drivers.tag_codec import Asking, Refused, TagCodec, asking_options, card_number, shared_out, status
from edge_agent.driver import Dialogue, DriverSpec
from edge_agent.model import DeviceEvent, TagRead

_START: Final = b"\x00\x00\xff"
_LONGEST: Final = 265
_ACK: Final = b"\x00\x00\xff\x00\xff\x00"
_NAK: Final = b"\x00\x00\xff\xff\x00\x00"
_ERROR: Final = 0x7F
_FROM_CHIP, _FROM_HOST = 0xD5, 0xD4
_CARDS: Final = 0x4B
_UID_LENGTHS: Final = (4, 7, 10)
_INCOMPLETE, _HAS_ATS = 0x04, 0x20


def _measure(header: bytes) -> int | None:
    if not (header.startswith(_START) or _START.startswith(header)):
        return None
    if len(header) < 5:
        return MAYBE
    length, check = header[3], header[4]
    if (length, check) in ((0x00, 0xFF), (0xFF, 0x00)):
        return 6
    if (length, check) == (0xFF, 0xFF):
        if len(header) < 8:
            return MAYBE
        size = int.from_bytes(header[5:7], "big")
        return 10 + size if sum(header[5:8]) & 0xFF == 0 and 0 < size <= _LONGEST else None
    return 7 + length if (length + check) & 0xFF == 0 and length else None


def _body(raw: bytes) -> bytes:
    """TFI, data and DCS."""
    return raw[8:-1] if raw[3:5] == b"\xff\xff" else raw[5:-1]


def _check(raw: bytes) -> str:
    if raw[-1] != 0:
        return "malformed"
    return "" if raw in (_ACK, _NAK) or sum(_body(raw)) & 0xFF == 0 else "checksum"


def _read(frame: Frame) -> list[DeviceEvent]:
    raw = frame.raw
    if raw == _ACK:
        return status(raw, "ack")
    if raw == _NAK:
        return status(raw, "error", "not acknowledged")
    body = _body(raw)[:-1]
    if body == bytes([_ERROR]):
        return status(raw, "error", "syntax error")
    if body[0] == _FROM_HOST:
        return status(raw, "other", "a question of the host")
    if body[0] != _FROM_CHIP or len(body) < 2:
        raise Refused("malformed")
    if body[1] != _CARDS:
        return status(raw, "other")
    return _cards(raw, body)


def _cards(raw: bytes, body: bytes) -> list[DeviceEvent]:
    if len(body) < 3:
        raise Refused("malformed")
    count, at, head = body[2], 3, len(raw) - len(body) - 2
    if not count and at == len(body):
        return status(raw, "other", "no card")
    tags, ends = [], []
    for number in range(count):
        uid, at = _card(body, at, number + 1)
        tags.append(TagRead(tag_id=card_number(uid, _UID_LENGTHS), kind="iso14443", raw=b""))
        ends.append(head + at)
    if at != len(body) or not tags:
        raise Refused("malformed")
    return shared_out(raw, ends, tags)


def _card(body: bytes, at: int, number: int) -> tuple[bytes, int]:
    """The number of the card at `at`, and where the next begins."""
    if len(body) < at + 5 or body[at] != number:
        raise Refused("malformed")
    answer, length = body[at + 3], body[at + 4]
    at += 5 + length
    uid = body[at - length : at]
    if length not in _UID_LENGTHS or len(uid) != length or answer & _INCOMPLETE:
        raise Refused("malformed")
    if answer & _HAS_ATS and at < len(body):
        if body[at] < 1 or at + body[at] > len(body):
            raise Refused("malformed")
        at += body[at]
    return uid, at


def _framed(data: bytes) -> bytes:
    body = bytes([_FROM_HOST]) + data
    return _START + bytes([len(body), -len(body) & 0xFF]) + body + bytes([-sum(body) & 0xFF, 0])


_WAKE: Final = b"\x55\x55" + bytes(14)


def _make(options: Mapping[str, Any]) -> TagCodec:
    asking = None
    if options.get("poll", True):
        asking = Asking(
            first=(
                _WAKE + _framed(b"\x14\x01\x14\x01"),  # SAMConfiguration: normal mode
                _framed(b"\x32\x05\xff\x01\x02"),  # RFConfiguration: give up after two tries, so that it answers
            ),
            always=(_framed(b"\x4a\x02\x00"),),  # InListPassiveTarget: two cards, 106 kbit/s type A
            answered=lambda raw: len(raw) > 6 and _body(raw)[0] in (_FROM_CHIP, _ERROR),
            every=options.get("poll_ms", 200) / 1000,
            within=1.0,
        )
    return TagCodec(Sized(8, _measure, _check), _read, asking)


SPEC = DriverSpec(
    id="pn532",
    kind="rfid",
    title="13.56 MHz reader PN532 on a serial line",
    make=_make,
    models=("NXP PN532 boards in HSU mode", "Elechouse and Adafruit PN532"),
    source="NXP UM0701-02 PN532 user manual; frames of public tests",
    maturity="manual",
    line=MappingProxyType({"baud": "115200", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=asking_options(200),
    tells=("checksum",),
    dialogue=Dialogue(polls=True),
    stale_after=10.0,
    status_is_life=True,
)
