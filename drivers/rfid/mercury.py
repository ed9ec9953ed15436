"""ThingMagic modules (M6e Nano, M5e): the Mercury serial protocol, reading continuously.

Source: SparkFun's library for the M6e Nano and the frames that it documents, checked against both CRCs; ThingMagic's
Mercury API for the memory of tags. 115200 8N1.

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

Memory, while it does not read continuously (2F 0000 02 ends that), of the tag that a mask over the EPC bank finds:

    op 28 read     ms (2)  14  metadata (2)  bank  word (4)  words  MASK          answered by  14  metadata (2)  words
    op 24 write    ms (2)  04  word (4)  bank  MASK  data                         answered by  status 0000
                           MASK: password (4)  bit (4)  bits (1; 2 with 20 in the option byte)  EPC
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import crc16_augmented, crc16_ccitt
from drivers.framing import Cut, Frame
from drivers.sized_framing import MAYBE, Sized
from drivers.tag_codec import Asking, Refused, TagCodec, asking_options, epc, shared_out, signed, status, tag_error
from edge_agent.driver import Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent, TagRead

_START: Final = 0xFF
_READ_MULTIPLE: Final = 0x22
_CONTINUOUS: Final = 0x10
_NO_TAG: Final = 0x0400
_TAG_SEARCH, _SET_PROTOCOL, _READ_MEMORY, _WRITE_MEMORY = 0x2F, 0x93, 0x28, 0x24
_STOP: Final = b"\x00\x00\x02"
_GEN2: Final = b"\x00\x05"
_WITHIN_MS: Final = 1000
_WITH_METADATA, _BY_EPC, _LONG_MASK = 0x10, 0x04, 0x20
_EPC_AT: Final = 32
"""The bit of the EPC bank behind CRC and PC."""
_MOST_WORDS, _MOST_WORDS_WRITTEN = 96, 64
_WHY: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x0105: "a parameter is wrong",
        0x0400: "the tag does not answer",
        0x0401: "no protocol is set",
        0x0404: "the tag does not answer",
        0x0405: "the radio is off; is the region set?",
        0x0406: "the tag was not written",
        0x0409: "the tag has no such place",
        0x040A: "the tag refused, it does not say why",
        0x040B: "more words than a read may have",
        0x040F: "the tag was not understood",
        0x0430: "the tag refused, it does not say why",
        0x0503: "the antenna is not connected",
    }
    | {0x0420 | code: tag_error(code) for code in (0x00, 0x03, 0x04, 0x0B, 0x0F)}
)
"""What the module says of an access, by status; others are told by their number."""
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
        return status(raw, "ack") if state == 0 else status(raw, "error", _why(state))
    if state == _NO_TAG:
        return status(raw, "heartbeat" if not data else "other", "no tag")
    if state != 0:
        return status(raw, "error", f"status {state:04X}")
    if not data or data[0] != _CONTINUOUS:
        return status(raw, "other")
    return _tags(raw, data)


def _why(state: int) -> str:
    return _WHY.get(state, f"status {state:04X}")


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


_READ: Final = _framed(_TAG_SEARCH, bytes.fromhex("00000122 000005 07 22 10 001B 03E8 01FF"))


class MercuryCodec(TagCodec):
    """Inventory, and the memory of the tag that was chosen; see `AddressingCodec` and `TellingCodec`."""

    def __init__(self, asking: Asking | None) -> None:
        super().__init__(_BothWays(), _read, asking)
        self._chosen = b""
        self._quiet = False
        self._asked_for = frozenset[int]()

    def choose(self, number: bytes) -> list[Send]:
        """See `AddressingCodec.choose`. The first time the module has to stop reading by itself."""
        self._chosen = number
        if self._quiet or not number:
            return []
        self._quiet = True
        self._asked_for = frozenset((_TAG_SEARCH, _SET_PROTOCOL))
        return [Send(data=_framed(_TAG_SEARCH, _STOP)), Send(data=_framed(_SET_PROTOCOL, _GEN2))]

    def read_memory(self, bank: int, word: int, words: int, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.read_memory`. Raises ValueError for more than an answer holds."""
        if not 0 < words <= _MOST_WORDS:
            raise ValueError(f"{words} words; this reader reads 1 to {_MOST_WORDS}")
        option, mask = self._mask(password)
        place = bytes([option | _WITH_METADATA, 0, 0, bank]) + word.to_bytes(4, "big") + bytes([words])
        self._asked_for = frozenset((_READ_MEMORY,))
        return Send(data=_framed(_READ_MEMORY, _WITHIN_MS.to_bytes(2, "big") + place + mask))

    def write_memory(self, bank: int, word: int, data: bytes, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.write_memory`. Raises ValueError for more than a question holds."""
        if not 0 < len(data) <= 2 * _MOST_WORDS_WRITTEN or len(data) % 2:
            raise ValueError(f"{len(data)} bytes; this reader writes 1 to {_MOST_WORDS_WRITTEN} words of two bytes")
        option, mask = self._mask(password)
        place = bytes([option]) + word.to_bytes(4, "big") + bytes([bank])
        self._asked_for = frozenset((_WRITE_MEMORY,))
        return Send(data=_framed(_WRITE_MEMORY, _WITHIN_MS.to_bytes(2, "big") + place + mask + data))

    def memory_in(self, raw: bytes) -> tuple[str, bytes] | None:
        """See `MemoryCodec.memory_in`: the number is that of the tag that was chosen."""
        if self.answer_in(raw) != "" or raw[2] not in (_READ_MEMORY, _WRITE_MEMORY):
            return None
        if raw[2] == _WRITE_MEMORY:
            return self._chosen.hex().upper(), b""
        # The option byte comes back, and the metadata that was asked for: none.
        whole = len(raw) >= 10 and raw[5] & _WITH_METADATA and raw[6:8] == b"\x00\x00"
        return (self._chosen.hex().upper(), raw[8:-2]) if whole else None

    def answer_in(self, raw: bytes) -> str | None:
        """See `TellingCodec.answer_in`: tags and signs of life still come until the module has stopped."""
        if len(raw) < 7 or raw[0] != _START or len(raw) != raw[1] + 7 or raw[2] not in self._asked_for:
            return None
        state = int.from_bytes(raw[3:5], "big")
        return _why(state) if state else ""

    def _mask(self, password: bytes) -> tuple[int, bytes]:
        """The option byte and the mask that find the tag that was chosen."""
        bits = 8 * len(self._chosen)
        option = _BY_EPC | (_LONG_MASK if bits > 0xFF else 0)
        return option, password + _EPC_AT.to_bytes(4, "big") + bits.to_bytes(1 + (bits > 0xFF), "big") + self._chosen


def _make(options: Mapping[str, Any]) -> MercuryCodec:
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
    return MercuryCodec(asking)


SPEC = DriverSpec(
    id="mercury",
    kind="rfid",
    title="ThingMagic module (Mercury protocol)",
    make=_make,
    models=("ThingMagic M6e Nano, M6e Micro", "ThingMagic M5e", "SparkFun Simultaneous RFID Reader"),
    source="SparkFun's M6e Nano library and the frames it documents; ThingMagic's Mercury API",
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
    tells=("antenna", "rssi", "checksum", "memory"),
    dialogue=Dialogue(polls=True),
    stale_after=10.0,
    status_is_life=True,
)
