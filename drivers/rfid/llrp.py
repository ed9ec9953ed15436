"""LLRP: fixed UHF readers on the network (Impinj, Zebra FX, and others), EPCglobal's reader protocol.

Source: EPCglobal Low Level Reader Protocol 1.0.1 and 1.1; messages captured from Impinj and Zebra readers and from
public tests. TCP port 5084.

    000 vvv tttttttttt | length (4, whole) | id (4) | parameters
    TLV  000000 tttttttttt | length (2, whole) | …          TV  1 ttttttt | fixed size

    61 RO_ACCESS_REPORT   240 TagReportData …   each: 13 EPC-96 or 241 EPCData (bits (2), bytes), 1 antenna, 6 RSSI …
    63 READER_EVENT_NOTIFICATION   246:  256 ConnectionAttemptEvent, status 0 = welcome   257 the reader closes
                                         255 AntennaEvent: 0 disconnected, antenna   252 ReaderExceptionEvent: words
    62 KEEPALIVE, answered by 72

The conversation: the reader greets (63). Then SET_READER_CONFIG asks for keepalives, DELETE_ROSPEC and
DELETE_ACCESSSPEC clear what an earlier client left to be read and to be done with tags, ADD_ROSPEC and ENABLE_ROSPEC
start reading on all antennas, each tag a message of its own. When nothing comes for two and a half keepalive periods
the reader is lost: a reader that hangs keeps its connection open. A reader that refuses, because an older connection
still lives in it, is left in peace for `refused_wait_s`.

The memory of tags is read and written by AccessSpecs while the inventory goes on: see `_llrp_access`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Frame, FrameBuffer
from drivers.rfid._llrp_access import Access
from drivers.rfid._llrp_messages import (
    ADD_ROSPEC,
    CLOSED,
    DELETE_ACCESSSPEC,
    DELETE_ROSPEC,
    ENABLE_EVENTS,
    ENABLE_ROSPEC,
    ERROR_MESSAGE,
    EVENT,
    FRAMING,
    KEEPALIVE,
    KEEPALIVE_ACK,
    REPORT,
    SET_READER_CONFIG,
    TAG_REPORT,
    Malformed,
    attempt_in,
    events_in,
    kind_of,
    message,
    parameters,
    ro_spec,
    status_in,
    tag_in,
    trouble_in,
)
from drivers.tag_codec import Refused, epc, shared_out, signed, status
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, HangUp, Option, Send
from edge_agent.model import DeviceEvent, Rejected

_KEEPALIVES_MISSED: Final = 2.5
_ANSWER_WITHIN: Final = 10.0
_ANSWER: Final = 10
"""An answer's number is that of its question and ten."""
_ATTEMPTS: Final = MappingProxyType(
    {
        1: "the reader is connected to a client that it called itself",
        2: "the reader is connected to another client",
        3: "the reader refused, it does not say why",
    }
)
_ANOTHER: Final = 4
"""Told to the client that is connected: another one tried."""


