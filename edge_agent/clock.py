"""The only module that tells time: wall, monotonic, boot id, and whether the kernel holds the clock to be right."""

from __future__ import annotations

import ctypes
import functools
import time
import uuid
from datetime import datetime, tzinfo
from pathlib import Path

from edge_agent.model import Instant

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5  # adjtimex(2): "clock not synchronized"


def monotonic() -> float:
    """Seconds on the clock that never runs back; the time that codecs and stations are given."""
    return time.monotonic()


def now() -> Instant:
    """This moment on every clock."""
    return Instant(
        wall_ms=time.time_ns() // 1_000_000,
        mono_ms=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
        boot=boot_id(),
        synced=synchronised(),
    )


@functools.cache
def boot_id() -> str:
    """The kernel's id of this boot; a random one where the kernel tells none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(uuid.uuid4())


def rfc3339(wall_ms: int, zone: tzinfo) -> str:
    """Unix milliseconds as RFC 3339 text with offset and milliseconds, never `Z`."""
    minute, rest = divmod(wall_ms, 60_000)
    begin, offset = _minute(minute, zone)
    return f"{begin}{rest // 1000:02d}.{rest % 1000:03d}{offset}"


@functools.lru_cache(maxsize=16)
def _minute(minute: int, zone: tzinfo) -> tuple[str, str]:
    """The text of a minute up to its seconds, and its offset: RFC 3339 knows whole minutes of offset only."""
    text = datetime.fromtimestamp(minute * 60, zone).isoformat(timespec="milliseconds")
    begin, offset = text[:17], text[23:]
    return begin, offset or "+00:00"


class _Timex(ctypes.Structure):
    # struct timex of adjtimex(2) is 208 bytes on 64-bit and 128 on 32-bit Linux; only the first field is set.
    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 252))


_sync_cache: tuple[float, bool] = (-1e9, False)


def synchronised() -> bool:
    """Whether the kernel says that the wall clock is synchronised (adjtimex); asked at most once a second."""
    global _sync_cache
    at = time.monotonic()
    if at - _sync_cache[0] > 1.0:
        _sync_cache = (at, _ask_kernel())
    return _sync_cache[1]


def _ask_kernel() -> bool:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.byref(_Timex()))
    except (OSError, AttributeError):
        return False
    return bool(0 <= state < _TIME_ERROR)
