"""Weighing indicators and load-cell transmitters with a Modbus RTU register map.

Source: the makers' register lists named at each preset; catalogue nobrega8/mbmap-library for word orders and bases.

Modbus says how to ask for registers and nothing about what stands in them. Where the weight is, how its words are
ordered, where its point is and which bits tell stability comes from a preset or from options; a driver that has to
guess one of them reads nothing, and says what is missing.

    options = { preset = "id550" }
    options = { register = 2, type = "int32", word_order = "low-first", decimals = 3, stable = "!4:12" }

Registers are those on the wire, counted from 0; with `base = 1` or `base = 40001` they are written as the manual does.
A bit is written REGISTER:BIT, `!` before it for one that means the contrary (`!4:12`: stable while bit 12 is 0).
The preset `unknown` stands for an instrument that answers and whose map is still to be found out: it reads no weight.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Frame, FrameBuffer
from drivers.modbus import MOST_REGISTERS, REFUSALS, ReadRequest, Replies, registers, write_frame
from drivers.scale_codec import displayed, poll_options
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent, Reading, Rejected, Status

_WORDS: Final = {"int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2}
_FORMATS: Final = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}
_TURN: Final = 0.01
"""Seconds of silence before the next request; 3.5 characters are 4 ms at 9600 baud (serial line guide 2.5.1.1)."""
_GAP: Final = 0.1
"""So much silence within a frame ends it: converters and buses pause for less."""
_TRIES: Final = 3
_PAUSE: Final = 2.0
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Bit:
    """One bit of a register that tells something; `inverted`: it tells it while it is 0."""

    register: int
    bit: int
    inverted: bool

    @classmethod
    def parse(cls, text: str) -> Bit:
        """Read `REGISTER:BIT`, with `!` before it for the contrary. Raises ValueError with what would be right."""
        register, colon, bit = text.removeprefix("!").partition(":")
        if not colon or not register.isdecimal() or not bit.isdecimal() or int(bit) > 15:
            raise ValueError(
                f"{text!r} is no bit; REGISTER:BIT with a bit of 0 to 15 would be right, e.g. 4:12 or !4:12"
            )
        return cls(int(register), int(bit), text.startswith("!"))

    def of(self, memory: Mapping[int, int]) -> bool:
        """Whether it tells it."""
        return bool(memory[self.register] >> self.bit & 1) != self.inverted


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """Where an instrument keeps what. `None`: it does not tell. `zero` and `tare` are register and values to write."""

    register: int | None = None
    function: int = 3
    type: str = "int32"
    word_order: str = "high-first"
    decimals: int | None = None
    decimals_register: int | None = None
    sign: Bit | None = None
    basis: str | None = None
    stable: Bit | None = None
    overload: Bit | None = None
    underload: Bit | None = None
    net: Bit | None = None
    valid: Bit | None = None
    zero: tuple[int, tuple[int, ...]] | None = None
    tare: tuple[int, tuple[int, ...]] | None = None

    def problem(self) -> str | None:
        """What is missing to read a weight; None where nothing is."""
        if self.register is None:
            return "register is missing: where the weight stands (or a preset that knows)"
        if self.decimals is None and self.decimals_register is None:
            return "decimals is missing: how many of the weight's digits stand behind the point (or decimals_register)"
        return None

    def places(self) -> list[tuple[int, int]]:
        """The register ranges to read, as (first, count), joined where they lie near each other."""
        wanted = [(self.register or 0, _WORDS[self.type])]
        wanted += [(bit.register, 1) for bit in self.bits().values()]
        wanted += [(self.decimals_register, 1)] if self.decimals_register is not None else []
        joined: list[tuple[int, int]] = []
        for first, count in sorted(set(wanted)):
            if joined and first + count - joined[-1][0] <= 16:
                joined[-1] = (joined[-1][0], max(joined[-1][1], first + count - joined[-1][0]))
            else:
                joined.append((first, count))
        return joined

    def bits(self) -> dict[str, Bit]:
        """The bits that are known, by what they tell."""
        names = ("sign", "stable", "overload", "underload", "net", "valid")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def _bit(register: int, bit: int, inverted: bool = False) -> Bit:
    return Bit(register, bit, inverted)


PRESETS: Final[Mapping[str, tuple[Map, str]]] = MappingProxyType(
    {
        "load-cell-module": (
            Map(
                register=0,
                word_order="low-first",
                decimals=2,
                basis="net",
                zero=(0x0B, (0, 1 << 11)),
                tare=(0x0B, (0, 1 << 12)),
            ),
            "low-cost load-cell modules: 40001 net in 0.01 g, low word first; 000Bh bits 11, 12 (hqwc.cn 317409)",
        ),
        "ci-600d": (
            Map(register=9, basis="net"),
            "CAS CI-600D and Laumas-type: 40010/40011 net, high word first; the point is a setting (decimals)",
        ),
        "ci-600d-gross": (
            Map(register=7, basis="gross"),
            "CAS CI-600D and Laumas-type: 40008/40009 gross, high word first; the point is a setting (decimals)",
        ),
        "id550": (
            Map(
                register=0,
                type="float32",
                stable=_bit(4, 12, inverted=True),
                overload=_bit(4, 10),
                underload=_bit(4, 9),
                net=_bit(4, 11),
                valid=_bit(4, 15),
                zero=(5, (0, 1 << 11)),
                tare=(5, (0, 1 << 12)),
            ),
            "Tuna ID550, ID551PN: 40001 float; 40005 status; 40006 commands; the point is a setting (decimals)",
        ),
        "ft-13": (
            Map(register=0, tare=(8, (2,))),
            "Flintec FT-13: register 0, int32 high word first, 8 commands (2 tare); the point is a setting (decimals)",
        ),
        "ei-1000": (
            Map(register=0x1008, type="float32", basis="net"),
            "Eagle EI-1000: 1008h net as float; the point is a setting (decimals)",
        ),
        "ei-1000-gross": (
            Map(register=0x1000, type="float32", basis="gross"),
            "Eagle EI-1000: 1000h gross as float; the point is a setting (decimals)",
        ),
        "lider": (
            Map(register=0x53, word_order="low-first"),
            "Lider LD1050, LD2051: 0053h, int32 low word first; the point is a setting (decimals)",
        ),
        "kpr": (Map(register=0x50), "KPR indicator: 0050h, two words; the point is a setting (decimals)"),
    }
)


def map_of(options: Mapping[str, Any]) -> Map:
    """The register map of checked options. Raises ValueError with what would be right."""
    found = PRESETS[options["preset"]][0] if options.get("preset") in PRESETS else Map()
    base = {0: 0, 1: 1, 30001: 30001, 40001: 40001}[options.get("base") or 0]
    changes: dict[str, Any] = {}
    for name in (field.name for field in fields(Map)):
        value = options.get(name)
        if value is None:
            continue
        if name in ("register", "decimals_register"):
            value = _wire(name, value, base)
        elif name in ("stable", "overload", "underload", "net", "valid", "sign"):
            bit = Bit.parse(value)
            value = replace(bit, register=_wire(name, bit.register, base))
        changes[name] = value
    return replace(found, **changes)


def _wire(name: str, register: int, base: int) -> int:
    if not 0 <= register - base <= 0xFFFF:
        raise ValueError(f"{name}: register {register} lies below the base {base}")
    return register - base


class ModbusCodec:
    """Asks for the registers of one instrument and reads its weight from them; see `edge_agent.driver.Codec`.

    One reading may need several replies; its `raw` holds all of them. Replies that no reading follows from (because
    the next one failed) are rejected as incomplete. A reply does not say which registers it holds: where two of them
    are of one size, one that comes late would pass for the other, so after a question without an answer nothing is
    asked, and nothing believed, for twice as long as an answer may take.
    """

    def __init__(self, table: Map, address: int, *, every: float | None, reply_within: float) -> None:
        self._table = table
        self._problem = table.problem()
        self._requests = [ReadRequest(address, table.function, first, count) for first, count in table.places()]
        self._address = address
        self._every = every
        self._reply_within = reply_within
        self._writes: list[bytes] = []
        known = [request.frame for request in self._requests]
        known += [
            write_frame(address, command[0], value)
            for command in (table.zero, table.tare)
            if command
            for value in command[1]
        ]
        sizes = frozenset(request.reply_size for request in self._requests)
        self._alike = len(sizes) < len(self._requests)
        self._asks = False
        self._frames = FrameBuffer(Replies(address, table.function, sizes, tuple(known)))
        self._held: list[bytes] = []
        self._asked: int | None = None
        self._due = 0.0
        self._last = 0.0
        self._unanswered = 0

    @property
    def deadline(self) -> float | None:
        """When the next request is due, the answer overdue, or a frame ended by silence; None when only listening."""
        times = [self._last + _GAP] if self._frames.held else []
        if self._every is not None or self._writes:
            times.append(self._due)
        return min(times, default=None)

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs = self._settled(now)
        if data:
            self._last = now
        for piece in self._frames.feed(data):
            outputs += self._take(piece, now)
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        outputs = self._settled(now)
        if now < self._due:
            return outputs
        if self._writes:
            self._due = now + _TURN * 5
            return [*outputs, Send(data=self._writes.pop(0))]
        if self._every is None:
            return outputs
        if self._asked is not None:
            outputs += self._ended("truncated")
            self._asked = None
            self._unanswered += 1
            if self._unanswered >= _TRIES:
                self._unanswered = 0
                self._due = now + _PAUSE
                return outputs
            if self._alike:
                self._due = now + 2 * self._reply_within
                return outputs
        self._asks = True
        self._asked = len(self._held)
        self._due = now + self._reply_within
        return [*outputs, Send(data=self._requests[self._asked].frame)]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`. A command by rising edge is written as several values, one after the other."""
        known = {"zero": self._table.zero, "tare": self._table.tare}
        command = known.get(name)
        if command is None:
            names = ", ".join(n for n, c in known.items() if c) or "none"
            raise ValueError(f"no command {name!r}; this instrument's commands: {names}")
        first, *rest = (write_frame(self._address, command[0], value) for value in command[1])
        self._writes += rest
        self._due = now + _TURN * 5
        return [Send(data=first)]

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return self._ended("incomplete")

    def _settled(self, now: float) -> list[CodecOutput]:
        if not self._frames.held or now < self._last + _GAP:
            return []
        outputs: list[CodecOutput] = []
        for piece in self._frames.finish():
            outputs += self._take(piece, now)
        return outputs

    def _ended(self, reason: str) -> list[CodecOutput]:
        """What is held cannot become a reading any more."""
        held, self._held = self._held, []
        outputs: list[CodecOutput] = [Rejected(reason=reason, raw=raw) for raw in held]
        for piece in self._frames.finish():
            if isinstance(piece, Rejected):
                outputs.append(piece)
            else:
                outputs += self._take(piece, self._last)
        held, self._held = self._held, []
        return [*outputs, *(Rejected(reason=reason, raw=raw) for raw in held)]

    def _take(self, piece: Frame | Rejected, now: float) -> list[CodecOutput]:
        if isinstance(piece, Rejected):
            return [*self._dropped(), piece]
        frame = piece.raw
        if frame in (request.frame for request in self._requests):
            return [*self._dropped(), Status(status="other", detail="a request on the bus", raw=frame)]
        if frame[1] not in (self._table.function, self._table.function | 0x80):
            return [*self._dropped(), Status(status="ack", detail="written", raw=frame)]
        if frame[1] & 0x80:
            self._next(now, done=True)
            kind = "busy" if frame[2] in (5, 6) else "error"
            detail = REFUSALS.get(frame[2], f"refusal {frame[2]}")
            return [*self._dropped(), Status(status="busy" if kind == "busy" else "error", detail=detail, raw=frame)]
        late = self._alike and self._asks and self._asked is None
        if late or frame[2] != self._requests[len(self._held)].reply_size:
            return [*self._dropped(), Rejected(reason="unasked", raw=frame)]
        self._held.append(frame)
        if len(self._held) < len(self._requests):
            self._next(now, done=False)
            return []
        held, self._held = self._held, []
        self._next(now, done=True)
        return [self._read(held)]

    def _dropped(self) -> list[CodecOutput]:
        held, self._held = self._held, []
        return [Rejected(reason="incomplete", raw=raw) for raw in held]

    def _next(self, now: float, *, done: bool) -> None:
        self._asked = None
        self._unanswered = 0
        if self._every is not None:
            self._due = now + (self._every if done else _TURN)

    def _read(self, replies: Sequence[bytes]) -> DeviceEvent:
        raw = b"".join(replies)
        if self._problem is not None:
            return Status(status="other", detail=f"answers, and is not set up: {self._problem}", raw=raw)
        table = self._table
        memory = {
            request.register + offset: value
            for request, reply in zip(self._requests, replies, strict=True)
            for offset, value in enumerate(registers(reply))
        }
        told = {name: bit.of(memory) for name, bit in table.bits().items()}
        if told.get("valid") is False:
            return Status(status="error", detail="the instrument says that its data is not valid", raw=raw)
        for condition in ("overload", "underload"):
            if told.get(condition):
                return Reading(weight=None, condition="overload" if condition == "overload" else "underload", raw=raw)
        weight = self._weight(memory, negative=told.get("sign", False))
        if weight is None:
            return Rejected(reason="malformed", raw=raw)
        stable, net = told.get("stable"), told.get("net")
        basis = table.basis if net is None else "net" if net else "gross"
        return Reading(
            weight=weight,
            stability="unknown" if stable is None else "stable" if stable else "moving",
            basis="net" if basis == "net" else "gross" if basis == "gross" else None,
            raw=raw,
        )

    def _weight(self, memory: Mapping[int, int], *, negative: bool) -> str | None:
        table = self._table
        words = [memory[(table.register or 0) + n] for n in range(_WORDS[table.type])]
        if table.word_order == "low-first":
            words.reverse()
        (value,) = struct.unpack(_FORMATS[table.type], struct.pack(f">{len(words)}H", *words))
        decimals = table.decimals or 0
        if table.decimals_register is not None:
            decimals = memory[table.decimals_register]
        if not 0 <= decimals <= 6:
            return None
        if table.type == "float32":
            number = Decimal(value)
            if not number.is_finite() or abs(number) >= 10**9:
                return None
            value = int(number.scaleb(decimals).to_integral_value())
        if negative:
            value = -abs(value)
        return displayed("-" if value < 0 else "", str(abs(value)), decimals)


