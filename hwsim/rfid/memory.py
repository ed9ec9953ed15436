"""The memory banks of the tags before a reader: EPC (1), TID (2), user memory (3), in words of two bytes.

Source: EPC Gen2 (ISO 18000-63): banks, access password, lock, and the errors that a tag backscatters (annex I).
"""

from __future__ import annotations

import enum
from typing import Final

from hwsim.rfid.checks import crc_gen2, pc
from hwsim.rfid.field import Field

EPC, TID, USER = 1, 2, 3
BANKS: Final = {"epc": EPC, "user": USER}
"""Banks that can be locked here, by name."""
PASSWORD_BYTES: Final = 4
_FRESH: Final = bytes.fromhex("e2801160") + bytes(28)
"""What TID and user memory of a tag begin with that nobody wrote to."""


class Refusal(enum.Enum):
    """Why memory was not read or written; the value of those that a tag says itself is its Gen2 error code."""

    NO_PLACE = 0x03
    LOCKED = 0x04
    POWER = 0x0B
    PASSWORD = "the access password is wrong: the tag stops answering"
    GONE = "the tag is not there any more"

    @property
    def gen2(self) -> int | None:
        """The code that the tag backscatters; None where it says nothing."""
        return self.value if isinstance(self.value, int) else None


class TagMemory:
    """Read and written by number, with the faults that a `Tag` may have."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._banks: dict[tuple[bytes, int], bytes] = {}
        self._accesses: dict[bytes, int] = {}
        self.written = 0
        """Words that the last write has written."""
        self.refused: dict[Refusal, int] = {}
        """How often each fault was hit."""

    @property
    def counters(self) -> dict[str, int]:
        """How often each fault was hit, by its name."""
        return {f"refused_{refusal.name.lower()}": count for refusal, count in self.refused.items()}

    def read(self, number: bytes, bank: int, word: int, words: int, password: bytes = bytes(4)) -> bytes | Refusal:
        """So many words from there on."""
        refusal = self._accessed(number, password)
        if refusal is not None:
            return refusal
        memory = self._bank(number, bank)
        if not words or 2 * (word + words) > len(memory):
            return self._refuse(Refusal.NO_PLACE)
        return memory[2 * word : 2 * (word + words)]

    def write(self, number: bytes, bank: int, word: int, data: bytes, password: bytes = bytes(4)) -> Refusal | None:
        """Write whole words. Another EPC is another number; the tag takes its other banks with it."""
        self.written = 0
        refusal = self._accessed(number, password)
        if refusal is not None:
            return refusal
        tag, memory = self._field.tag(number), self._bank(number, bank)
        if not data or len(data) % 2 or 2 * word + len(data) > len(memory):
            return self._refuse(Refusal.NO_PLACE)
        if bank == TID or (bank == EPC and word < 2) or (bank in tag.locked and password != tag.password):
            return self._refuse(Refusal.LOCKED)
        done = data if tag.words is None else data[: 2 * tag.words]
        self.written = len(done) // 2
        written = memory[: 2 * word] + done + memory[2 * word + len(done) :]
        if bank != EPC:
            self._banks[number, bank] = written
        elif done:
            for other in (TID, USER):
                self._banks[written[4:], other] = self._bank(number, other)
            self._accesses[written[4:]] = self._accesses[number]
            self._field.rewrite(number, written[4:])
        return self._refuse(Refusal.POWER) if len(done) < len(data) else None

    def _accessed(self, number: bytes, password: bytes) -> Refusal | None:
        tag = self._field.tag(number)
        self._accesses[number] = self._accesses.get(number, 0) + 1
        if tag.accesses is not None and self._accesses[number] > tag.accesses:
            self._field.remove(number)
            return self._refuse(Refusal.GONE)
        if any(password) and password != tag.password:
            return self._refuse(Refusal.PASSWORD)
        return None

    def _refuse(self, refusal: Refusal) -> Refusal:
        self.refused[refusal] = self.refused.get(refusal, 0) + 1
        return refusal

    def _bank(self, number: bytes, bank: int) -> bytes:
        if bank == EPC:
            told = pc(number) + number
            return crc_gen2(told) + told
        return self._banks.get((number, bank), _FRESH) if bank in (TID, USER) else b""
