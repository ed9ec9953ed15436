"""Bytes to frames: where one frame ends and the next begins, and nothing else.

A `Framing` is a frozen declaration; a `FrameBuffer` holds the bytes of one port and cuts them by it. What a
cut is depends only on the bytes from the cut's beginning on, never on how they were delivered, so any
splitting of a stream gives the same frames. Every byte comes out in exactly one frame or rejected piece, and
a frame always begins where its framing says that frames begin. The buffer never holds more than one
frame's limit, or `NOISE_LIMIT`.

Framings: `Marked` (start and end marks), `Lines` (terminators, frames glued without one), `Fixed` (start mark,
fixed length, checksum), `LengthPrefixed` (a header that tells the length), and `GapBuffer` where silence ends a
message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from edge_agent.model import Rejected

Opened = Literal["stream", "end", "start", "lost"]
"""What stood before a frame: nothing, an end mark, only its own start mark, or rejected bytes."""

Closed = Literal["mark", "start", "stream"]
"""What ended a frame: its end mark or length, the start of the next one, or the end of the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. `raw` is every byte of it, `body` what lies between its marks."""

    raw: bytes
    body: bytes
    opened: Opened = "stream"
    closed: Closed = "mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a framing takes from the front: `size` bytes, a frame if `body` is set, else rejected for `reason`.

    `lost` says that the byte after the cut is not known to begin a frame.
    """

    size: int
    body: bytes | None = None
    reason: str = ""
    closed: Closed = "mark"
    lost: bool = False


class Framing(Protocol):
    """How a stream falls into frames."""

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """Return the next cut of `data` from index `at` on, or None while more bytes are needed.

        `final` says that no more bytes will come: then all that is left must be cut. `lost` is that of the cut
        before. A framing looks no further than its limit past `at`.
        """


class FrameBuffer:
    """The bytes of one port, cut into frames by a framing."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._held = b""
        self._opened: Opened = "stream"

    @property
    def held(self) -> int:
        """How many bytes wait for more."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame | Rejected]:
        """Take bytes and return the pieces that they complete."""
        return self._cut(data, final=False)

    def finish(self) -> list[Frame | Rejected]:
        """End of the stream: return all that is left."""
        return self._cut(b"", final=True)

    def _cut(self, data: bytes, *, final: bool) -> list[Frame | Rejected]:
        data = self._held + data
        at = 0
        pieces: list[Frame | Rejected] = []
        while at < len(data):
            cut = self._framing.scan(data, at, final=final, lost=self._opened == "lost")
            if cut is None:
                break
            raw = data[at : at + cut.size]
            if cut.body is None:
                pieces.append(Rejected(reason=cut.reason, raw=raw))
            else:
                pieces.append(Frame(raw=raw, body=cut.body, opened=self._opened, closed=cut.closed))
            self._opened = "lost" if cut.lost else "start" if cut.closed == "start" else "end"
            at += cut.size
        self._held = data[at:]
        return pieces


def _reject(size: int, reason: str) -> Cut:
    return Cut(size=size, reason=reason, lost=True)


def _to_next_start(data: bytes, at: int, size: int, *starts: bytes) -> int:
    """How much of a failed piece to give up: up to a start mark inside it, even one that is only begun."""
    inner = [found for start in starts if (found := data.find(start, at + 1, at + size)) >= 0]
    if inner:
        return min(inner) - at
    for begun in range(min(max(map(len, starts)) - 1, size - 1), 0, -1):
        if data.startswith(tuple(start[:begun] for start in starts if len(start) > begun), at + size - begun):
            return size - begun
    return size


NOISE_LIMIT: Final = 256
"""So many bytes between frames are rejected as one piece: garbage at full speed must not become a flood of events."""


def _noise(data: bytes, at: int, *marks: bytes, start: re.Pattern[bytes], final: bool) -> Cut | None:
    """Cut what stands before the next opening; called where none stands at `at`."""
    found = start.search(data, at, at + NOISE_LIMIT)
    if found:
        return _reject(found.start() - at, "noise")
    if len(data) - at >= NOISE_LIMIT:
        return _reject(_to_next_start(data, at, NOISE_LIMIT, *marks), "noise")
    return _reject(len(data) - at, "noise") if final else None


