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
    low = os.urandom(8).hex()
    variant = "89ab"[int(low[0], 16) & 3]
    return f"{stamp >> 28:08x}-{stamp >> 12 & 0xFFFF:04x}-7{stamp & 0xFFF:03x}-{variant}{low[1:4]}-{low[4:]}"
