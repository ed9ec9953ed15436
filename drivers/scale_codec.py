"""The engine that reads declarative scale dialects.

A `Dialect` is a table: how bytes fall into frames (`drivers.framing`), which forms a frame may have, and what
its letters mean. `ScaleCodec` reads any of them. The fields of a form are the named groups of its pattern:

| group | meaning |
|---|---|
| `weight` | digits of the indication, with or without a point |
| `sign` | `+`, `-` or blank; a minus may also stand in `weight` |
| `decimals` | one digit: decimals counted from the right, for a weight without a point |
| `unit`, `stability`, `basis`, `condition` | letters, looked up in the dialect's maps |
| `tare`, `price`, `amount` | texts kept beside the weight |
| `gross` | a second weight of the same frame: it must be `weight` + `tare`, or the frame is rejected |
| `counter` | a number or time that changes from frame to frame: one that stands still is a dead source |
| `checked`, `check` | the bytes that the checksum covers, and the checksum as sent |

A frame that fits no form, has an unknown letter or a wrong checksum is rejected with the reason. Nothing is
guessed: a wrong weight is the worst failure there is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from drivers.checksum import CHECKSUMS
from drivers.framing import Frame, FrameBuffer, Framing
from edge_agent.driver import Codec, CodecOutput, Dialogue, DriverSpec, Maturity, Option, Send
from edge_agent.model import Basis, DeviceEvent, Reading, Rejected, Stability, Status

Range = Literal["ok", "overload", "underload", "by-sign"]
"""What a condition letter says; `by-sign`: out of range, below it when the sign is a minus."""

StatusKind = Literal["ack", "busy", "error", "heartbeat", "other"]

_T = TypeVar("_T")


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One shape of a frame with a weight.

    `pattern` must match the whole body. The constants hold for each frame of this form that has no group of
    that name; `decimals` goes before the dialect's.

    `may_be_tail` marks a form that the tail of a longer one looks like: it counts only behind an end mark, or
    where it is the whole stream. `only_after_end` marks one in which nothing tells where it begins: it counts
    only behind an end mark. `whole` says that the pattern fixes every column: what fits it lacks nothing, even
    where the stream ends without the terminator. `backwards` says that the weight is written from its last
    character to its first.
    """

    pattern: re.Pattern[bytes]
    stability: Stability | None = None
    basis: Basis | None = None
    condition: Range = "ok"
    unit: str | None = None
    decimals: int | None = None
    may_be_tail: bool = False
    only_after_end: bool = False
    whole: bool = False
    backwards: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One shape of a frame without a weight: out of range, or a status with its meaning in words.

    A pattern with the groups `checked` and `check` has the dialect's checksum verified. `may_be_head` marks one that
    the beginning of another looks like: it does not count where the stream ends without the terminator.
    """

    pattern: re.Pattern[bytes]
    means: Literal["overload", "underload", "ack", "busy", "error", "heartbeat", "other"]
    detail: str = ""
    may_be_head: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What to write when `after` seconds have passed since the last frame, and at the start."""

    send: bytes
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One byte format of scales.

    The maps hold the texts as sent (upper case where `any_case` is set). `units` maps a text to None where
    it is known and no unit of ours: such a frame is rejected, and a shorter text is not taken for it. `decimals`
    is the fixed number of decimals where frames carry digits without a point, `price_decimals` the same for
    price and amount; `decimal_marks` lists the characters that may stand for the point, `ignored` those between
    the digits that do not change the value. `gross_apart` is by how many units of the last place the gross
    weight may differ from weight + tare, because each is rounded by itself. `settle` is that of `FrameCodec`.
    """

    framing: Framing
    forms: tuple[Form, ...]
    states: tuple[State, ...] = ()
    units: Mapping[str, str | None] = field(default_factory=_empty)
    stability: Mapping[str, Stability] = field(default_factory=_empty)
    basis: Mapping[str, Basis] = field(default_factory=_empty)
    condition: Mapping[str, Range] = field(default_factory=_empty)
    checksum: str | None = None
    decimals: int | None = None
    price_decimals: int | None = None
    decimal_marks: str = "."
    ignored: str = ""
    gross_apart: int = 0
    any_case: bool = False
    settle: float | None = None
    poll: Poll | None = None
    commands: Mapping[str, bytes] = field(default_factory=_empty)


COMMON_UNITS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "KG": "kg",
        "G": "g",
        "MG": "mg",
        "T": "t",
        "LB": "lb",
        "OZ": "oz",
        "OZT": None,
        "CT": "ct",
        "GN": "GN",
        "DWT": None,
        "PCS": "pcs",
        "PC": "pcs",
        "%": "%",
    }
)
"""Unit texts that mean the same on nearly all makers' scales; for dialects with `any_case`."""

