"""UHFReader288 and UHFReader86: readers of Chafon and others with several antennas.

Source: UHFReader288 user's manual; frames of public tests checked against their CRC. 57600 8N1.

    15    | 00      | 01  | 03     | 01      | 01 | 0C  30…59  40   | F9 3E
    len     address   cmd   status   antenna   n    len EPC   RSSI    CRC, low byte first

    antenna   one bit each: 01 the first, 04 the third
    cmd EE    active mode, unasked: status 00, then antenna, len, EPC, RSSI, or the EPC alone; status 28 heartbeat
              an EPC is of whole words, so an even number of bytes is one alone, an odd number the other

The unit of its RSSI is not documented, so none is told.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from drivers.framing import Frame
from drivers.rfid._length_crc import (
    ACTIVE,
    HEARTBEAT,
    INVENTORY,
    MEMORY_FULL,
    OPTIONS,
    TROUBLES,
    entries,
    maker,
    memory_status,
)
from drivers.tag_codec import Refused, epc, status
from edge_agent.driver import Dialogue, DriverSpec
from edge_agent.model import DeviceEvent

_HEAD: Final = 6
"""Bytes before the entries: length, address, command, status, antenna, how many."""
_RSSI: Final = 1
"""Bytes behind each EPC, in a unit that is not documented."""


def _read(frame: Frame) -> list[DeviceEvent]:
    raw = frame.raw
    if len(raw) == 5:
        return status(raw, "other")
    command, state, data = raw[2], raw[3], raw[4:-2]
    if command == ACTIVE:
        return _active(raw, state, data)
    if command not in INVENTORY:
        return memory_status(raw)
    if (trouble := TROUBLES.get(state)) is not None:
        return status(raw, "error", trouble)
    if state > MEMORY_FULL or len(data) < 2 or data[1:] == b"\x00":
        return status(raw, "other", "no tag")
    return entries(raw, _HEAD, data[1], behind=_RSSI, antenna=_antenna(data[0]))


def _active(raw: bytes, state: int, data: bytes) -> list[DeviceEvent]:
    if state == HEARTBEAT:
        return status(raw, "heartbeat")
    if state != 0:
        return status(raw, "error", f"status {state:02X}")
    if len(data) % 2 == 0:
        return [epc(data, raw=raw)]
    if data[1:2] != bytes([len(data) - 3 & 0xFF]):
        raise Refused("malformed")
    return [epc(data[2:-1], antenna=_antenna(data[0]), raw=raw)]


def _antenna(mask: int) -> int | None:
    """The antenna of a mask with one bit; None where there is none, or several."""
    return mask.bit_length() if mask.bit_count() == 1 else None


SPEC = DriverSpec(
    id="uhf-reader288",
    kind="rfid",
    title="UHF reader with the UHFReader288 protocol",
    make=maker(_read),
    models=("Chafon CF-MU801, CF-MU804, CF-RU5306", "UHFReader86 and UHFReader288 readers"),
    source="UHFReader288 user's manual; frames of public tests",
    maturity="manual",
    line=MappingProxyType({"baud": "57600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=OPTIONS,
    tells=("antenna", "checksum", "memory"),
    dialogue=Dialogue(polls=True),
    stale_after=15.0,
    status_is_life=True,
)
