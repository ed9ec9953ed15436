"""A cursor over the bits of a tag."""

from __future__ import annotations


class NotDecodable(ValueError):
    """The bits do not follow the scheme that their header names; the words say why."""


class Bits:
    """Bits read from the most significant on, as integers. Raises NotDecodable behind the end."""

    __slots__ = ("_at", "_size", "_value")

    def __init__(self, value: int, size: int) -> None:
        self._value, self._size, self._at = value, size, 0

    @classmethod
    def from_hex(cls, text: str) -> Bits:
        """The bits of hexadecimal digits, also of an odd number of them."""
        return cls(int(text, 16), 4 * len(text))

    def __len__(self) -> int:
        return self._size

    @property
    def left(self) -> int:
        """How many bits have not been read."""
        return self._size - self._at

    def number(self, width: int) -> int:
        """The next `width` bits as an unsigned integer."""
        left = self._size - self._at - width
        if left < 0:
            raise NotDecodable("the bits end before the EPC does")
        self._at += width
        return self._value >> left & ((1 << width) - 1)

    def zeros(self, width: int, what: str) -> None:
        """Read bits that must be zero."""
        if self.number(width):
            raise NotDecodable(f"{what} are not zero")

    def rest_is_set(self) -> bool:
        """Whether any bit that was not read is 1."""
        return bool(self._value & ((1 << self.left) - 1))

    def rest(self) -> int:
        """The bits that were not read, as an integer; they stay unread."""
        return self._value & ((1 << self.left) - 1)
