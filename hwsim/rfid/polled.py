"""Readers that read when they are asked: M100, R2000, UHFReader18, UHFReader288, PN532.

Each takes the host's bytes as its manual has them, answers what it knows and ignores what is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hwsim.rfid.checks import crc_gen2, crc_uhfreader, pc
from hwsim.rfid.field import Field
from hwsim.rfid.memory import Refusal, TagMemory

MAX_COMMAND: Final = 300


class Polled:
    """A reader that only answers. `take` cuts one command off the front of what came."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._typed = b""
        self._commands = 0
        self._broken = 0

    @property
    def due(self) -> float | None:
        """It speaks only when asked."""
        return None

    @property
    def counters(self) -> dict[str, int]:
        """Commands understood, bytes that were none, and what the field counts."""
        return {"commands": self._commands, "broken": self._broken, **self._field.counters, **self._refusals()}

    def _refusals(self) -> dict[str, int]:
        return {}

    def power_on(self, now: float) -> Sequence[bytes]:
        """Forget what was half typed."""
        self._typed = b""
        return ()

    def tick(self, now: float) -> Sequence[bytes]:
        """Nothing happens by itself."""
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        """Answer each whole command."""
        self._typed = (self._typed + data)[-MAX_COMMAND:]
        answers: list[bytes] = []
        while self._typed:
            size, command = self.take(self._typed)
            if not size:
                break
            self._typed = self._typed[size:]
            if command is None:
                self._broken += size
            else:
                self._commands += 1
                answers += self.answer(command, now)
        return answers

    def take(self, typed: bytes) -> tuple[int, bytes | None]:
        """How many bytes to take off, and the command in them; 0 while more are needed."""
        raise NotImplementedError

    def answer(self, command: bytes, now: float) -> Iterator[bytes]:
        """What the reader says to a command."""
        raise NotImplementedError


class M100(Polled):
    """`BB type cmd PL PL … sum 7E`, or AA and DD as the R200 has them: it answers in the host's own framing."""

    _ENDS: Final = {0xBB: 0x7E, 0xAA: 0xDD}
    _NO_TAG, _UNKNOWN = 0x15, 0x17

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._tags = TagMemory(field)
        self._mask, self._masked = b"", False

    def take(self, typed: bytes) -> tuple[int, bytes | None]:
        if typed[0] not in self._ENDS:
            return 1, None
        if len(typed) < 5:
            return 0, None
        size = 7 + int.from_bytes(typed[3:5], "big")
        if size > 100:
            return 1, None
        if len(typed) < size:
            return 0, None
        frame = typed[:size]
        sound = frame[-1] == self._ENDS[frame[0]] and sum(frame[1:-2]) % 256 == frame[-2] and frame[1] == 0
        return (size, frame) if sound else (1, None)

    def _refusals(self) -> dict[str, int]:
        return self._tags.counters

    def answer(self, command: bytes, now: float) -> Iterator[bytes]:
        start, code = command[0], command[2]
        if code == 0x22:
            heard = self._field.round(now)
            for tag in heard:
                told = pc(tag.number) + tag.number
                yield self._frame(start, 2, 0x22, bytes([tag.rssi_dbm & 0xFF]) + told + crc_gen2(told))
            if not heard:
                yield self._frame(start, 1, 0xFF, bytes([self._NO_TAG]))
        elif code == 0x0C:
            told = command[5:-2]
            whole = len(told) > 7 and told[0] & 3 == 1 and told[1:5] == b"\0\0\0\x20" and told[5] == 8 * len(told[7:])
            self._mask = told[7:] if whole else self._mask
            yield self._frame(start, 1, code, b"\0") if whole else self._frame(start, 1, 0xFF, b"\x0e")
        elif code == 0x12:
            self._masked = command[5] != 1
            yield self._frame(start, 1, code, b"\0")
        elif code in (0x39, 0x49):
            yield self._memory(start, code, command[5:-2], now)
        elif code == 0x28:
            yield self._frame(start, 1, 0x28, b"\x00")
        elif code == 0x03:
            yield self._frame(start, 1, 0x03, b"\x00M100 26dBm V1.0")
        else:
            yield self._frame(start, 1, 0xFF, bytes([self._UNKNOWN]))

    def _memory(self, start: int, code: int, told: bytes, now: float) -> bytes:
        """Read (39) or write (49) words of the first tag that is heard."""
        bank, word, words = told[4], int.from_bytes(told[5:7], "big"), int.from_bytes(told[7:9], "big")
        heard = [tag for tag in self._field.round(now) if not self._masked or tag.number.startswith(self._mask)]
        if not heard:
            return self._frame(start, 1, 0xFF, bytes([0x09 if code == 0x39 else 0x10]))
        number = heard[0].number
        who = bytes([2 + len(number)]) + pc(number) + number
        data: bytes | Refusal
        if code == 0x39:
            data = self._tags.read(number, bank, word, words, told[:4])
        elif len(told) != 9 + 2 * words:
            return self._frame(start, 1, 0xFF, b"\x0e")
        else:
            data = self._tags.write(number, bank, word, told[9:], told[:4]) or b"\0"
        if isinstance(data, Refusal):
            return self._frame(start, 1, 0xFF, bytes([self._error(code, data)]))
        return self._frame(start, 1, code, who + data)

    @staticmethod
    def _error(code: int, refusal: Refusal) -> int:
        """A0 or B0 and the tag's own code; 16: access failed; 09, 10: no tag answered to a read, a write."""
        if refusal.gen2 is not None:
            return (0xA0 if code == 0x39 else 0xB0) | refusal.gen2
        if refusal is Refusal.PASSWORD:
            return 0x16
        return 0x09 if code == 0x39 else 0x10

    def _frame(self, start: int, kind: int, code: int, parameters: bytes) -> bytes:
        body = bytes([kind, code]) + len(parameters).to_bytes(2, "big") + parameters
        return self._field.spoil(bytes([start]) + body + bytes([sum(body) % 256, self._ENDS[start]]), -2)


