"""The contract between the agent and device drivers; the public API for third-party drivers.

Bytes to events is a `Codec` (sans-I/O), where bytes come from is a `Transport`, and a `DriverSpec` says how a
codec is made and what it can tell. The agent finds drivers through the entry-point group
`edge_agent.drivers`; each entry names a `Bundle` (or a callable that returns one).

`API_VERSION` follows semantic versions: a driver built for another major version is reported and not loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from edge_agent.model import DeviceEvent, Document, PushedSale

API_VERSION: Final = 1
READ_LIMIT: Final = 4096
"""The most bytes that one `Transport.read` returns: what a codec does with one read is done before anything else of
its device can happen, and a terminal's own buffer (N_TTY) holds no more."""
ENTRY_POINT_GROUP: Final = "edge_agent.drivers"

HID_MARK: Final = b"\x00HID"
"""How a transport of USB HID devices (`usb:`) hands over the report descriptor: in the stream, so that a capture of the
port can be read by itself. At each opening it says `HID_MARK`, two bytes of length, low byte first, and the report
descriptor (length 0 where the device did not tell it); then, for each input report, two bytes of length and the report.
No report begins with zero where reports are numbered, so a codec can tell this form from bare reports."""

KEY_PAUSE: Final = 0xFE
KEY_DROPPED: Final = 0xFF
"""How a transport of keyboards (`evdev:`) says keys, three bytes each: 80 released, 81 pressed or 82 repeated, then the
kernel's key code, seven bits a byte, high bits first. Only a first byte has its top bit set, so that a stream can be
entered anywhere. `KEY_DROPPED` alone: the kernel lost keys here (SYN_DROPPED), and what is being typed is not whole.
`KEY_PAUSE` and a number in two bytes of seven bits: so many hundredths of a second passed before the next key, by the
kernel's clock, where it was 50 ms or more; a program that was held up cannot tell by its own.
Which layout the keys are to be read in is the codec's business."""


class TransportError(Exception):
    """A transport cannot go on. Each subclass is named by what the supervisor does next.

    `retry_after` is the least time in seconds until it is worth trying again, where the far end asks for one.
    """

    def __init__(self, *words: object, retry_after: float | None = None) -> None:
        super().__init__(*words)
        self.retry_after = retry_after


class Disconnected(TransportError):
    """The far end is gone: close, wait with back-off, open again by identity."""


class PermissionDenied(TransportError):
    """The port exists and may not be opened; the text names the group or udev rule that would help."""


class Busy(TransportError):
    """Another program holds the port: wait and try again, and say so."""


class BadSettings(TransportError):
    """The port or its settings can never work: stop trying until the configuration changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Bytes a codec wants written to the device, as part of a conversation (ENQ, DC1 …)."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The conversation is over: the far end has fallen silent, or has refused it. The port is closed and opened again.

    `retry_after` is the least time in seconds until then. `busy` says that somebody else holds the far end.
    """

    reason: str
    retry_after: float | None = None
    busy: bool = False


CodecOutput = DeviceEvent | Send | HangUp


FILE_MARK: Final = b"\x1c"
"""How a transport of files (`folder:`) hands them over: a line `FILE_MARK BEGIN name`, the file's own bytes, and a line
`FILE_MARK END`; then it waits. It takes lines: `BAD place reason TAB line` keeps a line aside, `DONE name` puts the
file away, for which the codec waits until everything in it is kept. A file that holds the mark is refused."""


@runtime_checkable
class Settles(Protocol):
    """What a codec also is where the device wants to know that a sale is kept (kind `push`)."""

    def settled(self, sale: PushedSale, now: float) -> Sequence[CodecOutput]:
        """The sale is in the store, committed, or it had been before: answer the device, put its file away.

        May come for sales that this codec has not told: of the connection before.
        """


@runtime_checkable
class Codec(Protocol):
    """Bytes in, events out; sans-I/O. Times are monotonic seconds passed in by the caller.

    Every byte fed comes out in exactly one event's `raw`, and any cutting of the stream gives the same
    events. A codec bounds what it holds back and never raises on data.
    """

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called at the latest, in monotonic seconds; None while nothing is due."""

    def feed(self, data: bytes, now: float) -> Sequence[CodecOutput]:
        """Take bytes as they arrived and return what they complete."""

    def tick(self, now: float) -> Sequence[CodecOutput]:
        """Act on the passing of time: quiet gaps, time-outs, the next poll."""

    def command(self, name: str, now: float) -> Sequence[CodecOutput]:
        """Ask the instrument for something (`zero`, `tare`). Raises ValueError if it has no such command."""

    def close(self, now: float) -> Sequence[CodecOutput]:
        """End of the stream: a frame whose last defined field is complete counts, the rest is rejected."""


@runtime_checkable
class Printer(Codec, Protocol):
    """The codec of a printer: it writes documents and reads the printer's states (`Status`; `error` holds printing)."""

    def render(self, document: Document, now: float) -> Sequence[CodecOutput]:
        """The bytes that print a document. Raises ValueError for one that this printer cannot print."""

    def ask(self, now: float) -> Sequence[CodecOutput]:
        """The bytes that ask the printer how it stands; nothing where it cannot tell."""


