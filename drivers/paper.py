"""Text on paper: columns, wrapping, and nothing in a text that a printer could take for a command.

A printer's fixed font has narrow characters and wide ones of twice the width (Chinese, full-width forms); `columns`
counts in narrow ones. Texts come from scans, people and platforms: control characters become blanks, so that no
goods' name can open a till or write a printer's memory.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from edge_agent.model import Pair

_WIDE: Final = frozenset("WF")


def plain(text: str) -> str:
    """The text without control, format and unpaired surrogate characters."""
    return "".join(" " if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") else each for each in text)


def columns(text: str) -> int:
    """How many narrow columns a text takes."""
    return sum(2 if unicodedata.east_asian_width(each) in _WIDE else 1 for each in text)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns, cut at a blank where there is one; at least one line."""
    lines: list[str] = []
    line = ""
    for each in plain(text):
        if columns(line + each) > width:
            head, blank, tail = line.rpartition(" ")
            if blank and head.strip() and each != " ":
                lines.append(head)
                line = tail
            else:
                lines.append(line)
                line = ""
        line += each
    return [each.rstrip() for each in [*lines, line]]


def paired(pair: Pair, width: int) -> list[str]:
    """Name and value on one line, the value at the right end; the value goes to its own line where both do not fit."""
    left, right = plain(pair.left), plain(pair.right)
    free = width - columns(left) - columns(right)
    if free >= 1:
        return [left + " " * free + right]
    return wrapped(left, width) + [" " * (width - columns(line)) + line for line in wrapped(right, width)]
