"""USB HID point-of-sale scales: DYMO, Stamps.com, METTLER TOLEDO PS60, Fairbanks and others.

Source: USB-IF "Point of Sale Usage Tables" 1.02, scale page 8D; reports captured on PS60, Fairbanks SCB-R9000 and
Stamps.com scales (allenp/hw_scale, erjiang/usbscale).

    report  3 data:    03  status  unit  exponent  low  high   [00]     six bytes, some scales add a seventh of 0
            4 status:  04  status

    status      1 fault, 2 stable at zero, 3 motion, 4 stable, 5 below zero, 6 over the limit, 7 calibrate, 8 re-zero
    unit        1 mg, 2 g, 3 kg, 4 ct, 6 grain, 8 t, 11 oz, 12 lb; 5 tael, 7 dwt, 9 short ton, 10 troy ounce refused
    exponent    of ten, signed

The magnitude has no sign: below zero is told by the status. Numbers not listed are reserved and refused, as is an
exponent outside -5 to 2, and a load on a scale that stands at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import NOISE_LIMIT, Cut, Frame
from drivers.scale_codec import FrameCodec, Refused, displayed
from edge_agent.driver import DriverSpec
from edge_agent.model import DeviceEvent, Reading, Stability, Status

_DATA: Final = 3
_STATUS: Final = 4
_LENGTHS: Final = MappingProxyType({_DATA: 6, _STATUS: 2})
_NO_STATUS: Final = 0x20
_UNITS: Final[Mapping[int, str | None]] = MappingProxyType(
    {1: "mg", 2: "g", 3: "kg", 4: "ct", 5: None, 6: "GN", 7: None, 8: "t", 9: None, 10: None, 11: "oz", 12: "lb"}
)
_EXPONENTS: Final = range(-5, 3)
_STABILITY: Final[Mapping[int, Stability]] = MappingProxyType({2: "stable", 3: "moving", 4: "stable", 5: "stable"})
_TROUBLE: Final = MappingProxyType({1: "fault", 7: "needs calibration", 8: "needs to be zeroed"})


class _Reports:
    """Reports, told apart by their number. A status that is not even reserved shows that the bytes are out of step."""

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        length = _LENGTHS.get(data[at])
        if length is None:
            return self._noise(data, at, final=final)
        if len(data) - at > 1 and data[at + 1] >= _NO_STATUS:
            return Cut(size=1, reason="malformed", lost=True)
        if len(data) - at < length:
            return Cut(size=len(data) - at, reason="truncated", lost=True) if final else None
        return Cut(size=length, body=data[at : at + length])

    @staticmethod
    def _noise(data: bytes, at: int, *, final: bool) -> Cut | None:
        for index in range(at, min(len(data), at + NOISE_LIMIT)):
            if data[index] in _LENGTHS:
                return Cut(size=index - at, reason="noise", lost=True)
        if len(data) - at < NOISE_LIMIT and not final:
            return None
        return Cut(size=min(len(data) - at, NOISE_LIMIT), reason="noise", lost=True)


def _read(frame: Frame) -> DeviceEvent:
    state = frame.body[1]
    if state == 6:
        return Reading(weight=None, condition="overload", raw=frame.raw)
    if state in _TROUBLE:
        return Status(status="error", detail=_TROUBLE[state], raw=frame.raw)
    if frame.body[0] == _STATUS and state in _STABILITY:
        return Status(status="other", raw=frame.raw)
    if state not in _STABILITY:
        raise Refused("unknown-status")
    unit = _UNITS.get(frame.body[2])
    exponent = int.from_bytes(frame.body[3:4], "little", signed=True)
    magnitude = int.from_bytes(frame.body[4:6], "little")
    if unit is None:
        raise Refused("unknown-unit")
    if exponent not in _EXPONENTS:
        raise Refused("malformed")
    if state == 2 and magnitude:
        raise Refused("inconsistent")
    weight = displayed("-" if state == 5 else "", str(magnitude), -exponent)
    return Reading(weight=weight, unit=unit, stability=_STABILITY[state], raw=frame.raw)


def _make(options: Mapping[str, Any]) -> FrameCodec:
    return FrameCodec(_Reports(), _read)


SPEC = DriverSpec(
    id="hid-pos-scale",
    kind="scale",
    title="USB HID point-of-sale scale",
    make=_make,
    models=("DYMO M10, M25, S100", "Stamps.com 510", "METTLER TOLEDO PS60, Ariva", "Fairbanks SCB-R9000", "UParcel"),
    source="USB-IF Point of Sale Usage Tables 1.02, scale page; captured reports",
    maturity="captured",
    interfaces=("memory",),
    tells=("unit", "stability", "overload"),
    stale_after=5.0,
)
