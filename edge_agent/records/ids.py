"""Record ids: UUIDv7 (RFC 9562, section 5.7), in order within this process whatever the wall clock does."""

from __future__ import annotations

import os
import threading

_lock = threading.Lock()
_last = 0  # 48 bits of Unix milliseconds and the 12 bits of rand_a, used as a counter (RFC 9562, 6.2 method 1)


def uuid7(wall_ms: int) -> str:
    """A new id for a record captured at `wall_ms`, greater than every id made before it in this process.

    The order counts for finding a record without an index; a clock that steps back therefore goes on from the
    last id. The record's own time is kept apart and is not touched.
    """
    global _last
    with _lock:
        _last = max(_last + 1, (wall_ms & 0xFFFF_FFFF_FFFF) << 12)
        stamp = _last
    high = (stamp >> 12) << 16 | 0x7000 | stamp & 0xFFF
    low = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
