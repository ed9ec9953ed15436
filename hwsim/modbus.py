"""A simulated Modbus RTU weighing indicator with the register map of the Tuna ID550 (its manual's list).

    40001, 40002   display, float, high word first
    40003, 40004   gross, float
    40005          status: bit 8 zero, 9 under range, 10 over range, 11 net, 12 in motion, 15 data valid
    40006          commands: bit 11 zero, bit 12 tare, done when the bit goes from 0 to 1

Functions 03 and 04 read, 06 writes (Modbus Application Protocol V1.1b3, 6.3, 6.4, 6.6); everything else is refused.
The CRC is computed bit by bit as the serial line guide's appendix B describes it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from hwsim.load import Platter
from hwsim.mass import MILLIGRAMS

ADDRESS: Final = 1
COMMANDS: Final = 5
REGISTERS: Final = 6
SILENCE: Final = 0.05  # seconds after which what came before is no beginning of a request


def crc(data: bytes) -> bytes:
    """The two CRC bytes of a frame, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            carry = value & 1
            value >>= 1
            if carry:
                value ^= 0xA001
    return bytes((value & 0xFF, value >> 8))


class Id550:
    """Answers one master; see `hwsim.instruments.Conversation`."""

    def __init__(self, platter: Platter, address: int = ADDRESS) -> None:
        self._platter = platter
        self._address = address
        self._typed = b""
        self._last = 0.0
        self._command = 0

    def power_on(self, now: float) -> Sequence[bytes]:
        self._typed = b""
        return ()

    def sample(self, now: float) -> Sequence[bytes]:
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        if now - self._last > SILENCE:
            self._typed = b""
        self._last = now
        self._typed += data
        answers = []
        while len(self._typed) >= 8:
            frame, self._typed = self._typed[:8], self._typed[8:]
            if crc(frame[:6]) == frame[6:] and frame[0] == self._address:
                answers.append(self._answer(frame, now))
        return answers

    def _answer(self, frame: bytes, now: float) -> bytes:
        _, function, register, value = struct.unpack(">BBHH", frame[:6])
        if function in (3, 4):
            if not 1 <= value <= 125:
                return self._refusal(function, 3)
            if register + value > REGISTERS:
                return self._refusal(function, 2)
            words = self._memory(now)[register : register + value]
            return self._closed(bytes((self._address, function, 2 * value)) + struct.pack(f">{value}H", *words))
        if function == 6:
            if register != COMMANDS:
                return self._refusal(function, 2)
            risen = value & ~self._command
            self._command = value
            if risen & 1 << 11:
                self._platter.zero(now)
            if risen & 1 << 12:
                self._platter.tare(now)
            return frame
        return self._refusal(function, 1)

    def _memory(self, now: float) -> tuple[int, ...]:
        shown = self._platter.indication(now)
        unit = MILLIGRAMS[shown.unit]
        display = struct.unpack(">2H", struct.pack(">f", shown.value_mg / unit))
        gross = struct.unpack(">2H", struct.pack(">f", (shown.value_mg + shown.tare_mg) / unit))
        status = 1 << 15 | (shown.value_mg == 0) << 8 | (shown.condition == "underload") << 9
        status |= (shown.condition == "overload") << 10 | shown.net << 11 | (not shown.stable) << 12
        return (*display, *gross, status, self._command)

    def _refusal(self, function: int, code: int) -> bytes:
        return self._closed(bytes((self._address, function | 0x80, code)))

    @staticmethod
    def _closed(body: bytes) -> bytes:
        return body + crc(body)