@dataclass(frozen=True)
class Marked:
    """A start mark, a body, an end mark; at most `limit` bytes with its marks.

    A start mark before the end mark begins a new frame: the one before it was cut. Each byte of `singles` is
    a frame by itself outside of frames (ACK, NAK).
    """

    start: bytes
    end: bytes
    limit: int = 64
    singles: bytes = b""
    _opening: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.start or not self.end:
            raise ValueError("a start mark and an end mark must be given")
        singles = [re.escape(self.singles[i : i + 1]) for i in range(len(self.singles))]
        object.__setattr__(self, "_opening", re.compile(b"|".join([re.escape(self.start), *singles])))

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        if data[at] in self.singles:
            return Cut(size=1, body=data[at : at + 1])
        if not data.startswith(self.start, at):
            return _noise(data, at, self.start, start=self._opening, final=final)
        inner = data.find(self.start, at + 1, at + self.limit)
        end = data.find(self.end, at + len(self.start), at + self.limit)
        if end >= 0 and not 0 <= inner < end:
            stop = end + len(self.end)
            return Cut(size=stop - at, body=data[at + len(self.start) : end])
        if inner >= 0:
            return _reject(inner - at, "truncated")
        if len(data) - at >= self.limit:
            return _reject(_to_next_start(data, at, self.limit, self.start), "malformed")
        return _reject(len(data) - at, "truncated") if final else None


_ANY_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Lines:
    """Lines ended by `end`, or by CR LF, CR or LF where `end` is None; at most `limit` bytes.

    `start` is a pattern that begins a frame wherever it stands, so that frames glued without terminators, or
    behind noise, are told apart; it must not match a terminator. Empty lines belong to the line that follows, as does
    the LF of an instrument that ends its lines by CR LF where CR was expected. Where the stream ends between CR and LF
    the line is whole but for its terminator.
    """

    end: bytes | None = None
    limit: int = 128
    start: re.Pattern[bytes] | None = None
    _end: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    _empty: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.end == b"":
            raise ValueError("a line needs an end")
        object.__setattr__(self, "_empty", b"\r\n" if self.end in (None, b"\r") else self.end)
        object.__setattr__(self, "_end", re.compile(re.escape(self.end)) if self.end else _ANY_END)

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        horizon = at + self.limit
        begin = at
        while begin < min(len(data), horizon) and data[begin] in self._empty:
            begin += 1
        if begin == horizon:
            return Cut(size=self.limit, reason="noise")
        if begin == len(data):
            return Cut(size=begin - at, reason="noise") if final else None
        end = self._end.search(data, begin, horizon)
        following = self.start.search(data, begin + 1, end.start() if end else horizon) if self.start else None
        known = not lost or (self.start is not None and self.start.match(data, begin, horizon) is not None)
        if following:
            return self._piece(data, at, begin, following.start(), following.start(), "start", known)
        if end:
            if self.end is None and data[end.end() - 1] == 0x0D and end.end() == len(data) < horizon and not final:
                return None  # the LF of a CR LF may be on its way
            return self._piece(data, at, begin, end.start(), end.end(), "mark", known)
        if len(data) >= horizon:
            return _reject(self.limit, "too-long" if known else "noise")
        if not final:
            return None
        cut_short = self.end == b"\r\n" and data.endswith(b"\r")
        return self._piece(data, at, begin, len(data) - cut_short, len(data), "stream", known)

    @staticmethod
    def _piece(data: bytes, at: int, begin: int, stop: int, after: int, closed: Closed, known: bool) -> Cut:
        if known:
            return Cut(size=after - at, body=data[begin:stop], closed=closed)
        return Cut(size=after - at, reason="noise", closed=closed)


Check = Callable[[bytes], bool]