class LlrpCodec:
    """Reads messages and, with `keepalive` seconds, holds the conversation; see `edge_agent.driver.Codec`.

    While it does, the memory of tags can be asked for: see `AddressingCodec` and `TellingCodec`.
    """

    def __init__(self, *, keepalive: float | None, refused_wait: float, antennas: Sequence[int]) -> None:
        self._frames = FrameBuffer(FRAMING)
        self._keepalive = keepalive
        self._refused_wait = refused_wait
        self._questions = [] if keepalive is None else _questions(keepalive, antennas)
        self._step = 0
        self._greeted = False
        self._over = keepalive is None
        self._due: float | None = None
        self._access = Access()

    @property
    def deadline(self) -> float | None:
        """When the reader will have been silent for too long."""
        if self._over:
            return None
        return 0.0 if self._due is None else self._due

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs: list[CodecOutput] = []
        for piece in self._frames.feed(data):
            events = _events(piece)
            outputs += events
            if any(isinstance(event, Rejected) for event in events):
                continue
            raw = b"".join(event.raw for event in events)
            if not self._over:
                outputs += self._converse(raw, now)
            following = self._access.heard(raw)
            if following is not None:
                outputs.append(Send(data=following))
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        if self._over or (self._due is not None and now < self._due):
            return []
        if self._due is None:
            self._due = now + _ANSWER_WITHIN
            return []
        if not self._greeted:
            return [self._hang_up("the reader does not greet: is this an LLRP port?")]
        if self._step < len(self._questions):
            return [self._hang_up(f"the reader does not answer {self._questions[self._step][0]}")]
        return [self._hang_up("the reader has fallen silent: no keepalive came")]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: there is none."""
        raise ValueError(f"no command {name!r}; an LLRP reader takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return [event for piece in self._frames.finish() for event in _events(piece)]

    def choose(self, number: bytes) -> list[Send]:
        """See `AddressingCodec.choose`."""
        return [Send(data=self._access.choose(number))]

    def read_memory(self, bank: int, word: int, words: int, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.read_memory`."""
        return Send(data=self._access.read(bank, word, words, password))

    def write_memory(self, bank: int, word: int, data: bytes, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.write_memory`."""
        return Send(data=self._access.write(bank, word, data, password))

    def memory_in(self, raw: bytes) -> tuple[str, bytes] | None:
        """See `MemoryCodec.memory_in`."""
        return self._access.memory_in(raw)

    def answer_in(self, raw: bytes) -> str | None:
        """See `TellingCodec.answer_in`: the inventory and keepalives go on meanwhile."""
        return self._access.answer_in(raw)

    def _converse(self, raw: bytes, now: float) -> Iterator[CodecOutput]:
        kind = kind_of(raw)
        if self._keepalive is not None:
            waiting = self._step < len(self._questions)
            self._due = now + (_ANSWER_WITHIN if waiting else _KEEPALIVES_MISSED * self._keepalive)
        if kind == KEEPALIVE:
            yield Send(data=message(KEEPALIVE_ACK, int.from_bytes(raw[6:10], "big")))
        elif kind == EVENT:
            yield from self._event(raw)
        elif self._greeted and self._step < len(self._questions):
            yield from self._answer(kind, raw, now)

    def _event(self, raw: bytes) -> Iterator[CodecOutput]:
        told = events_in(raw)
        attempt = attempt_in(told)
        if CLOSED in told:
            yield self._hang_up("the reader closes the connection")
        elif attempt is None or (attempt == _ANOTHER and self._greeted):
            return
        elif attempt != 0:
            why = _ATTEMPTS.get(attempt, f"the reader refused with {attempt}")
            yield self._hang_up(why, retry_after=self._refused_wait, busy=True)
        elif not self._greeted:
            self._greeted = True
            yield self._ask()

    def _answer(self, kind: int, raw: bytes, now: float) -> Iterator[CodecOutput]:
        name, question, may_fail = self._questions[self._step]
        if kind not in (kind_of(question) + _ANSWER, ERROR_MESSAGE):
            return
        code, words = status_in(raw)
        if code and not may_fail:
            yield self._hang_up(f"the reader refused {name}: {code} {words}".rstrip(), retry_after=self._refused_wait)
            return
        self._step += 1
        if self._step < len(self._questions):
            yield self._ask()
        elif self._keepalive is not None:
            self._due = now + _KEEPALIVES_MISSED * self._keepalive
            yield Send(data=message(ENABLE_EVENTS, self._step + 1))

    def _ask(self) -> Send:
        return Send(data=self._questions[self._step][1])

    def _hang_up(self, reason: str, *, retry_after: float | None = None, busy: bool = False) -> HangUp:
        self._over = True
        return HangUp(reason=reason, retry_after=retry_after, busy=busy)


def _questions(keepalive: float, antennas: Sequence[int]) -> list[tuple[str, bytes, bool]]:
    """Name, message, and whether it may fail: what is to be deleted may not be there."""
    period = round(keepalive * 1000).to_bytes(4, "big")
    configuration = b"\x00" + b"\x00\xdc\x00\x09\x01" + period  # KeepaliveSpec 220: periodic
    spec = 1
    return [
        ("SET_READER_CONFIG", message(SET_READER_CONFIG, 1, configuration), False),
        ("DELETE_ROSPEC", message(DELETE_ROSPEC, 2, bytes(4)), True),  # 0: all
        ("DELETE_ACCESSSPEC", message(DELETE_ACCESSSPEC, 3, bytes(4)), True),
        ("ADD_ROSPEC", message(ADD_ROSPEC, 4, ro_spec(spec, antennas)), False),
        ("ENABLE_ROSPEC", message(ENABLE_ROSPEC, 5, spec.to_bytes(4, "big")), False),
    ]


def _events(piece: Frame | Rejected) -> Sequence[DeviceEvent]:
    if isinstance(piece, Rejected):
        return (piece,)
    try:
        return _read(piece.raw)
    except (Malformed, Refused) as refused:
        return (Rejected(reason=str(refused), raw=piece.raw),)


def _read(raw: bytes) -> Sequence[DeviceEvent]:
    kind = kind_of(raw)
    if kind == REPORT:
        return _report(raw)
    if kind == KEEPALIVE:
        return status(raw, "heartbeat")
    if kind == EVENT:
        return _reader_event(raw)
    answer = status_in(raw)
    if answer[0] is None:
        return status(raw, "other")
    return status(raw, "ack") if answer[0] == 0 else status(raw, "error", f"{answer[0]} {answer[1]}".rstrip())


def _reader_event(raw: bytes) -> Sequence[DeviceEvent]:
    told = events_in(raw)
    attempt, trouble = attempt_in(told), trouble_in(told)
    if attempt:
        return status(raw, "error", _ATTEMPTS.get(attempt, "another client tried to connect"))
    return status(raw, "error", trouble) if trouble else status(raw, "other", "reader event")


def _report(raw: bytes) -> Sequence[DeviceEvent]:
    tags, ends = [], []
    for kind, start, stop in parameters(raw, 10, len(raw)):
        if kind == TAG_REPORT:
            number, antenna, rssi = tag_in(raw, start, stop)
            tags.append(epc(number, antenna=antenna or None, rssi_dbm=None if rssi is None else signed(rssi)))
            ends.append(stop)
    return shared_out(raw, ends, tags) if tags else status(raw, "other", "a report of no tag")


def _make(options: Mapping[str, Any]) -> LlrpCodec:
    count = options.get("antennas", 0)
    return LlrpCodec(
        keepalive=options.get("keepalive_s", 5) if options.get("poll", True) else None,
        refused_wait=options.get("refused_wait_s", 30),
        antennas=range(1, count + 1) if count else (0,),
    )


SPEC = DriverSpec(
    id="llrp",
    kind="rfid",
    title="UHF reader on the network (LLRP)",
    make=_make,
    models=("Impinj Speedway R220, R420, xSpan", "Zebra FX7500, FX9600", "Alien, Kathrein and other LLRP readers"),
    source="EPCglobal LLRP 1.0.1 and 1.1; messages captured from Impinj and Zebra readers",
    maturity="manual",
    interfaces=("tcp", "memory"),
    options=(
        Option(name="poll", type="boolean", default=True, help="set the reader up and start it; false: listen only"),
        Option(
            name="keepalive_s",
            type="integer",
            default=5,
            minimum=1,
            maximum=60,
            help="seconds between keepalives; after two and a half without a message the reader is lost",
        ),
        Option(
            name="refused_wait_s",
            type="integer",
            default=30,
            minimum=1,
            maximum=600,
            help="seconds to leave a reader in peace that refused the connection",
        ),
        Option(
            name="antennas",
            type="integer",
            default=0,
            minimum=0,
            maximum=32,
            help="read the first so many antennas; 0: all",
        ),
    ),
    tells=("antenna", "rssi", "memory"),
    dialogue=Dialogue(polls=True),
)
