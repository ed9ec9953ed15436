"""Keys as a stream of bytes: what `/dev/input/event*` says, without the machine that it was read on.

The kernel's `struct input_event` (Documentation/input/input.rst) is 24 bytes where a long has 64 bits and 16 where it
has 32:

    seconds  microseconds  type u16  code u16  value s32

Of these only keys matter here, and that the kernel's ring overflowed: after SYN_DROPPED everything up to the next
SYN_REPORT is to be ignored (Documentation/input/event-codes.rst). What comes out is described at
`edge_agent.driver.KEY_DROPPED`: the same three bytes for a key on any machine, an eighth of what the kernel writes.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

from edge_agent.driver import KEY_DROPPED, KEY_PAUSE

UP: Final = 0x80
DOWN: Final = 0x81
AGAIN: Final = 0x82

_EV_SYN, _EV_KEY = 0, 1
_SYN_REPORT, _SYN_DROPPED = 0, 3
_KEY_MAX: Final = 0x2FF
_PAUSE: Final = 5
"""Hundredths of a second that are a pause worth telling."""
_PAUSE_MAX: Final = 0x3FFF

EventSize = Literal[16, 24]
_FORMATS: Final[dict[EventSize, struct.Struct]] = {24: struct.Struct("=qqHHi"), 16: struct.Struct("=iiHHi")}


def native_size() -> EventSize:
    """The size of an event of this machine's kernel."""
    return 24 if struct.calcsize("@l") == 8 else 16


def key(action: int, code: int) -> bytes:
    """One key as the stream says it; `action` is UP, DOWN or AGAIN."""
    return bytes((action, code >> 7, code & 0x7F))


def pause(hundredths: int) -> bytes:
    """A pause as the stream says it."""
    hundredths = min(hundredths, _PAUSE_MAX)
    return bytes((KEY_PAUSE, hundredths >> 7, hundredths & 0x7F))


class KeyStream:
    """The events of one input device, cut anywhere, to the key stream."""

    def __init__(self, size: EventSize) -> None:
        self.size: Final = size
        self._format = _FORMATS[size]
        self._held = b""
        self._dropping = False
        self._last: int | None = None

    def feed(self, data: bytes) -> bytes:
        """Take events as the kernel wrote them and return the keys among them."""
        data = self._held + data
        whole = len(data) - len(data) % self._format.size
        self._held = data[whole:]
        said = bytearray()
        for seconds, microseconds, kind, code, value in self._format.iter_unpack(data[:whole]):
            if kind == _EV_SYN and code == _SYN_DROPPED:
                self._dropping = True
                said.append(KEY_DROPPED)
            elif kind == _EV_SYN and code == _SYN_REPORT:
                self._dropping = False
            elif kind == _EV_KEY and 0 <= value <= 2 and code <= _KEY_MAX and not self._dropping:
                said += self._passed(seconds * 100 + microseconds // 10_000) + key(UP + value, code)
        return bytes(said)

    def _passed(self, now: int) -> bytes:
        """The pause before a key. A clock that was set back meanwhile tells nothing."""
        before, self._last = self._last, now
        return pause(now - before) if before is not None and now - before >= _PAUSE else b""
