"""The memory banks of the tags before a reader: EPC (1), TID (2), user memory (3), in words of two bytes."""

from __future__ import annotations

from typing import Final

from hwsim.rfid.checks import crc_gen2, pc
from hwsim.rfid.field import Field

EPC, TID, USER = 1, 2, 3
_FRESH: Final = bytes.fromhex("e2801160") + bytes(28)
"""What TID and user memory of a tag begin with that nobody wrote to."""


class TagMemory:
    """Read and written by number. What is not there, or may not be written, is None or False."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._banks: dict[tuple[bytes, int], bytes] = {}

    def read(self, number: bytes, bank: int, word: int, words: int) -> bytes | None:
        """So many words from there on."""
        memory = self._bank(number, bank)
        if not words or 2 * (word + words) > len(memory):
            return None
        return memory[2 * word : 2 * (word + words)]

    def write(self, number: bytes, bank: int, word: int, data: bytes) -> bool:
        """Write whole words. Another EPC is another number; the tag takes its other banks with it."""
        memory = self._bank(number, bank)
        if bank == TID or not data or len(data) % 2 or 2 * word + len(data) > len(memory) or (bank == EPC and word < 2):
            return False
        written = memory[: 2 * word] + data + memory[2 * word + len(data) :]
        if bank != EPC:
            self._banks[number, bank] = written
            return True
        for other in (TID, USER):
            self._banks[written[4:], other] = self._bank(number, other)
        self._field.rewrite(number, written[4:])
        return True

    def _bank(self, number: bytes, bank: int) -> bytes:
        if bank == EPC:
            told = pc(number) + number
            return crc_gen2(told) + told
        return self._banks.get((number, bank), _FRESH) if bank in (TID, USER) else b""