class R2000(Polled):
    """`A0 len address cmd … check`. Inventory 89 reads the antenna that 74 selected and ends with what it counted.

    81 reads and 82 writes memory of whatever tags are heard; each answers for itself and says which it is.
    """

    ADDRESS: Final = 1

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._tags = TagMemory(field)
        self._match = b""
        self._antenna = 0

    def take(self, typed: bytes) -> tuple[int, bytes | None]:
        if typed[0] != 0xA0:
            return 1, None
        if len(typed) < 2:
            return 0, None
        size = 2 + typed[1]
        if size < 5:
            return 1, None
        if len(typed) < size:
            return 0, None
        frame = typed[:size]
        sound = sum(frame) % 256 == 0
        if not sound:
            return 1, None
        return size, frame if frame[2] in (self.ADDRESS, 0xFF) else b""

    def _refusals(self) -> dict[str, int]:
        return self._tags.counters

    def answer(self, command: bytes, now: float) -> Iterator[bytes]:
        if not command:
            return  # for another reader on the line
        code = command[3]
        if code == 0x74:
            known = len(command) == 6 and command[4] < 8
            self._antenna = command[4] if known else self._antenna
            yield self._frame(bytes([code, 0x10 if known else 0x41]))
        elif code == 0x89:
            heard = self._field.round(now, self._antenna + 1)
            for tag in heard:
                number = tag.antenna - 1
                rssi = (tag.rssi_dbm + 129 & 0x7F) | (0x80 if number > 3 else 0)
                told = bytes([6 << 2 | number & 3]) + pc(tag.number) + tag.number + bytes([rssi])
                yield self._frame(bytes([code]) + told)
            yield self._frame(bytes([code, self._antenna, 0, 20]) + len(heard).to_bytes(4, "big"))
        elif code in (0x81, 0x82):
            yield from self._memory(code, command[4:-1], now)
        elif code == 0x85:
            told = command[4:-1]
            known = told == b"\x01" or (told[:1] == b"\0" and told[1:2] == bytes([len(told) - 2]))
            self._match = told[2:] if known else self._match
            yield self._frame(bytes([code, 0x10 if known else 0x41]))
        elif code == 0x72:
            yield self._frame(bytes([code, 7, 8]))
        else:
            yield self._frame(bytes([code, 0x40]))

    def _memory(self, code: int, told: bytes, now: float) -> Iterator[bytes]:
        writes = code == 0x82
        if len(told) < (7 if writes else 3):
            yield self._frame(bytes([code, 0x41]))
            return
        bank, word, words = told[4:7] if writes else told[:3]
        password = told[:4] if writes else told[3:7].ljust(4, b"\0")
        heard = [tag for tag in self._field.round(now, self._antenna + 1) if self._match in (b"", tag.number)]
        if not heard:
            yield self._frame(bytes([code, 0x36]))
        for tag in heard:
            who = pc(tag.number) + tag.number
            who += crc_gen2(who)
            place = bytes([6 << 2 | self._antenna & 3, 1])
            if writes and len(told) != 7 + 2 * words:
                yield self._frame(bytes([code, 0x41]))
                continue
            if writes:
                refusal = self._tags.write(tag.number, bank, word, told[7:], password)
                if refusal is Refusal.GONE:
                    yield self._frame(bytes([code, 0x36]))
                    continue
                failed = 0x40 if refusal is Refusal.PASSWORD else 0x33
                answer = who + bytes([0x10 if refusal is None else failed])
            else:
                data = self._tags.read(tag.number, bank, word, words, password)
                if isinstance(data, Refusal):
                    failed = {Refusal.PASSWORD: 0x40, Refusal.GONE: 0x36}.get(data, 0x32)
                    yield self._frame(bytes([code, failed]))
                    continue
                answer = who + data + bytes([len(data)])
            yield self._frame(bytes([code]) + len(heard).to_bytes(2, "big") + bytes([len(answer) - 1]) + answer + place)

    def _frame(self, body: bytes) -> bytes:
        frame = bytes([0xA0, len(body) + 2, self.ADDRESS]) + body
        return self._field.spoil(frame + bytes([-sum(frame) % 256]), -1)


