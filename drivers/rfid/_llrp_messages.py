"""The messages of LLRP that reading tags takes: their framing, what is in them, and how they are written.

Source: EPCglobal Low Level Reader Protocol 1.0.1, sections 9 to 16 and the binary encodings there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from drivers.sized_framing import MAYBE, Sized

SET_READER_CONFIG, ADD_ROSPEC, DELETE_ROSPEC, ENABLE_ROSPEC = 3, 20, 21, 24
ADD_ACCESSSPEC, DELETE_ACCESSSPEC, ENABLE_ACCESSSPEC = 40, 41, 42
REPORT, KEEPALIVE, EVENT, ENABLE_EVENTS, KEEPALIVE_ACK, ERROR_MESSAGE = 61, 62, 63, 64, 72, 100
TAG_REPORT: Final = 240
CONNECTION_ATTEMPT, CLOSED = 256, 257
_EXCEPTION, _ANTENNA_EVENT = 252, 255
_EVENT_SIZES: Final[Mapping[int, int]] = MappingProxyType({CONNECTION_ATTEMPT: 2, _EXCEPTION: 2, _ANTENNA_EVENT: 3})

_TYPES: Final = frozenset({1023}) | frozenset(
    number
    for first, last in (
        (1, 4),
        (11, 14),
        (20, 26),
        (30, 36),
        (40, 44),
        (46, 47),
        (50, 57),
        (60, 64),
        (72, 72),
        (100, 100),
    )
    for number in range(first, last + 1)
)
_HEADER: Final = 10
_LONGEST: Final = 8192
"""Longer messages are not for reading tags, but for reports: they are rejected."""
_LONGEST_REPORT: Final = 0xFFFF
"""Each tag is asked for in a message of its own; a reader that was set up by somebody else may tell a whole door."""
_STATUS: Final = 287
_EVENT_DATA: Final = 246
_EPC_DATA, _EPC_96, _ANTENNA, _RSSI = 241, 13, 1, 6
READ_RESULT, WRITE_RESULT = 349, 350
_EPC_AT: Final = 32
"""The bit of the EPC bank behind CRC and PC."""
_TV_SIZES: Final[Mapping[int, int]] = MappingProxyType(
    dict.fromkeys((1, 7, 8, 10, 11, 12, 14, 15, 17, 19, 20), 2)
    | dict.fromkeys((2, 3, 4, 5), 8)
    | dict.fromkeys((9, 16, 18), 4)
    | {6: 1, 13: 12}
)


class Malformed(Exception):
    """A message is not built as its type says."""

    def __init__(self) -> None:
        super().__init__("malformed")


def kind_of(raw: bytes) -> int:
    """The type of a message."""
    return int.from_bytes(raw[:2], "big") & 0x3FF


def _measure(header: bytes) -> int | None:
    if header and header[0] >> 2 not in (1, 2):
        return None
    if len(header) > 1 and kind_of(header) not in _TYPES:
        return None
    if len(header) < 6:
        return MAYBE if header[2:4] in (b"", b"\x00", b"\x00\x00") else None
    length = int.from_bytes(header[2:6], "big")
    if kind_of(header) == KEEPALIVE and length != _HEADER:
        return None
    return length if _HEADER <= length <= (_LONGEST_REPORT if kind_of(header) == REPORT else _LONGEST) else None


FRAMING: Final = Sized(6, _measure, lambda _: "")


def parameters(raw: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Type, start of the contents and end of each parameter; raises `Malformed` where they do not fill the room."""
    while at < stop:
        if raw[at] & 0x80:
            kind = raw[at] & 0x7F
            size = _TV_SIZES.get(kind)
            if size is None or at + 1 + size > stop:
                raise Malformed
            yield kind, at + 1, at + 1 + size
            at += 1 + size
            continue
        size = int.from_bytes(raw[at + 2 : at + 4], "big")
        if raw[at] >> 2 or size < 4 or at + size > stop:
            raise Malformed
        yield int.from_bytes(raw[at : at + 2], "big"), at + 4, at + size
        at += size


def tag_in(raw: bytes, start: int, stop: int) -> tuple[bytes, int | None, int | None]:
    """Number, antenna and RSSI (a byte) of a TagReportData."""
    number: bytes | None = None
    antenna = rssi = None
    for kind, at, end in parameters(raw, start, stop):
        if kind in (_EPC_96, _EPC_DATA):
            if number is not None:
                raise Malformed
            number = raw[at:end]
            if kind == _EPC_DATA:
                bits, number = int.from_bytes(number[:2], "big"), number[2:]
                if bits % 16 or len(number) != bits // 8:
                    raise Malformed
        elif kind == _ANTENNA:
            antenna = int.from_bytes(raw[at:end], "big")
        elif kind == _RSSI:
            rssi = raw[at]
    if number is None:
        raise Malformed
    return number, antenna, rssi


