"""Cuts one direction of an MQTT connection into packets without waiting for large ones; sans-I/O.

Fixed header (MQTT 5.0, section 2.1; the same in 3.1.1): a byte with the type in its high nibble, then the remaining
length in 1 to 4 bytes of 7 bits each, low first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PUBACK: Final = 4
MAX_HELD: Final = 64 * 1024  # a PUBACK with properties is far below it; a larger packet passes


class PubackFilter:
    """Passes a stream on, byte for byte, without the PUBACKs that `eat` takes; partial packets may come in any cut."""

    def __init__(self, eat: Callable[[], bool]) -> None:
        self._eat = eat
        self._header = bytearray()
        self._held = bytearray()
        self._left = 0
        self._holding = False
        self._lost = False
        self.seen = 0
        self.eaten = 0

    @property
    def in_step(self) -> bool:
        """False once the stream was no MQTT; from then on everything passes untouched."""
        return not self._lost

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came and return what goes on now."""
        passed = bytearray()
        position = 0
        while position < len(data):
            if self._lost:
                passed += data[position:]
                break
            if self._left:
                taken = data[position : position + self._left]
                self._body(taken, passed)
                position += len(taken)
            else:
                self._head(data[position], passed)
                position += 1
        return bytes(passed)

    def _head(self, byte: int, passed: bytearray) -> None:
        self._header.append(byte)
        if len(self._header) == 1 or (byte & 0x80 and len(self._header) < 5):
            return
        if byte & 0x80:
            self._lost = True
            passed += self._header
            self._header.clear()
            return
        length = sum((each & 0x7F) << 7 * place for place, each in enumerate(self._header[1:]))
        self._holding = self._header[0] >> 4 == PUBACK and length <= MAX_HELD
        (self._held if self._holding else passed).extend(self._header)
        self._header.clear()
        self._left = length
        if not length:
            self._finish(passed)

    def _body(self, taken: bytes, passed: bytearray) -> None:
        (self._held if self._holding else passed).extend(taken)
        self._left -= len(taken)
        if not self._left:
            self._finish(passed)

    def _finish(self, passed: bytearray) -> None:
        if not self._holding:
            return
        self.seen += 1
        if self._eat():
            self.eaten += 1
        else:
            passed += self._held
        self._held.clear()
        self._holding = False
