"""What scanners of every kind share: from the bytes of a code to its text."""

from __future__ import annotations


def decode(data: bytes, encoding: str) -> tuple[str, bool]:
    """The text, and whether bytes had to be replaced. `auto`: UTF-8, then GB18030."""
    candidates = ("utf-8", "gb18030") if encoding == "auto" else (encoding,)
    for candidate in candidates:
        try:
            return data.decode(candidate), False
        except UnicodeDecodeError:
            continue
    return data.decode(candidates[0], errors="replace"), True
