"""Frames that tell their own length, with or without a start mark: bytes to frames, and nothing else.

Readers of tags frame by length: their end bytes occur in the numbers of tags too. Where a frame has no start mark, the
shape of its header is all that tells a beginning, so a header must be judged strictly and a checksum must follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drivers.framing import NOISE_LIMIT, Cut

MAYBE: Final = 0
"""What a measure says of too few bytes: a frame may begin here."""

Measure = Callable[[bytes], int | None]
"""The whole length of a frame from its first bytes; None where none begins, `MAYBE` where more bytes will tell."""


@dataclass(frozen=True)
class Sized:
    """Frames whose first `header` bytes tell their length, and whose `check` names what is wrong with a whole one.

    `measure` gets up to `header` bytes. A frame that fails its check (`""` = nothing is wrong) is given up only as
    far as the next place within it where a frame may begin.
    """

    header: int
    measure: Measure
    check: Callable[[bytes], str]

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        size = self.measure(data[at : at + self.header])
        if size is None:
            return self._noise(data, at, final=final)
        if size == MAYBE or len(data) - at < size:
            return self._given_up(data, at, len(data) - at, "truncated") if final else None
        raw = data[at : at + size]
        wrong = self.check(raw)
        return self._given_up(data, at, size, wrong) if wrong else Cut(size=size, body=raw)

    def _noise(self, data: bytes, at: int, *, final: bool) -> Cut | None:
        """Cut what stands before the next header; called where none stands at `at`."""
        for index in range(at + 1, min(len(data), at + NOISE_LIMIT)):
            size = self.measure(data[index : index + self.header])
            if size is not None:
                known = size != MAYBE or final
                return Cut(size=index - at, reason="noise", lost=True) if known else None
        if len(data) - at < NOISE_LIMIT and not final:
            return None
        return Cut(size=min(len(data) - at, NOISE_LIMIT), reason="noise", lost=True)

    def _given_up(self, data: bytes, at: int, size: int, reason: str) -> Cut:
        """Reject a failed piece up to the next header in it, even one that is only begun."""
        stop = at + size
        for index in range(at + 1, stop):
            if self.measure(data[index : min(index + self.header, stop)]) is not None:
                return Cut(size=index - at, reason=reason, lost=True)
        return Cut(size=size, reason=reason, lost=True)
