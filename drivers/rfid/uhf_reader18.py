"""UHFReader18: desktop and gate readers of Chafon (CF-RU5102 …) and many brands.

Source: UHFReader18 user's manual V2.0; frames of public tests checked against their CRC. 57600 8N1.

    13    | 00      | 01  | 03     | 01 | 0C  00…0313 | 3F 39
    len     address   cmd   status   n    len EPC …     CRC, low byte first

    cmd 01, 0F   inventory. status 01 done, 02 timed out, 03 more frames follow, 04 memory full, F8 antenna, FB no tag
    cmd EE       active mode, unasked: status 00, then the EPC alone
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
from drivers.tag_codec import epc, status
from edge_agent.driver import Dialogue, DriverSpec
from edge_agent.model import DeviceEvent

_HEAD: Final = 5
"""Bytes before the entries: length, address, command, status, how many."""


def _read(frame: Frame) -> list[DeviceEvent]:
    raw = frame.raw
    if len(raw) == 5:
        return status(raw, "other")
    command, state, data = raw[2], raw[3], raw[4:-2]
    if command == ACTIVE:
        if state == HEARTBEAT:
            return status(raw, "heartbeat")
        if state != 0:
            return status(raw, "error", f"status {state:02X}")
        return [epc(data, raw=raw)]
    if command not in INVENTORY:
        return memory_status(raw)
    if (trouble := TROUBLES.get(state)) is not None:
        return status(raw, "error", trouble)
    if state > MEMORY_FULL or data in (b"", b"\x00"):
        return status(raw, "other", "no tag")
    return entries(raw, _HEAD, data[0])


SPEC = DriverSpec(
    id="uhf-reader18",
    kind="rfid",
    title="UHF reader with the UHFReader18 protocol",
    make=maker(_read),
    models=("Chafon CF-RU5102, CF-RU5106, CF-RU6403", "readers of many brands with UHFReader18"),
    source="UHFReader18 user's manual; frames of public tests",
    maturity="manual",
    line=MappingProxyType({"baud": "57600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=OPTIONS,
    tells=("checksum", "memory"),
    dialogue=Dialogue(polls=True),
    stale_after=15.0,
    status_is_life=True,
)