@dataclass(frozen=True)
class Fixed:
    """A start mark, then `length` bytes in all, whose `check` must hold (its checksum, its end mark).

    `start` may list several marks. A mark may stand inside the frame too: a frame whose check fails is given up
    for `reason`, only as far as the next start mark in it. With `followed` the frame also fails when something
    else than the beginning of a start mark comes behind it.
    """

    start: bytes | tuple[bytes, ...]
    length: int
    check: Check
    reason: str = "checksum"
    followed: bool = False
    _starts: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    _opening: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = (self.start,) if isinstance(self.start, bytes) else self.start
        if not starts or not all(0 < len(start) < self.length for start in starts):
            raise ValueError("a fixed frame needs a start mark and more bytes than it")
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_opening", re.compile(b"|".join(map(re.escape, starts))))

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        if not data.startswith(self._starts, at):
            return _noise(data, at, *self._starts, start=self._opening, final=final)
        behind = data[at + self.length : at + self.length + 1]
        if self.followed and not behind and not final:
            return None
        if self.followed and behind and not any(start.startswith(behind) for start in self._starts):
            return _reject(_to_next_start(data, at, self.length, *self._starts), self.reason)
        return _sized(data, at, self.length, self._starts, self.check, self.reason, final=final)


@dataclass(frozen=True)
class LengthPrefixed:
    """A start mark and a header of `header` bytes (mark included) from which `total` tells the whole length.

    `total` returns None for a header that cannot be; lengths over `limit` cannot be either.
    """

    start: bytes
    header: int
    total: Callable[[bytes], int | None]
    check: Check
    limit: int = 512
    _opening: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.start or self.header < len(self.start):
            raise ValueError("a length-prefixed frame needs a start mark that lies within its header")
        object.__setattr__(self, "_opening", re.compile(re.escape(self.start)))

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        if not data.startswith(self.start, at):
            return _noise(data, at, self.start, start=self._opening, final=final)
        if len(data) - at < self.header:
            return _reject(_to_next_start(data, at, len(data) - at, self.start), "truncated") if final else None
        total = self.total(data[at : at + self.header])
        if total is None or not self.header <= total <= self.limit:
            return _reject(_to_next_start(data, at, self.header, self.start), "malformed")
        return _sized(data, at, total, (self.start,), self.check, "checksum", final=final)


def _sized(
    data: bytes, at: int, size: int, starts: tuple[bytes, ...], check: Check, reason: str, *, final: bool
) -> Cut | None:
    if len(data) - at < size:
        return _reject(_to_next_start(data, at, len(data) - at, *starts), "truncated") if final else None
    raw = data[at : at + size]
    if check(raw):
        return Cut(size=size, body=raw)
    return _reject(_to_next_start(data, at, size, *starts), reason)


class GapBuffer:
    """Messages that end when the line falls silent for `gap` seconds; at most `limit` bytes each.

    Bytes of one `feed` arrived together. A message over the limit is rejected with all that follows it before
    the next silence.
    """

    def __init__(self, gap: float, limit: int) -> None:
        self._gap = gap
        self._limit = limit
        self._held = b""
        self._last = 0.0
        self._overflowing = False

    @property
    def deadline(self) -> float | None:
        """When the message that is held will have ended; None while nothing is held."""
        return self._last + self._gap if self._held or self._overflowing else None

    def feed(self, data: bytes, now: float) -> list[Frame | Rejected]:
        """Take bytes that arrived at `now` and return what the silence before them ended."""
        if not data:
            return []
        pieces = self.tick(now)
        self._last = now
        self._held += data
        while len(self._held) > self._limit:
            self._overflowing = True
            pieces.append(Rejected(reason="too-long", raw=self._held[: self._limit]))
            self._held = self._held[self._limit :]
        return pieces

    def tick(self, now: float) -> list[Frame | Rejected]:
        """Return the message that `now` has ended, if any."""
        deadline = self.deadline
        return self.finish() if deadline is not None and now >= deadline else []

    def finish(self) -> list[Frame | Rejected]:
        """End of the stream: it is a silence too."""
        held, overflowing = self._held, self._overflowing
        self._held, self._overflowing = b"", False
        if not held:
            return []
        return [Rejected(reason="too-long", raw=held) if overflowing else Frame(raw=held, body=held)]
