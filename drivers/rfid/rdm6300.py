"""RDM6300, RDM630 and others: 125 kHz cards (EM4100), told unasked while a card lies there.

Source: RDM6300 data sheet; frames of public tests. 9600 8N1.

    02 | V V  I I I I I I I I | X X | 03          hexadecimal digits, either case
         version   number       XOR of the five bytes

A frame comes about every 65 ms while a card is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import xor
from drivers.framing import Fixed, Frame
from drivers.tag_codec import TagCodec
from edge_agent.driver import DriverSpec
from edge_agent.model import DeviceEvent, TagRead

_DIGITS: Final = frozenset(b"0123456789ABCDEFabcdef")


def _check(raw: bytes) -> bool:
    if raw[-1] != 3 or not _DIGITS.issuperset(raw[1:13]):
        return False
    number = bytes.fromhex(raw[1:13].decode("ascii"))
    return xor(number[:5]) == number[5:]


def _read(frame: Frame) -> list[DeviceEvent]:
    return [TagRead(tag_id=frame.raw[1:11].decode("ascii").upper(), kind="em4100", raw=frame.raw)]


def _make(options: Mapping[str, Any]) -> TagCodec:
    return TagCodec(Fixed(b"\x02", 14, _check), _read)


SPEC = DriverSpec(
    id="rdm6300",
    kind="rfid",
    title="125 kHz reader RDM6300 (EM4100 cards)",
    make=_make,
    models=("RDM6300", "RDM630", "readers of EM4100 cards with the same frame"),
    source="RDM6300 data sheet; frames of public tests",
    maturity="manual",
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    tells=("checksum",),
)
