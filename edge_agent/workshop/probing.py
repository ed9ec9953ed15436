"""Which dialects the bytes of a port could be; sans-I/O.

`judge` reads what was heard through every driver and says which fit, with how much evidence, and what speaks against
them. A fit's evidence has three parts:

- `share`: which part of the bytes became readings, scans, tags or statuses. Half a frame at either end of the
  listening is not held against a driver.
- `checksummed`: whether each accepted frame carried a checksum that held.
- `bits`: how surprising it is that a frame was accepted, measured and not guessed: each frame is damaged by one random
  bit many times over, and the share of damaged frames that the driver still takes is the chance of a lucky match.

A line set to eight bits without parity, on which seven bits with parity arrive, shows bit 7 set in just those
characters whose parity wants it. That is recognised, and the bytes are judged without it too.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from edge_agent.driver import Codec, CodecOutput, DriverSpec
from edge_agent.model import DeviceEvent, PushedSale, Reading, Rejected, Scan, Status, TagRead

LEAST_FRAMES: Final = 3
LEAST_SHARE: Final = 0.6
DECISIVE_SHARE: Final = 0.95
_MOST_BYTES: Final = 64 * 1024
_DAMAGED_FRAMES: Final = 12
_DAMAGES: Final = 16
_FOREIGN: Final = 0.3
_COMMON_BAUDS: Final = (9600, 2400, 4800, 1200, 19200, 115200, 38400, 57600, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The settings of a serial line."""

    baud: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: str = "1"

    def __str__(self) -> str:
        return f"{self.baud} {self.form}"

    @property
    def form(self) -> str:
        """Bits, parity and stop bits in the usual short form, such as 7E1."""
        return f"{self.bytesize}{self.parity}{self.stopbits}"

    @property
    def query(self) -> dict[str, str]:
        """As settings of a port."""
        return {
            "baud": str(self.baud),
            "bytesize": str(self.bytesize),
            "parity": self.parity,
            "stopbits": self.stopbits,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a port said with these settings: pieces with their times in seconds. `line` is None where it has none."""

    line: Line | None
    pieces: tuple[tuple[float, bytes], ...]

    @property
    def size(self) -> int:
        """How many bytes."""
        return sum(len(data) for _, data in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One driver that could explain what was heard.

    `line` is what the port should be set to; `heard_as` the settings it was listened with, where those were others.
    """

    driver: str
    kind: str
    line: Line | None
    heard_as: Line | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    frames: int
    checksummed: bool
    rejected: Mapping[str, int]
    share: float
    bits: float
    said: tuple[str, ...]
    against: tuple[str, ...] = ()
    tells: int = 0
    models: int = 0

    @property
    def decisive(self) -> bool:
        """Whether listening longer, or with other settings, could hardly change anything."""
        return self.share >= DECISIVE_SHARE and self.bits >= 2 and self.frames >= 5 and self.heard_as is None

    @property
    def rank(self) -> tuple[Any, ...]:
        """Better fits first; what would take almost anything comes last."""
        return (
            self.bits < 1,
            -round(self.share * 20),
            len(self.against),
            self.heard_as is not None,
            not self.checksummed,
            -(self.bits // 3),
            bool(self.options),
            -self.tells,
            -self.models,
            -self.frames,
            self.driver,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something about the port that a person should know: a word, and its particulars."""

    word: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found: fits, best first, and warnings."""

    fits: tuple[Fit, ...]
    warnings: tuple[Warned, ...]
    size: int


def lines(specs: Iterable[DriverSpec]) -> list[Line]:
    """All plausible settings, the likeliest first: those of the most drivers, then the usual ones."""
    counted: Counter[Line] = Counter()
    for spec in specs:
        if spec.line:
            counted[line_of(spec)] += 1
    usual = [Line(baud=baud) for baud in _COMMON_BAUDS]
    usual += [Line(baud=baud, bytesize=7, parity="E") for baud in (9600, 4800, 2400, 1200)]
    return list(dict.fromkeys([*(line for line, _ in counted.most_common()), *usual]))


def line_of(spec: DriverSpec) -> Line:
    """A driver's default line settings."""
    settings = spec.line
    return Line(
        baud=int(settings.get("baud", "9600")),
        bytesize=int(settings.get("bytesize", "8")),
        parity=settings.get("parity", "N"),
        stopbits=settings.get("stopbits", "1"),
    )


def judge(heard: Sequence[Heard], specs: Iterable[DriverSpec], *, seed: int = 0) -> Report:
    """Which drivers fit what was heard with each of the settings."""
    specs = list(specs)
    fits: list[Fit] = []
    warnings: list[Warned] = []
    for each in heard:
        if not each.size:
            continue
        found = list(_fits(each, each.line, specs, seed))
        parity = _hidden_parity(each)
        if parity is not None:
            line = replace(each.line or Line(), bytesize=7, parity=parity)
            hidden = [
                replace(fit, heard_as=each.line or Line()) for fit in _fits(_stripped(each), line, specs, seed + 1)
            ]
            if _best_explained(hidden) > _best_explained(found):
                warnings.append(Warned(word="parity", facts={"is": line.form, "read_as": (each.line or Line()).form}))
                found += hidden
        # What would take almost anything is no explanation of bytes that are hardly text.
        fits += [fit for fit in found if fit.kind != "scanner" or _foreign(each) <= _FOREIGN]
    best: dict[str, Fit] = {}
    for fit in sorted(fits, key=lambda fit: fit.rank):
        best.setdefault(fit.driver, fit)
    ranked = list(best.values())
    size = sum(each.size for each in heard)
    if not ranked:
        warnings += _why_nothing(heard, size)
    return Report(fits=tuple(ranked), warnings=(*warnings, *_doubts(ranked)), size=size)


def _best_explained(fits: Sequence[Fit]) -> float:
    """The largest share that a driver explains which would not take almost anything."""
    return max((fit.share for fit in fits if fit.bits >= 1), default=0.0)


def _fits(heard: Heard, line: Line | None, specs: Sequence[DriverSpec], seed: int) -> Iterator[Fit]:
    for spec in specs:
        if spec.kind != "printer":
            tried = [_tried(heard, line, spec, options, seed) for options in _variants(spec)]
            good = [fit for fit in tried if fit is not None]
            if good:
                yield min(good, key=lambda fit: fit.rank)


def _variants(spec: DriverSpec) -> Iterator[dict[str, Any]]:
    """The default options, and each other choice of one of them."""
    yield {}
    for option in spec.options:
        for choice in option.choices:
            if choice != option.default:
                yield {option.name: choice}


def _tried(heard: Heard, line: Line | None, spec: DriverSpec, options: Mapping[str, Any], seed: int) -> Fit | None:
    events, excused = _events(heard, spec, options)
    good = [event for event in events if not isinstance(event, Rejected)]
    telling: Sequence[DeviceEvent] = [event for event in good if not isinstance(event, Status)]
    checksummed = "checksum" in spec.tells
    if not telling and checksummed:
        telling = good  # it answers, and what its frames mean is a setting
    frames = len(telling)
    counted = max(1, heard.size - excused)
    share = min(1.0, sum(len(event.raw) for event in good) / counted)
    if len(good) < LEAST_FRAMES or not telling or share < LEAST_SHARE:
        return None
    reasons = Counter(event.reason for event in events if isinstance(event, Rejected))
    said = list(dict.fromkeys(_word(event) for event in telling))
    return Fit(
        driver=spec.id,
        kind=spec.kind,
        line=line,
        options=options,
        frames=frames,
        checksummed=checksummed,
        rejected=dict(reasons),
        share=round(share, 3),
        bits=round(_strictness(spec, options, telling, seed), 1),
        said=tuple(said[-3:]),
        against=tuple(_against(telling)),
        tells=len(spec.tells),
        models=len(spec.models),
    )


def understands(spec: DriverSpec, heard: Sequence[Heard]) -> bool:
    """Whether a driver reads nearly all that was heard, be it a single frame such as a reader's greeting."""
    for each in heard:
        events, excused = _events(each, spec, {})
        good = sum(len(event.raw) for event in events if not isinstance(event, Rejected))
        if good and good >= LEAST_SHARE * max(1, each.size - excused):
            return True
    return False


def _codec(spec: DriverSpec, options: Mapping[str, Any]) -> Codec:
    known = {option.name: option.default for option in spec.options}
    silent = {"poll": False} if "poll" in known else {}
    return spec.make({**known, **silent, **options})


def _events(heard: Heard, spec: DriverSpec, options: Mapping[str, Any]) -> tuple[list[DeviceEvent], int]:
    """The events of a listening, and how many bytes of it were half a frame at either end."""
    codec = _codec(spec, options)
    outputs: list[CodecOutput] = []
    now = 0.0
    for at, data in heard.pieces:
        now = at
        while (deadline := codec.deadline) is not None and deadline <= at:
            ticked = codec.tick(deadline)
            outputs += ticked
            if codec.deadline == deadline and not ticked:
                break
        outputs += codec.feed(data, at)
    last = codec.close(now + 1.0)
    excused = sum(len(event.raw) for event in last if isinstance(event, Rejected))
    events = [output for output in [*outputs, *last] if isinstance(output, DeviceEvent)]
    events = [event for event in events if not (isinstance(event, Rejected) and event in last)]
    if events and isinstance(events[0], Rejected):
        excused += len(events.pop(0).raw)
    return events, excused


def _strictness(spec: DriverSpec, options: Mapping[str, Any], good: Sequence[DeviceEvent], seed: int) -> float:
    """How many bits of evidence one accepted frame is: from the share of damaged frames that are still accepted."""
    chance = random.Random(seed)
    frames = list(dict.fromkeys(event.raw for event in good if event.raw))[-_DAMAGED_FRAMES:]
    tried = accepted = 0
    for frame in frames:
        for _ in range(_DAMAGES):
            bit = chance.randrange(8 * len(frame))
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << bit % 8
            codec = _codec(spec, options)
            outputs = [*codec.feed(bytes(damaged), 0.0), *codec.close(1.0)]
            tried += 1
            accepted += any(isinstance(o, DeviceEvent) and not isinstance(o, Rejected) for o in outputs)
    return -math.log2((accepted + 1) / (tried + 2)) if tried else 0.0


def _word(event: DeviceEvent) -> str:
    match event:
        case Reading(weight=None):
            return event.condition
        case Reading():
            return " ".join(w for w in (event.weight, event.unit, event.stability, event.basis) if w)
        case Scan():
            return event.text[:40]
        case TagRead():
            return f"{event.kind} {event.tag_id}"
        case PushedSale():
            return f"sale {event.number}"
        case Status():
            return f"{event.status} {event.detail}".strip()
        case Rejected():
            return event.reason


def _against(events: Sequence[DeviceEvent]) -> Iterator[str]:
    """What speaks against readings that were accepted."""
    if all(isinstance(event, Status) for event in events):
        yield "no-weight"
    weights = [event.weight for event in events if isinstance(event, Reading) and event.weight is not None]
    loaded = {weight.lstrip("-") for weight in weights if weight.strip("-0.")}
    if loaded and all(weight.replace(".", "").endswith("00") and "." in weight for weight in loaded):
        yield "last-digits-zero"
    if any(len(weight.partition(".")[0].lstrip("-")) > 6 for weight in loaded):
        yield "too-heavy"


def _hidden_parity(heard: Heard) -> str | None:
    """The parity that bit 7 of every byte would be, where eight bits without parity were listened to; else None."""
    if heard.line is not None and (heard.line.bytesize, heard.line.parity) != (8, "N"):
        return None
    data = b"".join(piece for _, piece in heard.pieces)[:_MOST_BYTES]
    high = sum(byte >> 7 for byte in data)
    if len(data) < 8 or not high:
        return None
    odd = sum(byte.bit_count() & 1 for byte in data)
    for parity, fitting in (("E", len(data) - odd), ("O", odd), ("M", high)):
        if fitting >= 0.98 * len(data):
            return parity
    return None


def _stripped(heard: Heard) -> Heard:
    low = bytes(byte & 0x7F for byte in range(256))
    return replace(heard, pieces=tuple((at, data.translate(low)) for at, data in heard.pieces))


def _why_nothing(heard: Sequence[Heard], size: int) -> list[Warned]:
    if not size:
        return [Warned(word="silent")]
    for each in heard:
        parity = _hidden_parity(each)
        if parity is not None:
            line = replace(each.line or Line(), bytesize=7, parity=parity)
            return [
                Warned(word="parity", facts={"is": line.form, "read_as": (each.line or Line()).form}),
                Warned(word="unknown"),
            ]
    best = min((_foreign(each) for each in heard if each.size), default=1.0)
    return [Warned(word="baud")] if best > _FOREIGN else [Warned(word="unknown")]


def _foreign(heard: Heard) -> float:
    """The share of bytes that neither text nor a usual control character is: much of it means a wrong baud rate."""
    data = b"".join(piece for _, piece in heard.pieces)
    usual = b"\x01\x02\x03\x04\x05\x06\x0a\x0d\x11\x15\x1b\x1d"
    return sum(not (0x20 <= byte < 0x7F or byte in usual) for byte in data) / len(data)


def _doubts(fits: Sequence[Fit]) -> list[Warned]:
    """What the best fit leaves open."""
    if not fits:
        return []
    best = fits[0]
    equal = [
        fit.driver
        for fit in fits[1:]
        if fit.kind == best.kind and fit.rank[:6] == best.rank[:6] and fit.options == best.options
    ]
    doubts = []
    if equal:
        doubts.append(Warned(word="equal", facts={"drivers": ", ".join([best.driver, *equal])}))
    if best.kind == "scale" and "reversed" in best.driver + " ".join(fit.driver for fit in fits[1:]):
        doubts.append(Warned(word="direction"))
    return doubts