class Reader18(Polled):
    """`len address cmd … CRC`. Inventory 01 tells all tags, in several frames where they do not fit into one.

    02 reads and 03 writes memory of the tag whose EPC the command holds.
    """

    ADDRESS: Final = 0
    _PER_FRAME: Final = 12

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._tags = TagMemory(field)

    def take(self, typed: bytes) -> tuple[int, bytes | None]:
        size = 1 + typed[0]
        if not 5 <= size <= 120:
            return 1, None
        if len(typed) < size:
            return 0, None
        frame = typed[:size]
        if crc_uhfreader(frame[:-2]) != frame[-2:]:
            return 1, None
        return size, frame if frame[1] in (self.ADDRESS, 0xFF) else b""

    def _refusals(self) -> dict[str, int]:
        return self._tags.counters

    def answer(self, command: bytes, now: float) -> Iterator[bytes]:
        if not command:
            return
        if command[2] == 0x01:
            yield from self._inventory(now)
        elif command[2] in (0x02, 0x03):
            yield self._memory(command[2], command[3:-2], now)
        elif command[2] == 0x21:
            yield self._frame(b"\x21\x00" + bytes.fromhex("0203090300001e0a"))
        else:
            yield self._frame(bytes([command[2], 0xFE]))

    def _memory(self, code: int, told: bytes, now: float) -> bytes:
        """`[words]  EPC words  EPC  bank  word  words or data  password (4)`."""
        many = told[0] if code == 0x03 else 0
        rest = told[1:] if code == 0x03 else told
        number, rest = rest[1 : 1 + 2 * rest[0]], rest[1 + 2 * rest[0] :]
        if len(rest) != (6 + 2 * many if code == 0x03 else 7):
            return self._frame(bytes([code, 0xFF]))
        if number not in [tag.number for tag in self._field.round(now)]:
            return self._frame(bytes([code, 0xFB]))
        password = rest[-4:]
        told_back: bytes | Refusal
        if code == 0x02:
            told_back = self._tags.read(number, rest[0], rest[1], rest[2], password)
        else:
            told_back = self._tags.write(number, rest[0], rest[1], rest[2:-4], password) or b""
        if not isinstance(told_back, Refusal):
            return self._frame(bytes([code, 0x00]) + told_back)
        if told_back.gen2 is not None:
            return self._frame(bytes([code, 0xFC, told_back.gen2]))
        return self._frame(bytes([code, 0x05 if told_back is Refusal.PASSWORD else 0xFB]))

    def _inventory(self, now: float) -> Iterator[bytes]:
        heard = [tag.number for tag in self._field.round(now)]
        if not heard:
            yield self._frame(b"\x01\xfb")
        for at in range(0, len(heard), self._PER_FRAME):
            some = heard[at : at + self._PER_FRAME]
            status = 0x03 if at + self._PER_FRAME < len(heard) else 0x01
            entries = b"".join(bytes([len(number)]) + number for number in some)
            yield self._frame(bytes([0x01, status, len(some)]) + entries)

    def _frame(self, body: bytes) -> bytes:
        frame = bytes([len(body) + 3, self.ADDRESS]) + body
        return self._field.spoil(frame + crc_uhfreader(frame), -1)


