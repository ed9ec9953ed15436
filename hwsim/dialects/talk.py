"""How an instrument answers: commands of any form, and the frame that it streams where it streams one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any, Final

from hwsim.load import Indication, Platter

Act = Callable[[Platter, float], bytes | None]
Write = Callable[[Indication], bytes]

CRLF: Final = b"\r\n"
GRAMS: Final[Mapping[str, Any]] = {"unit": "g", "decimals": 3, "division": "1 mg", "capacity": "300 g"}
"""A balance: grams with three decimals."""
_LONGEST: Final = 80  # what an instrument holds of a command that it does not understand


class Talk:
    """Streams a frame at each tick, if it streams, and answers commands. Bytes that are no command are forgotten."""

    def __init__(
        self, platter: Platter, *, stream: Act | None = None, commands: Mapping[bytes, Act] | None = None
    ) -> None:
        self._platter = platter
        self._stream = stream
        self._commands = commands or {}
        self._typed = b""

    def power_on(self, now: float) -> Sequence[bytes]:
        """The instrument starts."""
        self._typed = b""
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        """Bytes from the host."""
        answers: list[bytes] = []
        for byte in data:
            self._typed = (self._typed + bytes((byte,)))[-_LONGEST:]
            command = next((each for each in self._commands if self._typed.endswith(each)), None)
            if command is not None:
                self._typed = b""
                answers.append(self._commands[command](self._platter, now) or b"")
        return [answer for answer in answers if answer]

    def sample(self, now: float) -> Sequence[bytes]:
        """One tick of the output clock."""
        frame = self._stream(self._platter, now) if self._stream else None
        return [frame] if frame else []


def says(write: Write) -> Act:
    """A frame of what the display shows."""
    return lambda platter, now: write(platter.indication(now))


def tares(answer: bytes | None = None) -> Act:
    """Take the load as tare."""

    def act(platter: Platter, now: float) -> bytes | None:
        platter.tare(now)
        return answer

    return act


def zeroes(answer: bytes | None = None) -> Act:
    """Take the load as zero."""

    def act(platter: Platter, now: float) -> bytes | None:
        platter.zero(now)
        return answer

    return act


def magnitude(indication: Indication) -> str:
    """The displayed number without its sign."""
    return indication.text.lstrip("-")


def minus(indication: Indication, otherwise: str = " ") -> str:
    """The sign: a minus, or what stands in its place."""
    return "-" if indication.text.startswith("-") else otherwise


def fit(text: str, width: int, fill: str = " ") -> str:
    """The text at the right of its columns. Raises ValueError where it does not fit."""
    if len(text) > width:
        raise ValueError(f"{text} does not fit {width} characters")
    return text.rjust(width, fill)


def zero_filled(indication: Indication, width: int) -> str:
    """Sign in front of zero-filled digits, the sign only where it is a minus."""
    sign = minus(indication, "")
    return sign + fit(magnitude(indication), width - len(sign), "0")


def check_xor(data: bytes) -> int:
    """XOR of all bytes."""
    return reduce(xor, data)


def ok(indication: Indication) -> bool:
    """Whether the display shows a number."""
    return indication.condition == "ok"


def over(indication: Indication) -> bool:
    """Whether the load is above the range."""
    return indication.condition == "overload"
