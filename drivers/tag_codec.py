"""The engine of readers of tags and cards: frames to events, and the rounds in which a reader is asked.

One frame may tell of several tags. Each tag is an event of its own, and the bytes of the frame are shared out among
them in their order, so that every byte is in exactly one event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from drivers.framing import Frame, FrameBuffer, Framing
from edge_agent.driver import CodecOutput, Option, Send
from edge_agent.model import DeviceEvent, Rejected, Status, TagRead

MOST_ID: Final = 62
"""Bytes of the longest EPC: the five bits of PC that count its words go up to 31."""
_CASCADE: Final = 0x88


class Refused(Exception):
    """A whole frame does not say anything that can be believed; the text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a reader is asked: `first` once, each question answered before the next, then `always` round and round.

    `answered` tells whether a frame ends the answer to a question. `every` is the time in seconds from an answer to
    the next question, `within` how long each part of an answer may take. After `tries` questions without an answer it
    waits `pause` seconds and begins again with `first`.
    """

    first: Sequence[bytes] = ()
    always: Sequence[bytes]
    answered: Callable[[bytes], bool]
    every: float
    within: float = 0.5
    tries: int = 3
    pause: float = 2.0


class TagCodec:
    """Reads one family of readers; see `edge_agent.driver.Codec`.

    `read` tells what a frame says, or raises `Refused`. Without `asking` it only listens.
    """

    def __init__(
        self, framing: Framing, read: Callable[[Frame], Sequence[DeviceEvent]], asking: Asking | None = None
    ) -> None:
        self._frames = FrameBuffer(framing)
        self._read = read
        self._asking = asking
        self._due = 0.0
        self._asked = 0
        self._awaiting = False
        self._unanswered = 0

    @property
    def deadline(self) -> float | None:
        """When the next question is due, or the answer overdue; None when only listening."""
        return None if self._asking is None else self._due

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs: list[CodecOutput] = []
        for piece in self._frames.feed(data):
            outputs += self._events(piece)
            if self._asking is None or not isinstance(piece, Frame):
                continue
            if self._asking.answered(piece.body):
                self._answered(self._asking, now)
            elif self._awaiting:
                self._due = now + self._asking.within
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        if self._asking is None or now < self._due:
            return []
        outputs: list[CodecOutput] = []
        if self._awaiting:
            outputs += self.close(now)  # a frame that stopped half-way must not swallow the next answer
            self._unanswered += 1
            if self._unanswered >= self._asking.tries:
                self._awaiting, self._unanswered, self._asked = False, 0, 0
                self._due = now + self._asking.pause
                return outputs
        self._awaiting = True
        self._due = now + self._asking.within
        return [*outputs, Send(data=self._question(self._asking))]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: readers have none here."""
        raise ValueError(f"no command {name!r}; this reader takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return [event for piece in self._frames.finish() for event in self._events(piece)]

    def _question(self, asking: Asking) -> bytes:
        if self._asked < len(asking.first):
            return asking.first[self._asked]
        return asking.always[(self._asked - len(asking.first)) % len(asking.always)]

    def _answered(self, asking: Asking, now: float) -> None:
        if self._awaiting:
            self._asked += 1
            if self._asked >= len(asking.first) + len(asking.always):
                self._asked = len(asking.first)
        self._awaiting, self._unanswered = False, 0
        self._due = now if self._asked < len(asking.first) else now + asking.every

    def _events(self, piece: Frame | Rejected) -> Sequence[DeviceEvent]:
        if isinstance(piece, Rejected):
            return (piece,)
        try:
            return self._read(piece)
        except Refused as refused:
            return (Rejected(reason=str(refused), raw=piece.raw),)


def asking_options(milliseconds: int) -> tuple[Option, ...]:
    """The settings of every driver that asks its reader."""
    return (
        Option(name="poll", type="boolean", default=True, help="ask the reader; false: listen only"),
        Option(
            name="poll_ms",
            type="integer",
            default=milliseconds,
            minimum=20,
            maximum=60_000,
            help="milliseconds from an answer to the next question",
        ),
    )


def shared_out(raw: bytes, ends: Sequence[int], tags: Sequence[TagRead]) -> list[DeviceEvent]:
    """Tags of one frame with its bytes: each gets those up to where its entry `ends`, the last all that are left."""
    stops = [*ends[:-1], len(raw)]
    starts = [0, *stops[:-1]]
    return [
        TagRead(tag_id=tag.tag_id, kind=tag.kind, antenna=tag.antenna, rssi_dbm=tag.rssi_dbm, raw=raw[start:stop])
        for tag, start, stop in zip(tags, starts, stops, strict=True)
    ]


def epc(number: bytes, *, antenna: int | None = None, rssi_dbm: int | None = None, raw: bytes = b"") -> TagRead:
    """A read of an EPC; raises `Refused` for a number that no tag can have: it is of whole words of two bytes."""
    if not 0 < len(number) <= MOST_ID or len(number) % 2:
        raise Refused("no-number")
    return TagRead(tag_id=number.hex().upper(), kind="epc", antenna=antenna, rssi_dbm=rssi_dbm, raw=raw)


def card_number(number: bytes, lengths: Sequence[int]) -> str:
    """The number of a card, in words; raises `Refused` for one that no card can have.

    88 is the cascade tag, which stands before the first three bytes of a longer number (ISO 14443-3, 6.4.4): a number
    of four bytes that begins so is the half of another.
    """
    if len(number) not in lengths:
        raise Refused("no-number")
    if len(number) == 4 and number[0] == _CASCADE:
        raise Refused("half-a-number")
    return number.hex().upper()


_TAG_ERRORS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x00: "the tag refused, it does not say why",
        0x03: "the tag has no such place",
        0x04: "the tag is locked",
        0x0B: "the tag has too little power to write",
        0x0F: "the tag refused, it does not say why",
    }
)


def tag_error(code: int) -> str:
    """What a tag answers that did not do what it was asked, in words (ISO 18000-63, annex I)."""
    return _TAG_ERRORS.get(code, f"the tag answers error {code:02X}")


def signed(byte: int) -> int:
    """A byte as a signed number."""
    return byte - 256 if byte > 127 else byte


def status(raw: bytes, kind: Literal["ack", "error", "heartbeat", "other"], detail: str = "") -> list[DeviceEvent]:
    """One status, as the events of a frame."""
    return [Status(status=kind, raw=raw, detail=detail)]
