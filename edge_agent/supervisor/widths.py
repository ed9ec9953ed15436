"""The width of a scale's frames, learned from the line: a frame that lost a byte on the way is shorter than the others.

Where frames have no checksum and their columns may vary, `12.340` that lost a digit is `1.340`, and nothing in the
frame tells; `1.770 kg` that lost its k is a thousandth. But most instruments pad their weight with blanks or zeros, so
that their frames are as long whatever lies on them. A line that has shown that is held to it. Sans-I/O; for drivers
that say `unguarded`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from edge_agent.model import Reading

_ENOUGH: Final = 20
"""So many readings with the same number of digits say how wide their frames are,"""
_LEAD: Final = 1.3
"""if the width that most of them have is so many times as frequent as any other."""
_AGAIN: Final = 8
"""So many frames in a row of one other width, and it is learned anew: somebody has changed a setting."""
_MOST_KINDS: Final = 16
_MOST_SHAPES: Final = 8


@dataclass(slots=True)
class _Kind:
    """Frames that say the same but for the digits."""

    width: int | None = None
    shown: dict[tuple[int, int], Counter[int]] = field(default_factory=dict)
    """Of each number of digits before and behind the point: how often which width."""
    other: int = 0
    others: int = 0


class Widths:
    """Learns the width of one line's frames, and says which are not of it."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str | None, bool], _Kind] = {}

    def fits(self, reading: Reading) -> bool:
        """Whether this frame is as wide as frames of its kind are here; True where that is not known.

        It is known once frames with numbers of different length were of one width: `  0.000` and ` 12.340`. A line
        that pads nothing never shows that.
        """
        text = reading.weight
        if text is None:
            return True
        key = (reading.stability, reading.basis, text.startswith("-"))  # not the unit: `kg` that lost its k is `g`
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            kind = self._kinds[key] = _Kind()
        width = len(reading.raw)
        if kind.width is None:
            before, _, behind = text.partition(".")
            _learn(kind, width, (len(before), len(behind)))
            return True
        if width == kind.width:
            kind.others = 0
            return True
        kind.others = kind.others + 1 if width == kind.other else 1
        kind.other = width
        if kind.others < _AGAIN:
            return False
        self._kinds[key] = _Kind()
        return True


def _learn(kind: _Kind, width: int, digits: tuple[int, int]) -> None:
    if len(kind.shown) >= _MOST_SHAPES and digits not in kind.shown:
        kind.shown.clear()
    widths = kind.shown.setdefault(digits, Counter())
    if len(widths) >= _MOST_SHAPES and width not in widths:
        widths.clear()
    widths[width] += 1
    # A number that lost its point is longer than others of its width, too; it has no digits behind the point.
    alike = [shown for (_, behind), shown in kind.shown.items() if behind == digits[1]]
    if len(alike) > 1 and sum(_usual(shown) == width for shown in alike) > 1:
        kind.width = width
        kind.shown.clear()


def _usual(widths: Counter[int]) -> int | None:
    """The width that most frames had; None while that cannot be said."""
    if widths.total() < _ENOUGH:
        return None
    (width, times), (_, others) = [*widths.most_common(2), (0, 0)][:2]
    return width if times >= _LEAD * others else None
