"""Binary frames of FF, status and packed decimal digits: JCS-B counting scales and others.

Source: JCS-B counting scale manual p. 6; the second status layout is that of a public C# program. 9600 8N1 (the
program: two stop bits, a frame each 100 ms).

    byte    1    2    3    4    5    6
            FF   S    low  mid  high U       U  0 kg, 1 lb; some send no byte 6 (`unit_byte = false`)

    S, jcs-b            bits 2-0 decimals 0 to 5; 4-3 mode (0 weight, 1 count, 2 percent); 5 negative; 6 stable; 7 over
    S, stable-in-bit-4  bits 2-0 decimals;        4 stable;                                5 negative;           7 over

The two layouts exclude each other and no frame tells which it is; nor whether decimals count from 0 or, as one
text has it, from 1: both are settings. There is no check: digits over 9, other modes and other units are
refused, and so is a frame with anything but the next FF, or 50 ms of silence, behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Fixed, Frame
from drivers.scale_codec import FrameCodec, Refused, displayed
from edge_agent.driver import DriverSpec, Option
from edge_agent.model import Reading, Stability

_MOST_DECIMALS: Final = 5
_OVERFLOW: Final = 0x80
_NEGATIVE: Final = 0x20
_UNITS: Final = ("kg", "lb")
_STABLE: Final = MappingProxyType({"jcs-b": 0x40, "stable-in-bit-4": 0x10})
_MODES: Final[tuple[str | None, ...]] = (None, "pcs", "%")


def _check(frame: bytes) -> bool:
    digits = frame[2:5]
    return all(byte >> 4 <= 9 and byte & 0x0F <= 9 for byte in digits) and all(unit < 2 for unit in frame[5:])


def _reader(layout: str, first: int) -> Callable[[Frame], Reading]:
    """What a frame says, in this layout and with decimals counted from `first`."""

    def read(frame: Frame) -> Reading:
        status = frame.body[1]
        negative = bool(status & _NEGATIVE)
        if status & _OVERFLOW:
            return Reading(weight=None, condition="underload" if negative else "overload", raw=frame.raw)
        decimals = (status & 0x07) - first
        mode = (status >> 3) & 0x03 if layout == "jcs-b" else 0
        if not 0 <= decimals <= _MOST_DECIMALS or mode >= len(_MODES):
            raise Refused("malformed")
        unit = _MODES[mode] or (_UNITS[frame.body[5]] if len(frame.body) > 5 else None)
        stability: Stability = "stable" if status & _STABLE[layout] else "moving"
        weight = displayed("-" if negative else "", frame.body[4:1:-1].hex(), decimals)
        return Reading(weight=weight, unit=unit, stability=stability, raw=frame.raw)

    return read


def _make(options: Mapping[str, Any]) -> FrameCodec:
    length = 6 if options.get("unit_byte", True) else 5
    return FrameCodec(
        Fixed(start=b"\xff", length=length, check=_check, reason="malformed", followed=True),
        _reader(options.get("layout", "jcs-b"), options.get("decimals_from", 0)),
        settle=0.05,
    )


SPEC = DriverSpec(
    id="ff-bcd",
    kind="scale",
    title="FF and packed decimal digits (JCS-B)",
    make=_make,
    models=("JCS-B counting scales", "Chinese indicators with BCD output"),
    source="JCS-B counting scale manual p. 6",
    maturity="manual",
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        Option(
            name="layout",
            type="text",
            default="jcs-b",
            choices=("jcs-b", "stable-in-bit-4"),
            help="what the bits of the status byte mean",
        ),
        Option(
            name="decimals_from",
            type="integer",
            default=0,
            choices=(0, 1),
            help="the status value that stands for no decimals",
        ),
        Option(
            name="unit_byte", type="boolean", default=True, help="the frame ends with a unit byte (6 bytes, else 5)"
        ),
    ),
    tells=("unit", "stability", "overload"),
    stale_after=3.0,
)
