"""USB HID point-of-sale scales: DYMO, Stamps.com, METTLER TOLEDO PS60, Fairbanks and others.

Source: USB-IF "Point of Sale Usage Tables" 1.02, scale page 8D; reports captured on PS60, Fairbanks SCB-R9000 and
Stamps.com scales (allenp/hw_scale, erjiang/usbscale).

Where the report descriptor is known (`drivers.hid_stream`) it says in which report and at which bits these stand:

    70  status class, one of  71 to 78     50  unit class, one of  51 to 5C     41  data scaling     40  data weight

Without a descriptor, in bare reports, they are taken to stand where all scales that were captured have them:

    report  3 data:    03  status  unit  exponent  low  high   [00]     six bytes, some scales add a seventh of 0
            4 status:  04  status

    status      1 fault, 2 stable at zero, 3 motion, 4 stable, 5 below zero, 6 over the limit, 7 calibrate, 8 re-zero
    unit        1 mg, 2 g, 3 kg, 4 ct, 6 grain, 8 t, 11 oz, 12 lb; 5 tael, 7 dwt, 9 short ton, 10 troy ounce refused
    exponent    of ten, signed

The magnitude has no sign: below zero is told by the status. Numbers not listed are reserved and refused, as is an
exponent outside -5 to 2, and a load on a scale that stands at zero.

Zero, when asked for, is the bit of an output or feature report that the descriptor calls  80  zero scale; where it has
none, nothing is sent. Without a descriptor it is report 2 with bit 1 set (Stamps.com 510); other scales refuse that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import NOISE_LIMIT, Cut, Frame
from drivers.hid_report import Descriptor, Report, usage
from drivers.hid_stream import HidStream, described, is_preamble
from drivers.scale_codec import FrameCodec, Refused, displayed
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Send
from edge_agent.model import DeviceEvent, Reading, Stability, Status

_PAGE: Final = 0x8D
_WEIGHT: Final = usage(_PAGE, 0x40)
_SCALING: Final = usage(_PAGE, 0x41)
_UNIT_CLASS: Final = usage(_PAGE, 0x50)
_STATUS_CLASS: Final = usage(_PAGE, 0x70)
_ZERO: Final = usage(_PAGE, 0x80)
_CLASS: Final = range(1, 16)
"""How far a class's members lie behind it."""

_DATA: Final = 3
_STATUS: Final = 4
_LENGTHS: Final = MappingProxyType({_DATA: 6, _STATUS: 2})
_NO_STATUS: Final = 0x20
_STATES: Final = range(1, 9)
_TELLING: Final = 2
"""So many bytes show whether a report begins there: its number and its status."""
_SILENCE: Final = 0.2
_UNITS: Final[Mapping[int, str | None]] = MappingProxyType(
    {1: "mg", 2: "g", 3: "kg", 4: "ct", 5: None, 6: "GN", 7: None, 8: "t", 9: None, 10: None, 11: "oz", 12: "lb"}
)
_EXPONENTS: Final = range(-5, 3)
_STABILITY: Final[Mapping[int, Stability]] = MappingProxyType({2: "stable", 3: "moving", 4: "stable", 5: "stable"})
_USUAL_ZERO: Final = b"\x02\x02"
_TROUBLE: Final = MappingProxyType({1: "fault", 7: "needs calibration", 8: "needs to be zeroed"})


class _Reports:
    """Reports, told apart by their number. A status that is not even reserved shows that the bytes are out of step, and
    so does what follows a report and begins none: half a report and the next are another weight. So the last report
    waits for what follows, or for the silence behind it; USB itself hands over whole reports (`drivers.hid_stream`).
    """

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        length = _LENGTHS.get(data[at])
        if length is None:
            return self._noise(data, at, final=final)
        if len(data) - at > 1 and data[at + 1] >= _NO_STATUS:
            return Cut(size=1, reason="malformed", lost=True)
        if len(data) - at < length:
            return Cut(size=len(data) - at, reason="truncated", lost=True) if final else None
        following = data[at + length : at + length + _TELLING]
        if len(following) < _TELLING and not final:
            return None
        if not _begins_report(following):
            return Cut(size=1, reason="malformed", lost=True)
        return Cut(size=length, body=data[at : at + length])

    @staticmethod
    def _noise(data: bytes, at: int, *, final: bool) -> Cut | None:
        for index in range(at, min(len(data), at + NOISE_LIMIT)):
            if data[index] in _LENGTHS:
                return Cut(size=index - at, reason="noise", lost=True)
        if len(data) - at < NOISE_LIMIT and not final:
            return None
        return Cut(size=min(len(data) - at, NOISE_LIMIT), reason="noise", lost=True)


