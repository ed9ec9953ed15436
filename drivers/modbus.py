"""Modbus RTU frames as a master sees them: requests, replies, CRC; sans-I/O.

Source: Modbus Application Protocol V1.1b3, sections 6.3, 6.4, 6.6, 7; Modbus over Serial Line V1.02, section 2.5.1.

    request   address | function 03 or 04 | first register, 2 | how many, 2 | CRC, 2, low byte first
    reply     address | function          | bytes that follow | registers, 2 each, high byte first | CRC, 2
    refusal   address | function + 80h    | code | CRC, 2
    write     address | function 06       | register, 2 | value, 2 | CRC, 2: request and reply are the same

Registers are counted from 0 on the wire; a manual's 40001 is register 0.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drivers.framing import NOISE_LIMIT, Cut

READ_HOLDING: Final = 3
READ_INPUT: Final = 4
WRITE_ONE: Final = 6
MOST_REGISTERS: Final = 125
REFUSALS: Final = {
    1: "illegal function",
    2: "illegal register",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, not done yet",
    6: "busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not answer",
}


def _table() -> tuple[int, ...]:
    values = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        values.append(crc)
    return tuple(values)


_TABLE: Final = _table()


def crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS (polynomial A001h reflected, initial FFFFh), low byte first as on the wire."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return struct.pack("<H", crc)


def closed(body: bytes) -> bytes:
    """A frame: the body and its CRC."""
    return body + crc16(body)


def holds(frame: bytes) -> bool:
    """Whether a frame's CRC holds."""
    return len(frame) >= 4 and crc16(frame[:-2]) == frame[-2:]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Asks a device for registers."""

    address: int
    function: int
    register: int
    count: int

    @property
    def frame(self) -> bytes:
        """The bytes to send."""
        return closed(struct.pack(">BBHH", self.address, self.function, self.register, self.count))

    @property
    def reply_size(self) -> int:
        """How many bytes of registers the reply carries."""
        return 2 * self.count


def write_frame(address: int, register: int, value: int) -> bytes:
    """Sets one register; a device that did so sends the same bytes back."""
    return closed(struct.pack(">BBHH", address, WRITE_ONE, register, value))


@dataclass(frozen=True)
class Replies:
    """The framing of what one device answers, for `drivers.framing.FrameBuffer`.

    `known` are whole frames that may be heard besides replies: our own requests, where a two-wire bus echoes them,
    and answers to writes. Of everything else a frame is one when its length is that of a reply that was asked for and
    its CRC holds. Several devices share a bus; those of another address are noise.
    """

    address: int
    function: int
    sizes: frozenset[int]
    known: tuple[bytes, ...] = ()

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `drivers.framing.Framing.scan`."""
        for frame in self.known:
            if data.startswith(frame, at):
                return Cut(size=len(frame), body=frame)
        if data[at] != self.address:
            return self._noise(data, at, final=final)
        left = len(data) - at
        waits = not final and any(frame.startswith(data[at:]) for frame in self.known if left < len(frame))
        if left < 2:
            return None if not final else Cut(size=left, reason="truncated", lost=True)
        size = self._size(data, at, left)
        if size is not None and left >= size and holds(data[at : at + size]):
            return Cut(size=size, body=data[at : at + size])
        if waits or (size is not None and left < size and not final):
            return None
        if size is None:
            return self._give_up(data, at, "malformed")
        return self._give_up(data, at, "truncated" if left < size else "checksum")

    def _size(self, data: bytes, at: int, left: int) -> int | None:
        """How long the frame that begins here is; None where none can begin."""
        if data[at + 1] == self.function | 0x80:
            return 5
        if data[at + 1] != self.function:
            return None
        if left < 3:
            return 3  # one more byte tells
        return 5 + data[at + 2] if data[at + 2] in self.sizes else None

    def _noise(self, data: bytes, at: int, *, final: bool) -> Cut | None:
        found = data.find(self.address, at, at + NOISE_LIMIT)
        if found >= 0:
            return Cut(size=found - at, reason="noise", lost=True)
        if len(data) - at >= NOISE_LIMIT or final:
            return Cut(size=min(NOISE_LIMIT, len(data) - at), reason="noise", lost=True)
        return None

    def _give_up(self, data: bytes, at: int, reason: str) -> Cut:
        """As far as the next byte that could begin a frame."""
        following = data.find(self.address, at + 1, at + NOISE_LIMIT)
        stop = following if following >= 0 else min(len(data), at + NOISE_LIMIT)
        return Cut(size=stop - at, reason=reason, lost=True)


def registers(reply: bytes) -> Sequence[int]:
    """The register values of a reply."""
    return struct.unpack(f">{reply[2] // 2}H", reply[3:-2])
