"""How big a message may be on this link; sans-I/O.

A market's 4G link may carry 64 kbit/s and break every 20 s: a message that does not fit into such a while
would be begun again for ever. A connection that ends with messages under way makes the next ones smaller,
down to one record; quick acknowledgements let them grow again, fast up to the size that last went wrong and
slowly from there (as TCP's congestion window does, RFC 5681).
"""

from __future__ import annotations

from typing import Final

QUICK: Final = 2.0
"""Seconds: an acknowledgement within this time lets messages grow."""
SLOW: Final = 8.0
"""Seconds: one that took longer makes them smaller, so that a new record need not wait long behind others."""
_SLOW_FLOOR: Final = 16 * 1024
_STEP: Final = 1024


class Pace:
    """The bound in bytes of the next message, before compression."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._fast_until = maximum
        self._acknowledged = False
        self.max_bytes = maximum

    def opened(self, maximum: int) -> None:
        """A connection begins; `maximum` is what the broker takes."""
        self._maximum = maximum
        self.max_bytes = min(self.max_bytes, maximum)
        self._acknowledged = False

    def acknowledged(self, took: float) -> None:
        """A message was acknowledged `took` seconds after it was published."""
        self._acknowledged = True
        if took <= QUICK:
            faster = self.max_bytes if self.max_bytes < self._fast_until else self._maximum // 16
            self.max_bytes = min(self._maximum, self.max_bytes + max(_STEP, faster))
        elif took >= SLOW and self.max_bytes > _SLOW_FLOOR:
            self.max_bytes = max(_SLOW_FLOOR, self.max_bytes // 2)

    def closed(self, under_way: int) -> None:
        """The connection ended with that many messages not acknowledged."""
        if under_way:
            self.max_bytes = max(1, self.max_bytes // (2 if self._acknowledged else 4))
            self._fast_until = self.max_bytes
