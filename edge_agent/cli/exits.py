"""Exit codes (sysexits.h where it has one)."""

from __future__ import annotations

from typing import Final

OK: Final = 0
PROBLEMS: Final = 1
USAGE: Final = 2
BAD_DATA: Final = 65
UNAVAILABLE: Final = 69
CANNOT_CREATE: Final = 73
IO_ERROR: Final = 74
BUSY: Final = 75
NO_PERMISSION: Final = 77
CONFIGURATION: Final = 78


class Exit(Exception):
    """End with a code; the message, if any, goes to stderr."""

    def __init__(self, code: int, message: str = "") -> None:
        self.code = code
        super().__init__(message)
