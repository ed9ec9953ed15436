"""The lane below all others: attachments, in pieces, one piece at a time; sans-I/O. Times are monotonic seconds.

A piece goes only when no record waits to be published and none is under way, and it is as short as the link is slow,
so that a record that comes meanwhile waits for a fraction of a second. What counts is the platform's word: how many
bytes of a file it has, and that it has it whole. After a broken connection, a restart or a lost piece the next piece
follows what the platform has.

A platform that says nothing of attachments is asked again ever more rarely, and after `MOST_ASKED` files without a word
no more are sent: they stay as waiting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edge_agent.uplink.ports import Attachments
from edge_agent.uplink.settings import LinkSettings
from edge_agent.uplink.shipments import doubled
from edge_agent.uplink.wire import AttachmentWord

SMALLEST: Final = 1_024
LARGEST: Final = 64 * 1_024
_FIRST: Final = 4_096
QUICK: Final = 0.3
"""Seconds: an acknowledgement within this time lets pieces grow; one that took twice as long makes them smaller."""
MOST_ASKED: Final = 64
_MOST_REFUSED: Final = 3
"""Refusals for now after which a person has to decide: to send megabytes again for ever costs money."""
_LOST: Final = 60.0
"""Seconds after which a piece without an acknowledgement is sent again."""
_PAUSE: Final = 1.0
_NO_SUBSCRIBERS: Final = 0x10  # MQTT 5.0, 3.4.2.1
_FAILURE: Final = 0x80


@dataclass(frozen=True, slots=True)
class Piece:
    """What to publish: bytes of a file from `offset` on; none of them where the platform is only asked."""

    sha256: str
    size: int
    offset: int
    length: int


@dataclass(slots=True)
class _File:
    """One file on its way: how many bytes were handed to the broker, how often the platform was asked for its word
    and refused it for now, and when it may be sent or asked for again."""

    sha256: str
    size: int
    sent: int = 0
    asked: int = 0
    refused: int = 0
    due: float = -math.inf


class AttachmentLane:
    """Which piece goes next. Not thread-safe: the relay owns it."""

    def __init__(self, attachments: Attachments, settings: LinkSettings) -> None:
        self._attachments = attachments
        self._settings = settings
        self._files: dict[str, _File] = {}
        self._length = _FIRST
        self._under_way: tuple[int, Piece, float] | None = None
        self._failures = 0
        self._pause_until = -math.inf
        self._look = True
        self._open = False

    # What happened

    def opened(self) -> None:
        """A connection is up: what waits for the platform's word is asked for anew."""
        self._open = True
        self._look = True
        for file in self._files.values():
            file.asked, file.due = 0, -math.inf

    def closed(self, now: float) -> None:
        """The connection is gone. With a piece under way that may be why: the next is smaller, and later each time."""
        self._open = False
        if self._under_way is not None:
            self._length = max(SMALLEST, self._length // 2)
            self._fail(now)
            self._under_way = None

    def changed(self) -> None:
        """Something new waits."""
        self._look = True

    def published(self, piece: Piece, mid: int, now: float) -> None:
        """A piece went out as message `mid`."""
        self._under_way = (mid, piece, now)
        if not piece.length and (file := self._files.get(piece.sha256)) is not None:
            file.asked += 1

    def unreadable(self, piece: Piece) -> None:
        """The file is gone or cannot be read: it is passed over on this connection."""
        file = self._files.get(piece.sha256)
        if file is not None:
            file.due = math.inf

    def acknowledged(self, mid: int, code: int, now: float) -> bool:
        """PUBACK; whether it was for a piece of ours."""
        if self._under_way is None or self._under_way[0] != mid:
            return False
        _, piece, since = self._under_way
        self._under_way = None
        if code >= _FAILURE or code == _NO_SUBSCRIBERS:
            self._fail(now)
            return True
        self._failures = 0
        took = now - since
        if took <= QUICK:
            self._length = min(LARGEST, self._length * 2)
        elif took > 2 * QUICK:
            self._length = max(SMALLEST, self._length // 2)
        file = self._files.get(piece.sha256)
        if file is not None:
            file.sent = max(file.sent, piece.offset + piece.length) if piece.length else file.sent
            if file.sent >= file.size and self._settings.acknowledgement == "broker":
                self._settle(file.sha256)  # the broker has all of it, and its word counts
            elif file.sent >= file.size:
                file.due = now + doubled(self._settings.verdict_timeout, file.asked + 1)
        return True

    def heard(self, words: Iterable[AttachmentWord], now: float) -> list[str]:
        """The platform's word; returns the hashes of what it has whole from now on.

        One about a file that does not wait here changes nothing.
        """
        done: list[str] = []
        for word in words:
            file = self._files.get(word.sha256)
            if file is None:
                continue
            if word.refused is not None and (not word.retryable or file.refused >= _MOST_REFUSED):
                self._attachments.refused(file.sha256)
                del self._files[file.sha256]
                self._look = True
            elif word.refused is not None:
                file.sent, file.asked, file.refused = 0, 0, file.refused + 1
                file.due = now + doubled(_PAUSE, file.refused)
            elif word.complete:
                self._settle(file.sha256)
                done.append(file.sha256)
            else:
                self._resume(file, min(word.have, file.size))
        return done

    def _resume(self, file: _File, have: int) -> None:
        """The platform has so much of it. Where that is less than was handed over, later pieces may still be coming."""
        if have > file.sent:
            file.sent = have
        elif file.sent >= file.size > have and file.asked:
            file.sent, file.due = have, -math.inf  # it was asked, and this is its answer: the rest did not arrive

    def _settle(self, sha256: str) -> None:
        self._attachments.delivered(sha256)
        del self._files[sha256]
        self._look = True

    def _fail(self, now: float) -> None:
        self._failures += 1
        self._pause_until = now + doubled(_PAUSE, self._failures)

    # What to do

    def next(self, now: float) -> Piece | None:
        """The next piece; None when nothing may or need be sent now."""
        if self._under_way is not None:
            if now - self._under_way[2] < _LOST:
                return None
            self._under_way = None
        if not self._open or now < self._pause_until:
            return None
        self._take_in()
        for file in self._files.values():
            if file.sent < file.size and file.due <= now:
                return Piece(file.sha256, file.size, file.sent, min(self._length, file.size - file.sent))
        for file in self._files.values():
            if file.due <= now:
                return Piece(file.sha256, file.size, file.size, 0)
        return None

    def deadline(self, now: float) -> float:
        """When time alone may change the answer of `next`."""
        if not self._open:
            return math.inf
        if self._under_way is not None:
            return self._under_way[2] + _LOST
        if self._pause_until > now:
            return self._pause_until
        # What is due already waits for the records: they tell when they are through.
        return min((file.due for file in self._files.values() if file.due > now), default=math.inf)

    def _take_in(self) -> None:
        """Look what waits, where something has changed; a bounded number of files is held here."""
        if not self._look or len(self._files) >= MOST_ASKED:
            return
        self._look = False
        for sha256, size in self._attachments.waiting():
            if sha256 not in self._files:
                self._files[sha256] = _File(sha256, size)
                if len(self._files) >= MOST_ASKED:
                    break
