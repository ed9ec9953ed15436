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
from drivers.tag_codec import Asking, Refused, TagCodec, asking_options, epc, signed, status, tag_error
from edge_agent.driver import Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent

_ENDS: Final = MappingProxyType({0xBB: 0x7E, 0xAA: 0xDD})
_LONGEST: Final = 512
_NOTICE: Final = (2, 0x22)
_NO_TAG: Final = 0x15
_EPC_AT: Final = 32
"""The bit of the EPC bank behind CRC and PC."""
_LONGEST_CHOICE: Final = 31
"""Bytes that the length of a mask in bits can tell."""
_OF_THE_TAG: Final = frozenset((0x0A, 0x0B))
"""High halves of the errors of reading and writing that hold the tag's own."""
_ERRORS: Final = MappingProxyType(
    {0x09: "no tag answers to be read", 0x10: "no tag answers to be written"}
    | {0x13: "lock failed", 0x16: "the tag does not take the password", 0x17: "unknown command"}
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
        return status(frame.raw, "error", _why(code or 0))
    return status(frame.raw, "ack" if kind == 1 else "other")


def _why(code: int) -> str:
    if code >> 4 in _OF_THE_TAG:
        return tag_error(code & 0x0F)
    return _ERRORS.get(code, f"error {code:02X}")


def _framed(start: int, body: bytes) -> bytes:
    return bytes([start]) + body + total(body) + bytes([_ENDS[start]])


class M100Codec(TagCodec):
    """Inventory, and the memory of tags; see `AddressingCodec`.

    0C choose:  01 (EPC bank)  bit (4)  bits  00  EPC        12 when:  02 but for inventories, 01 never
    39 read, 49 write:  password (4)  bank  word (2)  words (2)  [data]       answered by  n  PC PC EPC (n)  data, or 00
    """

    def __init__(self, start: int, asking: Asking | None) -> None:
        super().__init__(Sized(5, _measure, _check), _read, asking)
        self._start = start

    def choose(self, number: bytes) -> list[Send]:
        """See `AddressingCodec.choose`. Raises ValueError for a number that is longer than a question may be."""
        if not number:
            return [self._ask(0x12, b"\x01")]
        if len(number) > _LONGEST_CHOICE:
            raise ValueError(f"an EPC of {len(number)} bytes; this reader finds tags by {_LONGEST_CHOICE} at most")
        mask = b"\x01" + _EPC_AT.to_bytes(4, "big") + bytes([8 * len(number), 0]) + number
        return [self._ask(0x0C, mask), self._ask(0x12, b"\x02")]

    def read_memory(self, bank: int, word: int, words: int, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.read_memory`."""
        return self._ask(0x39, password + bytes([bank]) + word.to_bytes(2, "big") + words.to_bytes(2, "big"))

    def write_memory(self, bank: int, word: int, data: bytes, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.write_memory`."""
        place = bytes([bank]) + word.to_bytes(2, "big") + (len(data) // 2).to_bytes(2, "big")
        return self._ask(0x49, password + place + data)

    def memory_in(self, raw: bytes) -> tuple[str, bytes] | None:
        """See `MemoryCodec.memory_in`."""
        if len(raw) < 10 or raw[1] != 1 or raw[2] not in (0x39, 0x49):
            return None
        told = raw[5:-2]
        if not 2 < told[0] < len(told):
            return None
        data = told[1 + told[0] :]
        return told[3 : 1 + told[0]].hex().upper(), data if raw[2] == 0x39 else b""

    def _ask(self, command: int, parameters: bytes) -> Send:
        return Send(data=_framed(self._start, bytes([0, command]) + len(parameters).to_bytes(2, "big") + parameters))


def _make(options: Mapping[str, Any]) -> M100Codec:
    asking = None
    start = 0xAA if options.get("frame", "BB") == "AA" else 0xBB
    if options.get("poll", True):
        asking = Asking(
            always=(_framed(start, b"\x00\x22\x00\x00"),),
            answered=lambda raw: raw[1] > 0,
            every=options.get("poll_ms", 50) / 1000,
        )
    return M100Codec(start, asking)


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
    tells=("rssi", "checksum", "memory"),
    dialogue=Dialogue(polls=True),
    stale_after=10.0,
    status_is_life=True,
)
