"""Readers that speak by themselves: ThingMagic once started, RDM6300 and Wiegand always."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hwsim.rfid.checks import crc_gen2, crc_mercury, pc
from hwsim.rfid.field import Field
from hwsim.rfid.memory import Refusal, TagMemory

MAX_COMMAND: Final = 300


class Mercury:
    """`FF len op …`: op 2F starts reading; then a frame for each tag, and once a second a sign of life without one.

    28 reads and 24 writes memory of the first tag that a mask over the EPC bank finds, while it does not read by itself
    and once 93 has set the protocol (ThingMagic's Mercury API, serial reader).
    """

    _KEEP_ALIVE: Final = 1.0
    _GEN2: Final = b"\x00\x05"
    _NO_PROTOCOL, _NO_TAG, _INVALID_OPCODE, _WRONG_LENGTH, _WRONG_PARAMETER = 0x0401, 0x0400, 0x0101, 0x0100, 0x0105
    _REFUSALS: Final = {
        Refusal.NO_PLACE: 0x0423,
        Refusal.LOCKED: 0x0424,
        Refusal.POWER: 0x042B,
        Refusal.PASSWORD: 0x0420,
        Refusal.GONE: 0x0400,
    }

    def __init__(self, field: Field) -> None:
        self._field = field
        self._typed = b""
        self._next: float | None = None
        self._alive = 0.0
        self._commands = 0
        self._tags = TagMemory(field)
        self._protocol = b""

    @property
    def due(self) -> float | None:
        """When the next tag is read, or it says that it lives; None while it does not read."""
        return None if self._next is None else min(self._next, self._alive)

    @property
    def counters(self) -> dict[str, int]:
        """Commands understood, and what the field counts."""
        return {"commands": self._commands, **self._field.counters, **self._tags.counters}

    def power_on(self, now: float) -> Sequence[bytes]:
        """It does not read before it is told to."""
        self._typed, self._next, self._protocol = b"", None, b""
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        """Answer commands whose CRC holds."""
        self._typed = (self._typed + data)[-MAX_COMMAND:]
        answers: list[bytes] = []
        while len(self._typed) >= 2:
            size = 5 + self._typed[1]
            if self._typed[0] != 0xFF:
                self._typed = self._typed[1:]
            elif len(self._typed) < size:
                break
            elif crc_mercury(self._typed[1 : size - 2]) != self._typed[size - 2 : size]:
                self._typed = self._typed[1:]
            else:
                answers.append(self._obey(self._typed[2], self._typed[3 : size - 2], now))
                self._typed = self._typed[size:]
        return answers

    def tick(self, now: float) -> Sequence[bytes]:
        """The next tag, or the sign of life."""
        frames: list[bytes] = []
        while self._next is not None and now >= self._next:
            self._next = max(self._next + 1 / self._field.rate, now - 1.0)
            heard = self._field.next(now)
            if heard is None:
                continue
            told = pc(heard.number) + heard.number
            told += crc_gen2(told)
            facts = bytes([1, heard.rssi_dbm & 0xFF, heard.antenna << 4 | heard.antenna]) + b"\x0e\x16\x40"
            facts += round((now - self._alive + self._KEEP_ALIVE) * 1000 % 60_000).to_bytes(4, "big") + b"\x00\x00"
            facts += b"\x05\x00\x00\x0f" + (len(told) * 8).to_bytes(2, "big") + told
            frames.append(self._frame(0x22, b"\x10\x00\x1b\x01\xff\x01" + facts))
        if self._next is not None and now >= self._alive:
            self._alive = now + self._KEEP_ALIVE
            frames.append(self._frame(0x22, b"", status=0x0400))
        return frames

    def _obey(self, operation: int, data: bytes, now: float) -> bytes:
        self._commands += 1
        if operation == 0x2F and data[2:3] == b"\x01":
            self._next, self._alive = now, now + self._KEEP_ALIVE
        elif operation == 0x2F:
            self._next = None
        elif operation == 0x93:
            self._protocol = data
        elif operation in (0x24, 0x28) and self._next is None:
            return self._memory(operation, data, now)
        elif operation not in (0x03, 0x91, 0x92, 0x97, 0x9A):
            return self._frame(operation, b"", status=self._INVALID_OPCODE)
        return self._frame(operation, b"")

    def _memory(self, operation: int, data: bytes, now: float) -> bytes:
        """`ms (2) option [metadata (2)] …`, then what the option byte announces: password, place, bits and mask."""
        if self._protocol != self._GEN2:
            return self._frame(operation, b"", status=self._NO_PROTOCOL)
        option, reads = data[2] if len(data) > 2 else 0, operation == 0x28
        if reads and not option & 0x10:
            return self._frame(operation, b"", status=self._WRONG_PARAMETER)
        fixed = 2 + 1 + (2 + 1 + 4 + 1 if reads else 4 + 1)
        if reads:
            bank, word, words = data[5], int.from_bytes(data[6:10], "big"), data[10]
        else:
            bank, word, words = data[7], int.from_bytes(data[3:7], "big"), 0
        password, at, mask, rest = bytes(4), 0, b"", data[fixed:]
        if option & 0x07 == 0x05:
            password, rest = rest[:4], rest[4:]
        elif option & 0x07 == 0x04:
            width = 2 if option & 0x20 else 1
            password, at = rest[:4], int.from_bytes(rest[4:8], "big")
            bits = int.from_bytes(rest[8 : 8 + width], "big")
            size = (bits + 7) // 8
            mask, rest = rest[8 + width : 8 + width + size], rest[8 + width + size :]
            if bits % 8 or len(mask) != size:
                return self._frame(operation, b"", status=self._WRONG_LENGTH)
        elif option & 0x07:
            return self._frame(operation, b"", status=self._WRONG_PARAMETER)
        if at != 0x20 and mask:
            return self._frame(operation, b"", status=self._WRONG_PARAMETER)
        if reads == bool(rest):
            return self._frame(operation, b"", status=self._WRONG_LENGTH)
        heard = [tag for tag in self._field.round(now) if tag.number.startswith(mask)]
        if not heard:
            return self._frame(operation, b"", status=self._NO_TAG)
        number = heard[0].number
        told: bytes | Refusal
        if reads:
            told = self._tags.read(number, bank, word, words, password)
        else:
            told = self._tags.write(number, bank, word, rest, password) or b""
        if isinstance(told, Refusal):
            return self._frame(operation, b"", status=self._REFUSALS[told])
        return self._frame(operation, data[2:5] + told if reads else b"")

    def _frame(self, operation: int, data: bytes, status: int = 0) -> bytes:
        body = bytes([len(data), operation]) + status.to_bytes(2, "big") + data
        return self._field.spoil(b"\xff" + body + crc_mercury(body), -1)


class Pushed:
    """A reader that tells the card that lies on it every `EVERY` seconds, and takes no commands."""

    EVERY: float

    def __init__(self, field: Field) -> None:
        self._field = field
        self._next: float | None = None

    @property
    def due(self) -> float | None:
        """When it looks for a card again."""
        return self._next

    @property
    def counters(self) -> dict[str, int]:
        """What the field counts."""
        return self._field.counters

    def power_on(self, now: float) -> Sequence[bytes]:
        """It begins to look."""
        self._next = now
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        """It does not listen."""
        return ()

    def tick(self, now: float) -> Sequence[bytes]:
        """One look."""
        if self._next is None or now < self._next:
            return ()
        self._next = now + self.EVERY
        return [self.frame(card.number) for card in self._field.round(now)[:1]]

    def frame(self, number: bytes) -> bytes:
        """The bytes that tell a card."""
        raise NotImplementedError


class RDM6300(Pushed):
    """`02`, ten hexadecimal digits, two of their XOR, `03`, every 65 ms."""

    EVERY = 0.065

    def frame(self, number: bytes) -> bytes:
        """See `Pushed.frame`."""
        check = 0
        for byte in number:
            check ^= byte
        return self._field.spoil(b"\x02" + f"{number.hex()}{check:02x}".upper().encode() + b"\x03", -2)


class Wiegand(Pushed):
    """The 26 bits in four bytes, once for each time that a card comes."""

    EVERY = 0.2

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._before: bytes | None = None

    def tick(self, now: float) -> Sequence[bytes]:
        """One look; a card that was there before is not told again."""
        if self._next is None or now < self._next:
            return ()
        self._next = now + self.EVERY
        there = self._field.there(now)[:1]
        if not there or there[0].number == self._before:
            self._before = there[0].number if there else None
            return ()
        heard = self._field.round(now)[:1]
        self._before = heard[0].number if heard else None
        return [self.frame(card.number) for card in heard]

    def frame(self, number: bytes) -> bytes:
        """See `Pushed.frame`: parity even over the first twelve bits, odd over the last."""
        bits = int.from_bytes(number[-3:], "big")
        even = (bits >> 12).bit_count() % 2
        odd = 1 - (bits & 0xFFF).bit_count() % 2
        return self._field.spoil((even << 25 | bits << 1 | odd).to_bytes(4, "big"), -1)