def _make(options: Mapping[str, Any]) -> ModbusCodec:
    every = options.get("poll_ms", 200) / 1000 if options.get("poll", True) else None
    return ModbusCodec(
        map_of(options),
        options.get("address", 1),
        every=every,
        reply_within=options.get("reply_ms", 300) / 1000,
    )


def _check(options: Mapping[str, Any]) -> None:
    table = map_of(options)
    problem = table.problem()
    if problem is not None and options.get("preset") != _UNKNOWN:
        raise ValueError(problem)
    if any(count > MOST_REGISTERS for _, count in table.places()):
        raise ValueError(f"no request may ask for more than {MOST_REGISTERS} registers")


def _bit_option(name: str, help: str) -> Option:
    return Option(
        name=name, type="text", help=f"{help}, as REGISTER:BIT; !REGISTER:BIT for a bit that means the contrary"
    )


SPEC = DriverSpec(
    id="modbus-rtu",
    kind="scale",
    title="Modbus RTU indicators and load-cell transmitters",
    make=_make,
    check=_check,
    models=(
        "CAS CI-600D",
        "Laumas-type transmitters",
        "Tuna ID550, ID551PN",
        "Flintec FT-13",
        "Eagle EI-1000",
        "Lider LD1050, LD2051",
        "KPR",
        "low-cost load-cell modules",
    ),
    source="the makers' register lists, as each preset names them; Modbus Application Protocol V1.1b3",
    maturity="captured",
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        *poll_options(200),
        Option(
            name="preset",
            type="text",
            choices=(None, _UNKNOWN, *PRESETS),
            help="a known register map; other options lay over it; unknown: answers, and reads no weight yet: "
            + "; ".join(f"{name}: {words}" for name, (_, words) in PRESETS.items()),
        ),
        Option(name="address", type="integer", default=1, minimum=1, maximum=247, help="the instrument's bus address"),
        Option(name="function", type="integer", choices=(None, 3, 4), help="3: holding registers, 4: input registers"),
        Option(name="register", type="integer", minimum=0, maximum=105_536, help="where the weight begins"),
        Option(
            name="base",
            type="integer",
            default=0,
            choices=(0, 1, 30_001, 40_001),
            help="the number by which register 0 of the wire goes in the options",
        ),
        Option(name="type", type="text", choices=(None, *_WORDS), help="how the weight is written"),
        Option(name="word_order", type="text", choices=(None, "high-first", "low-first"), help="of two-word values"),
        Option(name="decimals", type="integer", minimum=0, maximum=6, help="digits behind the point"),
        Option(
            name="decimals_register", type="integer", minimum=0, maximum=105_536, help="a register that tells decimals"
        ),
        Option(name="basis", type="text", choices=(None, "gross", "net"), help="what the weight is"),
        _bit_option("sign", "a bit that makes the weight negative"),
        _bit_option("stable", "a bit that tells that the weight is stable"),
        _bit_option("overload", "a bit that tells an overload"),
        _bit_option("underload", "a bit that tells an underload"),
        _bit_option("net", "a bit that tells net from gross"),
        _bit_option("valid", "a bit that tells that the data is valid"),
        Option(
            name="reply_ms",
            type="integer",
            default=300,
            minimum=20,
            maximum=10_000,
            help="milliseconds that the instrument may take for each answer",
        ),
    ),
    tells=("stability", "basis", "overload", "checksum"),
    dialogue=Dialogue(polls=True),
    needs_unit=True,
    stale_after=5.0,
)
