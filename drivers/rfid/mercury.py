"""ThingMagic modules (M6e Nano, M5e): the Mercury serial protocol, reading continuously.

Source: SparkFun's library for the M6e Nano and the frames that it documents, checked against both CRCs. 115200 8N1.

    FF | len | op | status status | data (len) | CRC CRC       from the reader
    FF | len | op |                 data (len) | CRC CRC       from the host
         \\_____________________________________/
                       CRC

    op 22, status 0000:  10 | search flags (2) | metadata (2) | n | n tags
        tag, each part only where its bit of the metadata is set, in this order:
          0001 reads (1)   0002 RSSI (signed dBm)   0004 antenna (TX<<4|RX)   0008 kHz (3)   0010 ms (4)   0020 phase 2
          0040 protocol (1)   0080 data: bits (2), bytes   0100 GPIO (1)   0200 Q (1)   0400 link (1)   0800 target (1)
        then  bits (2)  PC PC  EPC  CRC CRC          bits counts PC, EPC and CRC
    op 22, status 0400, no data: alive, once a second, no tag

An answer is longer than a question of the same length byte; where both would hold it is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import crc16_augmented, crc16_ccitt
from drivers.framing import Cut, Frame
from drivers.sized_framing import MAYBE, Sized
from drivers.tag_codec import Asking, Refused, TagCodec, asking_options, epc, shared_out, signed, status
from edge_agent.driver import Dialogue, DriverSpec, Option
from edge_agent.model import DeviceEvent, TagRead

_START: Final = 0xFF
_READ_MULTIPLE: Final = 0x22
_CONTINUOUS: Final = 0x10
_NO_TAG: Final = 0x0400
_PARTS: Final = (1, 1, 1, 3, 4, 2, 1, None, 1, 1, 1, 1)
"""Bytes of the parts of a tag in the order of their bits; None: a number of bits and as many as it says."""
_RSSI, _ANTENNA = 1, 2
_REGIONS: Final = MappingProxyType({"as-set": None, "cn": 0x06, "eu3": 0x08, "na2": 0x0D, "in": 0x04, "au": 0x0B})


def _measure_answer(header: bytes) -> int | None:
    return _measured(header, 7)


def _measure_question(header: bytes) -> int | None:
    return _measured(header, 5)


def _measured(header: bytes, around: int) -> int | None:
    if header and header[0] != _START:
        return None
    if len(header) < 2:
        return MAYBE
    return header[1] + around if header[1] != _START else None


def _check(raw: bytes) -> str:
    return "" if crc16_augmented(raw[1:-2]) == raw[-2:] else "checksum"


class _BothWays:
    """Answers, and the questions of a host where somebody listens on its line; see `Framing`."""

    _ANSWERS: Final = Sized(2, _measure_answer, _check)
    _QUESTIONS: Final = Sized(2, _measure_question, _check)

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        answer = self._ANSWERS.scan(data, at, final=final, lost=lost)
        if answer is None or answer.body is not None:
            return answer
        question = self._QUESTIONS.scan(data, at, final=final, lost=lost)
        return question if question is not None and question.body is not None else answer


def _read(frame: Frame) -> list[DeviceEvent]:
    raw = frame.raw
    if len(raw) == raw[1] + 5:
        return status(raw, "other", "a question of the host")
    operation, state, data = raw[2], int.from_bytes(raw[3:5], "big"), raw[5:-2]
    if operation != _READ_MULTIPLE:
        return status(raw, "ack") if state == 0 else status(raw, "error", f"status {state:04X}")
    if state == _NO_TAG:
        return status(raw, "heartbeat" if not data else "other", "no tag")
    if state != 0:
        return status(raw, "error", f"status {state:04X}")
    if not data or data[0] != _CONTINUOUS:
        return status(raw, "other")
    return _tags(raw, data)


def _tags(raw: bytes, data: bytes) -> list[DeviceEvent]:
    if len(data) < 6:
        raise Refused("malformed")
    metadata, count = int.from_bytes(data[3:5], "big"), data[5]
    if metadata >> len(_PARTS) or not count:
        raise Refused("malformed")
    tags, ends, at = [], [], 6
    for _ in range(count):
        tag, at = _tag(data, at, metadata)
        tags.append(tag)
        ends.append(5 + at)
    if at != len(data):
        raise Refused("malformed")
    return shared_out(raw, ends, tags)


def _tag(data: bytes, at: int, metadata: int) -> tuple[TagRead, int]:
    told: dict[int, int] = {}
    for bit, size in enumerate(_PARTS):
        if metadata >> bit & 1:
            told[bit] = data[at] if at < len(data) else 0
            at += size if size is not None else 2 + (int.from_bytes(data[at : at + 2], "big") + 7) // 8
    bits = int.from_bytes(data[at : at + 2], "big")
    number = data[at + 2 : at + 2 + bits // 8]
    if bits % 16 or len(number) != bits // 8 or len(number) < 6:
        raise Refused("malformed")
    if crc16_ccitt(number[:-2]) != int.from_bytes(number[-2:], "big"):
        raise Refused("tag-checksum")
    antenna = told[_ANTENNA] >> 4 or None if _ANTENNA in told else None
    rssi = signed(told[_RSSI]) if _RSSI in told else None
    return epc(number[2:-2], antenna=antenna, rssi_dbm=rssi), at + 2 + bits // 8


def _framed(operation: int, data: bytes) -> bytes:
    body = bytes([len(data), operation]) + data
    return bytes([_START]) + body + crc16_augmented(body)


_READ: Final = _framed(0x2F, bytes.fromhex("00000122 000005 07 22 10 001B 03E8 01FF"))


def _make(options: Mapping[str, Any]) -> TagCodec:
    asking = None
    if options.get("poll", True):
        region = _REGIONS[options.get("region", "as-set")]
        first = []
        if region is not None:
            first = [_framed(0x93, b"\x00\x05"), _framed(0x91, b"\x01\x01"), _framed(0x97, bytes([region]))]
        asking = Asking(
            first=first,
            always=(_READ,),
            answered=lambda raw: len(raw) == raw[1] + 7,
            every=options.get("poll_ms", 3000) / 1000,
            within=2.0,
        )
    return TagCodec(_BothWays(), _read, asking)


SPEC = DriverSpec(
    id="mercury",
    kind="rfid",
    title="ThingMagic module (Mercury protocol)",
    make=_make,
    models=("ThingMagic M6e Nano, M6e Micro", "ThingMagic M5e", "SparkFun Simultaneous RFID Reader"),
    source="SparkFun's M6e Nano library and the frames it documents",
    maturity="captured",
    line=MappingProxyType({"baud": "115200", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        *asking_options(3000),
        Option(
            name="region",
            type="text",
            default="as-set",
            choices=tuple(_REGIONS),
            help="the radio region to set before reading starts; a module that forgets it needs one",
        ),
    ),
    tells=("antenna", "rssi", "checksum"),
    dialogue=Dialogue(polls=True),
    stale_after=10.0,
    status_is_life=True,
)
