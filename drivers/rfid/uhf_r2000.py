"""UHF readers on Impinj R2000: Invelion, IND903 and their many brands.

Source: IND903 and Invelion YR900x serial protocol; frames logged from readers in the field. 115200 8N1.

    A0 | len | address | cmd | data | check          len counts all behind itself
    \\_____________________________/
          check = -(sum) & FF

    tag    cmd 89, 8A, 8B:  freq<<2|antenna   PC PC   EPC   RSSI          dBm = RSSI - 129
                            bit 7 of RSSI: antenna + 4
    end    antenna  rate rate  total (4)       or, of 8A,  total (3)  milliseconds (4)
    code   one byte: 10 done, 22 antenna missing, 36 no tag …

    81 read    bank  word  words  [password (4)]        82 write   password (4)  bank  word  words  data
    85 choose  00  len  EPC        01  any
    answered   tags (2)  len  PC PC  EPC  CRC CRC  words read,  len of those  freq<<2|antenna  1
               tags (2)  len  PC PC  EPC  CRC CRC,                      code  freq<<2|antenna  1

The check is one byte, so the number of words that PC tells must be that of the EPC too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import crc16_ccitt
from drivers.framing import Frame
from drivers.sized_framing import MAYBE, Sized
from drivers.tag_codec import Asking, Refused, TagCodec, asking_options, epc, status
from edge_agent.driver import Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent

_START: Final = 0xA0
_INVENTORY: Final = frozenset((0x89, 0x8A, 0x8B))
_SELECT_ANTENNA: Final = 0x74
_READ_TAG, _WRITE_TAG, _CHOOSE = 0x81, 0x82, 0x85
_MOST_WORDS: Final = 64
_END_LENGTH: Final = 7
_RSSI_ZERO: Final = 129
_NO_TAG: Final = 0x36
_DONE: Final = 0x10
_CODES: Final = MappingProxyType(
    {0x11: "failed", 0x20: "MCU reset", 0x21: "CW failed", 0x22: "antenna missing", 0x36: "no tag", 0x41: "wrong data"}
    | {0x37: "the tag was not accessed", 0x40: "the tag was not accessed, or does not take the password"}
    | {0x31: "inventory failed", 0x32: "read failed", 0x33: "write failed", 0x42: "too many words", 0x43: "wrong bank"}
)


def _measure(header: bytes) -> int | None:
    if header and header[0] != _START:
        return None
    if len(header) < 2:
        return MAYBE
    return 2 + header[1] if header[1] >= 3 else None


def _check(raw: bytes) -> str:
    return "" if sum(raw) & 0xFF == 0 else "checksum"


def _read(frame: Frame) -> list[DeviceEvent]:
    command, data = frame.body[3], frame.body[4:-1]
    if len(data) == 1:
        if data[0] == _DONE:
            return status(frame.raw, "ack")
        if data[0] == _NO_TAG:
            return status(frame.raw, "other", "no tag")
        known = _CODES.get(data[0])
        return status(frame.raw, "error", known) if known else status(frame.raw, "other")
    if command == _WRITE_TAG and len(data) > _END_LENGTH and data[-3] in _CODES:
        return status(frame.raw, "error", _CODES[data[-3]])
    if command not in _INVENTORY or len(data) in (0, _END_LENGTH):
        return status(frame.raw, "other")
    words = int.from_bytes(data[1:3], "big") >> 11
    if len(data) < 6 or len(data) != 4 + 2 * words:
        raise Refused("malformed")
    antenna = (data[0] & 3) + 1 + (4 if data[-1] & 0x80 else 0)
    return [epc(data[3:-1], antenna=antenna, rssi_dbm=(data[-1] & 0x7F) - _RSSI_ZERO, raw=frame.raw)]


class R2000Codec(TagCodec):
    """Inventory, and the memory of tags; see `AddressingCodec`."""

    def __init__(self, address: int, asking: Asking | None) -> None:
        super().__init__(Sized(2, _measure, _check), _read, asking)
        self._address = address

    def choose(self, number: bytes) -> list[Send]:
        """See `AddressingCodec.choose`."""
        told = bytes([0, len(number)]) + number if number else b"\x01"
        return [Send(data=_framed(self._address, bytes([_CHOOSE]) + told))]

    def read_memory(self, bank: int, word: int, words: int, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.read_memory`. Older readers know no password here: none is sent where it is zero."""
        place = self._place(bank, word, words)
        return Send(data=_framed(self._address, bytes([_READ_TAG]) + place + (password if any(password) else b"")))

    def write_memory(self, bank: int, word: int, data: bytes, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.write_memory`."""
        place = self._place(bank, word, len(data) // 2)
        return Send(data=_framed(self._address, bytes([_WRITE_TAG]) + password + place + data))

    def memory_in(self, raw: bytes) -> tuple[str, bytes] | None:
        """See `MemoryCodec.memory_in`: of one tag alone, whose own CRC holds."""
        if len(raw) < 18 or raw[3] not in (_READ_TAG, _WRITE_TAG) or raw[4:6] != b"\x00\x01" or len(raw) != 11 + raw[6]:
            return None
        told, more = raw[7:-4], raw[-4]
        if raw[3] == _WRITE_TAG and more != _DONE:
            return None
        read = more if raw[3] == _READ_TAG else 0
        tag, data = told[: len(told) - read], told[len(told) - read :]
        if read > len(told) or len(tag) < 6 or crc16_ccitt(tag[:-2]) != int.from_bytes(tag[-2:], "big"):
            return None
        return tag[2:-2].hex().upper(), data

    @staticmethod
    def _place(bank: int, word: int, words: int) -> bytes:
        if word > 0xFF or words > _MOST_WORDS:
            raise ValueError(f"{words} words from {word}; this reader takes {_MOST_WORDS} words and places up to 255")
        return bytes([bank, word, words])


def _answered(raw: bytes) -> bool:
    """Whether a frame ends what was asked: a code, or the end of a round. A tag does not."""
    return len(raw) == 6 or (raw[3] in _INVENTORY and len(raw) == _END_LENGTH + 5)


def _framed(address: int, body: bytes) -> bytes:
    frame = bytes([_START, len(body) + 2, address]) + body
    return frame + bytes([-sum(frame) & 0xFF])


def _make(options: Mapping[str, Any]) -> R2000Codec:
    asking = None
    address = options.get("address", 1)
    if options.get("poll", True):
        questions: list[bytes] = []
        for antenna in range(options.get("antennas", 0)):
            questions.append(_framed(address, bytes([_SELECT_ANTENNA, antenna])))
            questions.append(_framed(address, b"\x89\x01"))
        asking = Asking(
            always=questions or [_framed(address, b"\x89\x01")],
            answered=_answered,
            every=options.get("poll_ms", 20) / 1000,
            within=1.0,
        )
    return R2000Codec(address, asking)


SPEC = DriverSpec(
    id="uhf-r2000",
    kind="rfid",
    title="UHF reader on Impinj R2000 (A0 frames)",
    make=_make,
    models=("Invelion YR9000 series", "IND903", "readers of many brands with A0 frames"),
    source="IND903 and Invelion serial protocol; frames logged from readers",
    maturity="captured",
    line=MappingProxyType({"baud": "115200", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        *asking_options(20),
        Option(name="address", type="integer", default=1, minimum=0, maximum=255, help="the reader's address"),
        Option(
            name="antennas",
            type="integer",
            default=0,
            minimum=0,
            maximum=8,
            help="read so many antennas in turn; 0: the one that is selected in the reader",
        ),
    ),
    tells=("antenna", "rssi", "checksum", "memory"),
    dialogue=Dialogue(polls=True),
    stale_after=10.0,
    status_is_life=True,
)