def _begins_report(data: bytes) -> bool:
    """Whether the bytes behind a report begin another one, perhaps after a seventh byte of 0."""
    rest = data[1:] if data[:1] == b"\0" else data
    return not rest or (rest[0] in _LENGTHS and (len(rest) < _TELLING or rest[1] in _STATES))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The numbers of one report; None for what it does not carry."""

    state: int | None
    weight: int | None = None
    unit: int | None = None
    exponent: int | None = None


class _ScaleReports:
    """What reports mean: by the descriptor that came before them, else as all captured scales have it."""

    def __init__(self) -> None:
        self._descriptor: Descriptor | None = None

    def read(self, frame: Frame) -> DeviceEvent:
        """What one frame says; raises `Refused`."""
        if is_preamble(frame):
            return self._learn(frame)
        said = _bare(frame.body) if self._descriptor is None else _by_descriptor(self._descriptor, frame.body)
        return _event(said, frame.raw)

    def _learn(self, frame: Frame) -> Status:
        self._descriptor, why_not = described(frame)
        if self._descriptor is None:
            return Status(status="other", detail=f"{why_not}; the usual layout is taken", raw=frame.raw)
        scale = any(f.usages and _WEIGHT in f.usages for r in self._descriptor.reports.values() for f in r.fields)
        if not scale:
            return Status(status="error", detail="the device's report descriptor has no weight", raw=frame.raw)
        return Status(status="other", detail="report descriptor", raw=frame.raw)

    def zeroing(self) -> bytes:
        """The report that zeroes the scale; raises ValueError where its descriptor has none."""
        if self._descriptor is None:
            return _USUAL_ZERO
        for report in (*self._descriptor.outputs.values(), *self._descriptor.features.values()):
            told = report.switching_on(_ZERO)
            if told is not None:
                return told
        raise ValueError("the scale's report descriptor has no way to zero it; use its own key")


class HidScaleCodec(FrameCodec):
    """Reports to readings, and zero where the scale has it; see `edge_agent.driver.Codec`."""

    def __init__(self) -> None:
        self._reports = _ScaleReports()
        super().__init__(HidStream(_Reports()), self._reports.read, settle=_SILENCE)

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`."""
        return [Send(data=self._reports.zeroing())] if name == "zero" else super().command(name, now)


def _bare(report: bytes) -> _Said:
    if len(report) < _LENGTHS.get(report[0], len(report) + 1) or any(report[_LENGTHS[report[0]] :]):
        raise Refused("malformed")
    if report[0] == _STATUS:
        return _Said(state=report[1])
    return _Said(
        state=report[1],
        unit=report[2],
        exponent=int.from_bytes(report[3:4], "little", signed=True),
        weight=int.from_bytes(report[4:6], "little"),
    )


def _by_descriptor(descriptor: Descriptor, data: bytes) -> _Said:
    report = descriptor.report(data)
    if report is None:
        raise Refused("unknown-report")
    if len(data) < report.length:
        raise Refused("truncated")
    weight, exponent = None, None
    for meaning, value, one in report.elements(data):
        if meaning == _WEIGHT and weight is None:
            if not one.minimum <= value <= one.maximum:
                raise Refused("out-of-range")
            weight = value
            exponent = one.exponent if exponent is None else exponent
        elif meaning == _SCALING:
            exponent = value - 256 if 127 < value < 256 else value  # some declare a plain byte and mean a signed one
    return _Said(
        state=_member(report, data, _STATUS_CLASS),
        unit=_member(report, data, _UNIT_CLASS),
        weight=weight,
        exponent=exponent,
    )


def _member(report: Report, data: bytes, group: int) -> int | None:
    """Which member of a class a report names, counted from the class; 0 for none that is known, None without a field.

    The field is an array that selects one usage, a set of flags of which one is on, or a plain number.
    """
    found: list[int] = []
    there = False
    for one in report.fields:
        known = [meaning - group for meaning in one.usages if meaning - group in _CLASS]
        plain = group in one.usages or (not one.usages and bool(one.within) and one.within[-1] == group)
        if not known and not plain:
            continue
        there = True
        for index, value in enumerate(one.values(data)):
            meaning = one.selected(value) if one.array else one.usage_of(index)
            if plain:
                found.append(value)
            elif one.array and value:
                found.append(meaning - group if meaning is not None and meaning - group in _CLASS else 0)
            elif not one.array and value and meaning is not None and meaning - group in _CLASS:
                found.append(meaning - group)
    if not there:
        return None
    return found[0] if len(found) == 1 else 0


def _event(said: _Said, raw: bytes) -> DeviceEvent:
    state = said.state
    if state == 6:
        return Reading(weight=None, condition="overload", raw=raw)
    if state is not None and state in _TROUBLE:
        return Status(status="error", detail=_TROUBLE[state], raw=raw)
    if state is not None and state not in _STABILITY:
        raise Refused("unknown-status")
    if said.weight is None:
        return Status(status="other", raw=raw)
    unit = None if said.unit is None else _UNITS.get(said.unit)
    if unit is None:
        raise Refused("unknown-unit")
    if said.exponent is None or said.exponent not in _EXPONENTS:
        raise Refused("malformed")
    if state == 2 and said.weight:
        raise Refused("inconsistent")
    sign = "-" if state == 5 or said.weight < 0 else ""
    weight = displayed(sign, str(abs(said.weight)), -said.exponent)
    return Reading(weight=weight, unit=unit, stability="unknown" if state is None else _STABILITY[state], raw=raw)


def _make(options: Mapping[str, Any]) -> HidScaleCodec:
    return HidScaleCodec()


SPEC = DriverSpec(
    id="hid-pos-scale",
    kind="scale",
    title="USB HID point-of-sale scale",
    make=_make,
    models=("DYMO M10, M25, S100", "Stamps.com 510", "METTLER TOLEDO PS60, Ariva", "Fairbanks SCB-R9000", "UParcel"),
    source="USB-IF Point of Sale Usage Tables 1.02, scale page; captured reports",
    maturity="captured",
    interfaces=("usb", "tcp", "memory"),
    tells=("unit", "stability", "overload"),
    dialogue=Dialogue(commands=("zero",)),
    stale_after=5.0,
)