def results_in(raw: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Number of the tag, kind and contents of each result of an access in a report, or in a part of one (`raw` of one
    tag); nothing where the bytes hold none or are no report."""
    whole = len(raw) > _HEADER and raw[0] >> 2 != 0
    if whole and kind_of(raw) != REPORT:
        return
    try:
        for kind, start, stop in parameters(raw, _HEADER if whole else 0, len(raw)):
            if kind != TAG_REPORT:
                continue
            number, _, _ = tag_in(raw, start, stop)
            for result, at, end in parameters(raw, start, stop):
                if result in (READ_RESULT, WRITE_RESULT) and end - at >= 5:
                    yield number, result, raw[at:end]
    except Malformed:
        return


def events_in(raw: bytes) -> dict[int, bytes]:
    """The contents of the events of a READER_EVENT_NOTIFICATION, by type; raises `Malformed`."""
    told: dict[int, bytes] = {}
    for kind, start, stop in parameters(raw, _HEADER, len(raw)):
        if kind != _EVENT_DATA:
            raise Malformed
        for event, at, end in parameters(raw, start, stop):
            if end - at < _EVENT_SIZES.get(event, 0):
                raise Malformed
            told[event] = raw[at:end]
    return told


def attempt_in(told: Mapping[int, bytes]) -> int | None:
    """What became of the attempt to connect; None where the events do not say."""
    attempt = told.get(CONNECTION_ATTEMPT)
    return None if attempt is None else int.from_bytes(attempt[:2], "big")


def trouble_in(told: Mapping[int, bytes]) -> str | None:
    """What the reader says is wrong with itself, in words; None where nothing is."""
    exception, antenna = told.get(_EXCEPTION), told.get(_ANTENNA_EVENT)
    if exception is not None:
        length = int.from_bytes(exception[:2], "big")
        return f"the reader reports: {exception[2 : 2 + length].decode('utf-8', errors='replace')}"
    if antenna is not None and antenna[0] == 0:
        return f"antenna {int.from_bytes(antenna[1:3], 'big')} is not connected"
    return None


def status_in(raw: bytes) -> tuple[int | None, str]:
    """Code and words of the LLRPStatus that an answer begins with; code None where a message has none."""
    if len(raw) < _HEADER + 8 or int.from_bytes(raw[_HEADER : _HEADER + 2], "big") != _STATUS:
        return None, ""
    code, length = int.from_bytes(raw[14:16], "big"), int.from_bytes(raw[16:18], "big")
    return code, raw[18 : 18 + length].decode("utf-8", errors="replace")


def message(kind: int, number: int, body: bytes = b"") -> bytes:
    """A message of version 1.0.1."""
    return (
        (0x0400 | kind).to_bytes(2, "big") + (_HEADER + len(body)).to_bytes(4, "big") + number.to_bytes(4, "big") + body
    )


def _tlv(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + (4 + len(body)).to_bytes(2, "big") + body


def ro_spec(number: int, antennas: Sequence[int]) -> bytes:
    """An ROSpec that reads at once and without end, and reports each tag by itself with antenna, RSSI and count."""
    boundary = _tlv(178, _tlv(179, b"\x01") + _tlv(182, bytes(5)))
    listed = len(antennas).to_bytes(2, "big") + b"".join(antenna.to_bytes(2, "big") for antenna in antennas)
    inventory = _tlv(183, listed + _tlv(184, bytes(5)) + _tlv(186, b"\x00\x01\x01"))
    report = _tlv(237, b"\x01\x00\x01" + _tlv(238, b"\x14\x80"))
    return _tlv(177, number.to_bytes(4, "big") + b"\x00\x00" + boundary + inventory + report)


def access_spec(number: int, tag: bytes, operation: bytes) -> bytes:
    """An AccessSpec that does one operation, once, with the tag of this EPC, on any antenna.

    The reader forgets it when it has done it; it reports at once.
    """
    bits = (8 * len(tag)).to_bytes(2, "big")
    mask = b"\x60" + _EPC_AT.to_bytes(2, "big") + bits + b"\xff" * len(tag) + bits + tag  # bank 1, shall match
    command = _tlv(209, _tlv(338, _tlv(339, mask)) + operation)
    head = number.to_bytes(4, "big") + b"\x00\x00\x01\x00" + bytes(4)  # any antenna, Gen2, disabled, any ROSpec
    return _tlv(207, head + _tlv(208, b"\x01\x00\x01") + command + _tlv(239, b"\x01"))


def read_operation(number: int, bank: int, word: int, words: int, password: bytes) -> bytes:
    """A C1G2Read."""
    place = bytes([bank << 6]) + word.to_bytes(2, "big") + words.to_bytes(2, "big")
    return _tlv(341, number.to_bytes(2, "big") + password + place)


def write_operation(number: int, bank: int, word: int, data: bytes, password: bytes) -> bytes:
    """A C1G2Write."""
    place = bytes([bank << 6]) + word.to_bytes(2, "big") + (len(data) // 2).to_bytes(2, "big")
    return _tlv(342, number.to_bytes(2, "big") + password + place + data)