class Reader288(Reader18):
    """The same frames; an inventory tells antenna and RSSI, tag by tag, and ends with an empty frame."""

    def _inventory(self, now: float) -> Iterator[bytes]:
        for tag in self._field.round(now):
            entry = bytes([len(tag.number)]) + tag.number + bytes([tag.rssi_dbm + 129 & 0xFF])
            yield self._frame(bytes([0x01, 0x03, 1 << tag.antenna - 1, 1]) + entry)
        yield self._frame(bytes([0x01, 0x01, 0x01, 0]))


class PN532(Polled):
    """`00 00 FF LEN LCS TFI … DCS 00`. Each command is acknowledged, then answered; it reads two cards at the most."""

    _START: Final = b"\x00\x00\xff"
    _ACK: Final = b"\x00\x00\xff\x00\xff\x00"

    def take(self, typed: bytes) -> tuple[int, bytes | None]:
        at = typed.find(self._START)
        if at:
            return (len(typed) - 2 if len(typed) > 2 else 0, None) if at < 0 else (at, None)
        if len(typed) < 5:
            return 0, None
        if typed[3:5] in (b"\x00\xff", b"\xff\x00"):
            return (6, None) if len(typed) >= 6 else (0, None)
        length, check = typed[3], typed[4]
        if (length + check) % 256 or not length:
            return 3, None
        if len(typed) < 7 + length:
            return 0, None
        body = typed[5 : 5 + length]
        sound = (sum(body) + typed[5 + length]) % 256 == 0 and body[0] == 0xD4
        return 7 + length, body[1:] if sound else None

    def answer(self, command: bytes, now: float) -> Iterator[bytes]:
        yield self._ACK
        code = command[0]
        if code == 0x4A:
            cards = self._field.round(now)[: min(2, command[1])]
            targets = b"".join(
                bytes([number, 0x00, 0x44 if len(card.number) > 4 else 0x04, 0x08, len(card.number)]) + card.number
                for number, card in enumerate(cards, 1)
            )
            yield self._frame(bytes([0x4B, len(cards)]) + targets)
        elif code == 0x02:
            yield self._frame(b"\x03\x32\x01\x06\x07")
        elif code in (0x14, 0x32):
            yield self._frame(bytes([code + 1]))
        else:
            yield b"\x00\x00\xff\x01\xff\x7f\x81\x00"

    def _frame(self, body: bytes) -> bytes:
        told = b"\xd5" + body
        head = self._START + bytes([len(told), -len(told) % 256])
        return self._field.spoil(head + told + bytes([-sum(told) % 256, 0]), -2)