@runtime_checkable
class CardCodec(Codec, Protocol):
    """The codec of a reader whose cards take commands (APDUs): what is written to its port is one command."""

    def card_in(self, raw: bytes) -> bytes | None:
        """The ATR, where an event's bytes tell of a card that has come."""

    def exchanged(self, raw: bytes) -> tuple[bytes, bytes] | None:
        """The command, and the answer with its status word, that an event's bytes hold; None where they hold none."""


@runtime_checkable
class MemoryCodec(Codec, Protocol):
    """The codec of a reader that reads and writes the memory banks of UHF tags (0 reserved, 1 EPC, 2 TID, 3 user).

    Places and lengths are in words of two bytes. A reader does it with whatever tag it hears, and tells which it was.
    """

    def read_memory(self, bank: int, word: int, words: int, password: bytes = bytes(4)) -> Send:
        """Ask for so many words."""

    def write_memory(self, bank: int, word: int, data: bytes, password: bytes = bytes(4)) -> Send:
        """Write whole words."""

    def memory_in(self, raw: bytes) -> tuple[str, bytes] | None:
        """The number of the tag and the words read (empty once written), where an event's bytes tell so."""


@runtime_checkable
class AddressingCodec(MemoryCodec, Protocol):
    """The codec of a reader that can be told which tag it shall read and write, so that no other can be meant."""

    def choose(self, number: bytes) -> Sequence[Send]:
        """The next questions are about this tag; about any again where the number is empty.

        Returns what has to be sent for that, each acknowledged before the next. Nothing, where the questions hold the
        number themselves; then the answers may have none.
        """


@runtime_checkable
class TellingCodec(MemoryCodec, Protocol):
    """The codec of a reader that says other things in between, or says why it did not do what it was asked.

    While it is asked, what `feed` wants sent is sent at once: a question may take several messages.
    """

    def answer_in(self, raw: bytes) -> str | None:
        """What an event's bytes answer to the last question of `choose`, `read_memory` or `write_memory`.

        "" where that was done; why it was not, in words; None where they are no answer to it.
        """


class Transport(Protocol):
    """Where bytes come from. Knows no codec and interprets nothing."""

    def open(self) -> None:
        """Open the port. Raises a `TransportError` subclass."""

    def read(self, timeout: float) -> bytes:
        """Return what is there, waiting at most `timeout` seconds for the first byte; `b""` when nothing came.

        At most `READ_LIMIT` bytes; the rest is for the next call.

        Raises `Disconnected` in every way in which a port can vanish.
        """

    def write(self, data: bytes, timeout: float) -> None:
        """Write all of `data` within `timeout` seconds, or raise `Disconnected`."""

    def close(self) -> None:
        """Close the port; never raises, may be called twice."""


@runtime_checkable
class Watchful(Protocol):
    """What a transport or a session may offer besides: whether something is wrong with a port that works."""

    def trouble(self) -> str | None:
        """What is wrong, in words, such as another program that reads the same line; None where nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of a driver, checked when the configuration is read."""

    name: str
    type: Literal["text", "integer", "number", "boolean"]
    help: str
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


Maturity = Literal["captured", "manual"]
"""`captured`: tested with bytes taken from real devices; `manual`: written from documents only."""

