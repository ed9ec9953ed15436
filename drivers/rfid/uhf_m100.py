"""UHF modules M100, YRM100, JRD-100 and R200: a type, a command, a length, a sum.

Source: MagicRF M100 & QM100 firmware manual; R200 user protocol V2.3.3; captured on YRM100 and R200. 115200 8N1.

    BB | type | cmd | PL PL | parameters | sum | 7E        M100: BB and 7E        R200: AA and DD
         \\______________________________/
                     sum & FF

    type  00 from the host, 01 answer, 02 notice of a tag
    tag   type 02 cmd 22:  RSSI (signed dBm)  PC PC  EPC  CRC CRC       EPC is all of PL but these five bytes
    01 FF 15: no tag in this round, which is no fault

Framed by the length: 7E and DD occur in numbers of tags. Behind the weak sum stands the tag's own CRC over PC and
EPC, and both must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import crc16_ccitt, total
from drivers.framing import Frame
from drivers.sized_framing import MAYBE, Sized
from drivers.tag_codec import Asking, Refused, TagCodec, asking_options, epc, signed, status
from edge_agent.driver import Dialogue, DriverSpec, Option
from edge_agent.model import DeviceEvent

_ENDS: Final = MappingProxyType({0xBB: 0x7E, 0xAA: 0xDD})
_LONGEST: Final = 512
_NOTICE: Final = (2, 0x22)
_NO_TAG: Final = 0x15
_ERRORS: Final = MappingProxyType(
    {0x09: "read failed", 0x10: "write failed", 0x13: "lock failed", 0x16: "access failed", 0x17: "unknown command"}
)


def _measure(header: bytes) -> int | None:
    if header and header[0] not in _ENDS:
        return None
    if len(header) > 1 and header[1] > 2:
        return None
    if len(header) < 5:
        return MAYBE
    length = 7 + int.from_bytes(header[3:5], "big")
    return length if length <= _LONGEST else None


def _check(raw: bytes) -> str:
    if raw[-1] != _ENDS[raw[0]]:
        return "malformed"
    return "" if total(raw[1:-2]) == raw[-2:-1] else "checksum"


def _read(frame: Frame) -> list[DeviceEvent]:
    kind, command, parameters = frame.body[1], frame.body[2], frame.body[5:-2]
    if (kind, command) == _NOTICE:
        if len(parameters) < 7:
            raise Refused("malformed")
        if crc16_ccitt(parameters[1:-2]) != int.from_bytes(parameters[-2:], "big"):
            raise Refused("tag-checksum")
        return [epc(parameters[3:-2], rssi_dbm=signed(parameters[0]), raw=frame.raw)]
    if kind == 1 and command == 0xFF:
        code = parameters[0] if parameters else None
        if code == _NO_TAG:
            return status(frame.raw, "other", "no tag in this round")
        return status(frame.raw, "error", _ERRORS.get(code or 0, f"error {code}"))
    return status(frame.raw, "ack" if kind == 1 else "other")


def _framed(start: int, body: bytes) -> bytes:
    return bytes([start]) + body + total(body) + bytes([_ENDS[start]])


def _make(options: Mapping[str, Any]) -> TagCodec:
    asking = None
    if options.get("poll", True):
        start = 0xAA if options.get("frame", "BB") == "AA" else 0xBB
        asking = Asking(
            always=(_framed(start, b"\x00\x22\x00\x00"),),
            answered=lambda raw: raw[1] > 0,
            every=options.get("poll_ms", 50) / 1000,
        )
    return TagCodec(Sized(5, _measure, _check), _read, asking)


SPEC = DriverSpec(
    id="uhf-m100",
    kind="rfid",
    title="UHF module M100 or R200",
    make=_make,
    models=("MagicRF M100, QM100", "YRM100, YRM1001", "JRD-100, JRD-4035", "R200 modules", "M5Stack UHF RFID unit"),
    source="M100 & QM100 firmware manual; R200 user protocol V2.3.3; captured frames",
    maturity="captured",
    line=MappingProxyType({"baud": "115200", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        *asking_options(50),
        Option(
            name="frame",
            type="text",
            default="BB",
            choices=("BB", "AA"),
            help="what its questions begin with: BB for M100, AA for R200; both are read",
        ),
    ),
    tells=("rssi", "checksum"),
    dialogue=Dialogue(polls=True),
    stale_after=10.0,
    status_is_life=True,
)
