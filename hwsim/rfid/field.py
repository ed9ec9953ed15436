"""The field of a reader: which tags are there, and what an antenna hears of them in one round.

Real rounds miss tags (60 to 70 % are read), and the strength of one tag wanders by some dB from read to read.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

SGTIN: Final = bytes.fromhex("3034257bf7194e40")
"""The first eight bytes of an SGTIN-96; a serial number follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag or card. It is there `stay` seconds from `comes` on (always, if None), away for `away`, and so on."""

    number: bytes
    rssi_dbm: int = -55
    antenna: int = 1
    password: bytes = bytes(4)
    """Its access password; zero: none. Without it nothing that is locked is written."""
    locked: frozenset[int] = frozenset()
    """Its locked banks."""
    accesses: int | None = None
    """After so many accesses to its memory it is taken away, while the next one is under way."""
    words: int | None = None
    """So many words it writes at once, then its power fails."""
    comes: float = 0.0
    stay: float | None = None
    away: float = 5.0

    def there(self, at: float) -> bool:
        """Whether it is in the field `at` seconds after the beginning."""
        if at < self.comes:
            return False
        return self.stay is None or (at - self.comes) % (self.stay + self.away) < self.stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One answer of a tag."""

    number: bytes
    antenna: int
    rssi_dbm: int


class Field:
    """Tags before a reader's antennas. The same seed hears the same."""

    def __init__(
        self,
        tags: Sequence[Tag],
        *,
        missed: float = 0.0,
        noise_db: float = 0.0,
        spoiled: float = 0.0,
        rate: float = 50.0,
        seed: int = 0,
    ) -> None:
        if not 0 <= missed < 1 or not 0 <= spoiled <= 1 or noise_db < 0 or rate <= 0:
            raise ValueError("missed is 0 to under 1, bad checks 0 to 1, noise at least 0 dB, the rate above 0")
        self._tags = tuple(tags)
        self._missed = missed
        self._noise = noise_db
        self._spoiled = spoiled
        self._chance = random.Random(seed)
        self._began: float | None = None
        self._turn = 0
        self.rate = rate
        """Reads a second of a reader that reads continuously."""
        self.answers = 0
        self.misses = 0
        self.spoils = 0

    @property
    def counters(self) -> dict[str, int]:
        """What was heard, what was missed, and how many frames were sent with a wrong check."""
        return {"answers": self.answers, "misses": self.misses, "spoiled": self.spoils}

    def there(self, now: float, antenna: int | None = None) -> list[Tag]:
        """The tags before this antenna, or any."""
        if self._began is None:
            self._began = now
        at = now - self._began
        return [tag for tag in self._tags if tag.there(at) and antenna in (None, tag.antenna)]

    def round(self, now: float, antenna: int | None = None) -> list[Heard]:
        """What one round hears: each tag once, or not at all."""
        heard = [self._hear(tag) for tag in self.there(now, antenna)]
        return [each for each in heard if each is not None]

    def tag(self, number: bytes) -> Tag:
        """The tag of this number. Raises KeyError."""
        for tag in self._tags:
            if tag.number == number:
                return tag
        raise KeyError(number.hex())

    def remove(self, number: bytes) -> None:
        """Take a tag away."""
        self._tags = tuple(tag for tag in self._tags if tag.number != number)

    def rewrite(self, old: bytes, new: bytes) -> None:
        """Give a tag another number."""
        self._tags = tuple(replace(tag, number=new) if tag.number == old else tag for tag in self._tags)

    def next(self, now: float) -> Heard | None:
        """What a reader hears next that reads continuously: the tags in turn, or nothing."""
        tags = self.there(now)
        if not tags:
            return None
        self._turn += 1
        return self._hear(tags[self._turn % len(tags)])

    def spoil(self, frame: bytes, check: int) -> bytes:
        """A frame as it is sent: now and then with a bit of its check byte turned over."""
        if self._chance.random() >= self._spoiled:
            return frame
        self.spoils += 1
        spoiled = bytearray(frame)
        spoiled[check] ^= 1 << self._chance.randrange(8)
        return bytes(spoiled)

    def _hear(self, tag: Tag) -> Heard | None:
        if self._chance.random() < self._missed:
            self.misses += 1
            return None
        self.answers += 1
        rssi = round(self._chance.gauss(tag.rssi_dbm, self._noise)) if self._noise else tag.rssi_dbm
        return Heard(number=tag.number, antenna=tag.antenna, rssi_dbm=max(-120, min(-1, rssi)))


def make_tags(
    count: int,
    *,
    size: int = 12,
    antennas: int = 1,
    stay: float | None = None,
    away: float = 5.0,
    spread: float = 0.0,
    seed: int = 0,
) -> list[Tag]:
    """So many tags with numbers of `size` bytes, over the antennas, coming within `spread` seconds."""
    chance = random.Random(seed)
    return [
        Tag(
            number=(SGTIN + serial.to_bytes(4, "big"))[:size] if size == 12 else chance.randbytes(size),
            rssi_dbm=chance.randint(-68, -42),
            antenna=1 + serial % antennas,
            comes=spread * serial / count,
            stay=stay,
            away=away,
        )
        for serial in range(count)
    ]