Kind = Literal["scale", "scanner", "rfid", "push", "printer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """What a poller writes: told apart so that probing can promise to listen only."""

    polls: bool = False
    commands: tuple[str, ...] = ()


_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSpec:
    """One driver: its id, what it is for, how to make its codec, and how far it can be trusted.

    `make` takes the checked options and returns a fresh codec. `line` holds the maker's default line settings as
    query keys of a serial port (`baud`, `bytesize`, `parity`, `stopbits`). `tells` lists what its frames carry
    (`unit`, `stability`, `basis`, `overload`, `price`, `tare` …; `memory`: that of tags is read and written);
    `needs_unit` is set where the frames carry no unit and the configuration has to name one. `stale_after` is the
    time in seconds without a good frame after which the device counts as silent; None for devices that speak only
    when used. With `status_is_life` a status counts as one too: a tag reader with no tag in view. `bits` is set
    where a frame is a number of bits, right-aligned in its bytes. `check` is called with checked options when a
    configuration is read, and raises ValueError, with what would be right, where they do not make a device
    together.
    """

    id: str
    kind: Kind
    title: str
    make: Callable[[Mapping[str, Any]], Codec]
    models: tuple[str, ...]
    source: str
    maturity: Maturity
    interfaces: tuple[str, ...] = ("serial", "rfc2217", "tcp", "memory")
    line: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    options: tuple[Option, ...] = ()
    tells: tuple[str, ...] = ()
    dialogue: Dialogue = Dialogue()
    needs_unit: bool = False
    stale_after: float | None = None
    status_is_life: bool = False
    bits: int | None = None
    unguarded: bool = False
    check: Callable[[Mapping[str, Any]], None] | None = None
    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True)
class PortUrl:
    """A port as written in the configuration: `scheme:address?key=value&…`.

    The address is opaque to everything but its transport: a device path, `host:port`, a USB id or a name.
    """

    scheme: str
    address: str
    query: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> PortUrl:
        """Split a port text; raises ValueError with what would be right."""
        scheme, colon, rest = text.partition(":")
        if not colon or not scheme or not rest:
            raise ValueError("a port is written scheme:address, e.g. serial:/dev/serial/by-id/usb-…?baud=9600")
        address, _, query = rest.partition("?")
        if not address:
            raise ValueError(f"{scheme}: has no address after the colon")
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        doubled = {key for key, _ in pairs if sum(1 for k, _ in pairs if k == key) > 1}
        if doubled:
            raise ValueError(f"{', '.join(sorted(doubled))} is given twice")
        return cls(scheme, address, tuple(pairs))

    def settings(self, defaults: Mapping[str, str] = _NOTHING) -> dict[str, str]:
        """The query as a mapping laid over the driver's default line settings."""
        return {**defaults, **dict(self.query)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSpec:
    """One way to reach a device, named by the scheme of a port.

    `check` raises ValueError, with what would be right, for an address or a setting that can never work;
    `make` returns an unopened transport. Both get the port and the driver's default line settings.
    """

    scheme: str
    title: str
    check: Callable[[PortUrl, Mapping[str, str]], None]
    make: Callable[[PortUrl, Mapping[str, str]], Transport]


class Session(Protocol):
    """Transport and codec composed; what the supervisor runs in a device's thread."""

    def open(self) -> None:
        """Open the transport and start the conversation. Raises a `TransportError` subclass."""

    def read(self, timeout: float) -> Sequence[DeviceEvent]:
        """Return the events of the next bytes or of passing time, waiting at most `timeout` seconds."""

    def command(self, name: str) -> Sequence[DeviceEvent]:
        """Send a command to the instrument. Raises ValueError if the driver has none of that name."""

    def close(self) -> Sequence[DeviceEvent]:
        """Close the port and return what the codec still held; never raises a `TransportError`."""

    @property
    def tap(self) -> Callable[[str, bytes, float], None] | None:
        """Called with `rx` or `tx`, the bytes and the monotonic time, for captures; None when nobody listens."""

    @tap.setter
    def tap(self, listener: Callable[[str, bytes, float], None] | None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What an unknown instrument sent while its display showed `weight`; None while the weight moved."""

    data: bytes
    weight: str | None
    unit: str | None = None


class Learner(Protocol):
    """Makes a dialect file from lessons."""

    def __call__(
        self,
        lessons: Sequence[Lesson],
        *,
        head: Mapping[str, object],
        line: Mapping[str, object],
        poll: Mapping[str, object],
        digits: int,
    ) -> str:
        """The text of a dialect file. Raises ValueError, with what would help, where the lessons do not make one."""


@runtime_checkable
class SettlingSession(Protocol):
    """What a session also is that carries `Settles.settled` on to its codec."""

    def settled(self, sale: PushedSale) -> Sequence[DeviceEvent]:
        """See `Settles.settled`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What one entry point offers.

    `session` composes a transport with a codec; a bundle without one uses that of the built-in bundle.
    `load_table` reads a dialect written as a TOML table (`dialects.d/*.toml`) and raises ValueError, naming
    file, key and what would be right, when the table or its vectors do not hold. `learn` writes such a table.
    """

    drivers: tuple[DriverSpec, ...] = ()
    transports: tuple[TransportSpec, ...] = ()
    session: Callable[[Transport, Codec], Session] | None = None
    load_table: Callable[[Path], DriverSpec] | None = None
    learn: Learner | None = None