SIGNED: Final = rb" *(?P<sign>[+-]?) *(?P<weight>[0-9]+(?:\.[0-9]+)?)"
"""The groups `sign` and `weight` of a right-aligned number, its sign attached or at the left of its columns."""

_NUMBERS: Final = frozenset({"weight", "tare", "gross", "price", "amount"})
GROUPS: Final = _NUMBERS | {
    "sign",
    "decimals",
    "unit",
    "stability",
    "basis",
    "condition",
    "counter",
    "checked",
    "check",
}
"""The groups that a form's pattern may have."""


class Refused(Exception):
    """A frame cannot be read; the text is the reason of its rejection."""


class FrameCodec:
    """Frames read one by one; see `edge_agent.driver.Codec`.

    `read` tells what a frame says, or raises `Refused` with the reason. With `settle`, so many seconds of silence
    end a frame that would wait for the beginning of the next to be sure of its own end.
    """

    def __init__(
        self,
        framing: Framing,
        read: Callable[[Frame], DeviceEvent],
        *,
        commands: Mapping[str, bytes] | None = None,
        settle: float | None = None,
    ) -> None:
        self._frames = FrameBuffer(framing)
        self._read = read
        self._commands = commands or {}
        self._settle = settle
        self._last = 0.0

    @property
    def deadline(self) -> float | None:
        """When the silence will have ended what is held; None where nothing is, or silence says nothing."""
        return self._last + self._settle if self._settle is not None and self._frames.held else None

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs = self._settled(now)
        self._last = now
        outputs += (self._decode(piece) for piece in self._frames.feed(data))
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        return self._settled(now)

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`."""
        return [Send(data=command_bytes(self._commands, name))]

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        return [self._decode(piece) for piece in self._frames.finish()]

    def _settled(self, now: float) -> list[CodecOutput]:
        if self._settle is None or not self._frames.held or now < self._last + self._settle:
            return []
        return self.close(now)

    def _decode(self, piece: Frame | Rejected) -> DeviceEvent:
        if isinstance(piece, Rejected):
            return piece
        try:
            return self._read(piece)
        except Refused as refused:
            return Rejected(reason=str(refused), raw=piece.raw)


class ScaleCodec(FrameCodec):
    """Reads one scale dialect, and asks its instrument; see `edge_agent.driver.Codec`.

    `poll_every` is the time in seconds after which it asks again, None to listen only.
    """

    def __init__(self, dialect: Dialect, *, poll_every: float | None = None) -> None:
        super().__init__(
            dialect.framing, functools.partial(read_frame, dialect), commands=dialect.commands, settle=dialect.settle
        )
        self._poll = dialect.poll
        self._poll_every = poll_every if dialect.poll else None
        self._next_poll = 0.0

    @property
    def deadline(self) -> float | None:
        """When the next poll is due, or what is held has ended; None where the instrument speaks by itself."""
        due = [time for time in (super().deadline, self._poll_due) if time is not None]
        return min(due, default=None)

    @property
    def _poll_due(self) -> float | None:
        return None if self._poll_every is None else self._next_poll

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        events = super().feed(data, now)
        if self._poll_every is not None and any(not isinstance(event, Rejected) for event in events):
            self._next_poll = now + self._poll_every
        return events

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        outputs = super().tick(now)
        if self._poll is None or self._poll_every is None or now < self._next_poll:
            return outputs
        self._next_poll = now + self._poll_every
        return [*outputs, Send(data=self._poll.send)]


def command_bytes(commands: Mapping[str, bytes], name: str) -> bytes:
    """Look up what a command writes; raises ValueError with the names that there are."""
    if name not in commands:
        known = ", ".join(sorted(commands)) or "none"
        raise ValueError(f"no command {name!r}; this instrument's commands: {known}")
    return commands[name]


def read_frame(dialect: Dialect, frame: Frame) -> DeviceEvent:
    """What one frame says by this table; raises `Refused`."""
    for state in dialect.states:
        told = state.pattern.fullmatch(frame.body)
        if told:
            if "check" in state.pattern.groupindex and not _checksum_holds(dialect, told):
                raise Refused("checksum")
            if state.may_be_head and frame.closed == "stream":
                raise Refused("truncated")
            if state.means == "overload" or state.means == "underload":
                return Reading(weight=None, condition=state.means, raw=frame.raw)
            return Status(status=state.means, detail=state.detail, raw=frame.raw)
    for form in dialect.forms:
        match = form.pattern.fullmatch(frame.body)
        if match:
            return _read(dialect, form, match, frame)
    raise Refused(_unfinished(frame) or "malformed")


def _unfinished(frame: Frame) -> str:
    return "truncated" if frame.closed == "stream" else ""


def _read(dialect: Dialect, form: Form, match: re.Match[bytes], frame: Frame) -> Reading:
    if form.only_after_end and frame.opened != "end":
        raise Refused("truncated")
    if form.may_be_tail and frame.opened != "end" and (frame.opened, frame.closed) != ("stream", "stream"):
        raise Refused("truncated")
    groups = {name: None if text is None else text.decode("latin-1") for name, text in match.groupdict().items()}
    if dialect.checksum is not None and not _checksum_holds(dialect, match):
        raise Refused("checksum")
    sign = "-" if (groups.get("sign") or "").strip() == "-" else ""
    condition = _lookup(dialect, groups, "condition", dialect.condition, form.condition) or "ok"
    if condition != "ok":
        if condition == "by-sign":
            condition = "underload" if sign else "overload"
        return Reading(weight=None, condition=condition, raw=frame.raw)
    unit = _unit(dialect, form, groups, frame)
    if frame.closed == "stream" and not form.whole:
        last = max((match.end(name) for name in _NUMBERS & groups.keys()), default=-1)
        if last == len(frame.body):
            raise Refused("truncated")  # more digits may have been on their way
    told = groups.get("decimals")
    decimals = int(told) if told else dialect.decimals if form.decimals is None else form.decimals
    digits = groups.get("weight")
    if digits is not None and form.backwards:
        digits = digits[::-1]
    weight = _pounds_and_ounces(sign, digits) if unit == "lb:oz" else _number(dialect, sign, digits, decimals)
    tare = _number(dialect, "", groups["tare"], decimals) if groups.get("tare") else None
    if groups.get("gross"):
        gross = _number(dialect, "", groups["gross"], decimals)
        apart = abs(Decimal(gross) - Decimal(weight) - Decimal(tare or "0"))
        if apart > Decimal(dialect.gross_apart).scaleb(_exponent(weight)):
            raise Refused("inconsistent")
    return Reading(
        weight=weight,
        unit=unit,
        stability=_lookup(dialect, groups, "stability", dialect.stability, form.stability) or "unknown",
        basis=_lookup(dialect, groups, "basis", dialect.basis, form.basis),
        unit_price=_price(groups.get("price"), dialect.price_decimals),
        amount=_price(groups.get("amount"), dialect.price_decimals),
        tare=tare,
        counter=groups.get("counter"),
        raw=frame.raw,
    )


def _checksum_holds(dialect: Dialect, match: re.Match[bytes]) -> bool:
    return dialect.checksum is not None and CHECKSUMS[dialect.checksum](match["checked"]) == match["check"]


def _exponent(weight: str) -> int:
    return -len(weight.partition(".")[2])


def _lookup(
    dialect: Dialect, groups: Mapping[str, str | None], name: str, meanings: Mapping[str, _T], otherwise: _T | None
) -> _T | None:
    text = groups.get(name)
    if text is None:
        return otherwise
    key = text.upper() if dialect.any_case else text
    if key not in meanings:
        raise Refused(f"unknown-{name}")
    return meanings[key]


def _unit(dialect: Dialect, form: Form, groups: Mapping[str, str | None], frame: Frame) -> str | None:
    try:
        unit = _lookup(dialect, groups, "unit", dialect.units, form.unit)
    except Refused as refused:
        raise Refused(_unfinished(frame) or str(refused)) from refused
    text = groups.get("unit")
    if text is None:
        return unit
    if unit is None:
        raise Refused("unknown-unit")
    key = text.upper() if dialect.any_case else text
    if (
        frame.closed == "stream"
        and not form.whole
        and any(longer.startswith(key) and meaning != unit for longer, meaning in dialect.units.items())
    ):
        raise Refused("truncated")  # `oz` may be the beginning of `ozt`
    return unit


def _number(dialect: Dialect, sign: str, text: str | None, decimals: int | None) -> str:
    if text is None:
        raise Refused("malformed")
    text = text.strip()
    if text.startswith("-"):
        sign, text = "-", text[1:]
    for character in dialect.ignored:
        text = text.replace(character, "")
    for mark in dialect.decimal_marks:
        text = text.replace(mark, ".")
    return displayed(sign, text, decimals)


_LB_OZ = re.compile(r"(-?)(\d+:(?:\d|0\d|1[0-5])(?:\.\d+)?)", re.ASCII)


def _pounds_and_ounces(sign: str, text: str | None) -> str:
    match = _LB_OZ.fullmatch((text or "").strip())
    if not match:
        raise Refused("malformed")
    minus = (match[1] or sign) and match[2].strip("0:.")
    return f"-{match[2]}" if minus else match[2]


def _price(text: str | None, decimals: int | None) -> str | None:
    return None if text is None else displayed("", text.strip(), decimals)


_PLAIN = re.compile(r"\d+(?:\.\d*)?")


def displayed(sign: str, digits: str, decimals: int | None = None) -> str:
    """The decimal text that an instrument shows: no leading zeros, no bare point, no minus before a zero.

    `decimals` places the point in digits that have none; negative, it appends zeros. Raises `Refused` for
    anything but digits with at most one point, which must not come first.
    """
    if not _PLAIN.fullmatch(digits) or not digits.isascii():
        raise Refused("malformed")
    whole, _, fraction = digits.partition(".")
    if decimals is not None:
        if "." in digits:
            raise Refused("malformed")
        if decimals > 0:
            whole = whole.rjust(decimals + 1, "0")
            whole, fraction = whole[:-decimals], whole[-decimals:]
        else:
            whole += "0" * -decimals
    text = (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return f"-{text}" if sign == "-" and text.strip("0.") else text


DECIMALS: Final = Option(
    name="decimals", type="integer", default=0, minimum=0, maximum=4, help="decimals that the display shows"
)
"""For frames that tell digits only; `with_decimals` writes it into the table."""


def with_decimals(dialect: Dialect, options: Mapping[str, Any]) -> Dialect:
    """The dialect with the decimals that the person at the scale has told."""
    return replace(dialect, decimals=options["decimals"])


def scale_driver(
    dialect: Dialect,
    *,
    id: str,
    title: str,
    models: Sequence[str],
    source: str,
    maturity: Maturity,
    line: Mapping[str, str],
    stale_after: float | None = None,
    options: tuple[Option, ...] = (),
    adapt: Callable[[Dialect, Mapping[str, Any]], Dialect] | None = None,
    unguarded: bool = False,
) -> DriverSpec:
    """The driver of a dialect. What its frames tell, and whether it needs a unit, is read off the table.

    `unguarded` is that of `DriverSpec`. `options` are settings of the instrument that its frames do not tell; `adapt`
    writes them into the table.
    """
    defaults = {option.name: option.default for option in options}
    if dialect.poll:
        options = (*poll_options(round(dialect.poll.after * 1000)), *options)

    def make(settings: Mapping[str, Any]) -> Codec:
        table = adapt(dialect, {**defaults, **settings}) if adapt else dialect
        if table.poll is None or not settings.get("poll", True):
            return ScaleCodec(table)
        return ScaleCodec(table, poll_every=settings.get("poll_ms", table.poll.after * 1000) / 1000)

    tells = _tells(dialect)
    return DriverSpec(
        id=id,
        kind="scale",
        title=title,
        make=make,
        models=tuple(models),
        source=source,
        maturity=maturity,
        line=MappingProxyType(dict(line)),
        options=options,
        tells=tells,
        dialogue=Dialogue(polls=dialect.poll is not None, commands=tuple(sorted(dialect.commands))),
        needs_unit="unit" not in tells,
        stale_after=stale_after,
        unguarded=unguarded,
    )


def poll_options(milliseconds: int) -> tuple[Option, ...]:
    """The two settings of every driver that asks its instrument."""
    return (
        Option(name="poll", type="boolean", default=True, help="ask the instrument; false: listen only"),
        Option(
            name="poll_ms",
            type="integer",
            default=milliseconds,
            minimum=20,
            maximum=60_000,
            help="milliseconds from an answer to the next question",
        ),
    )


def _tells(dialect: Dialect) -> tuple[str, ...]:
    groups = {name for form in dialect.forms for name in form.pattern.groupindex}
    told = {
        "unit": "unit" in groups or all(form.unit for form in dialect.forms),
        "stability": bool(dialect.stability) or any(form.stability for form in dialect.forms),
        "basis": bool(dialect.basis) or any(form.basis for form in dialect.forms),
        "overload": bool(dialect.condition) or any(s.means in ("overload", "underload") for s in dialect.states),
        "tare": "tare" in groups,
        "price": "price" in groups,
        "counter": "counter" in groups,
        "checksum": dialect.checksum is not None,
    }
    return tuple(name for name, yes in told.items() if yes)
