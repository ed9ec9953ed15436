"""Barcode scanners as USB HID point-of-sale devices: reports of 62 or 64 bytes, in two layouts.

Source: USB-IF "Point of Sale Usage Tables" 1.02, page 8C; Honeywell report descriptor; Access-IS LSR118 manual p. 68;
Newland EM2028 and FM420 manual p. 47; ID TECH 2DScan manual p. 46.

    honeywell  02 | len | ] c m | data (56)             | code id (2) | flags       or 62 bytes, without the code id
    newland    02 | len |         data (56) | reserved (4)            | symbology | flags
                                                                        flags: bit 0 = continued in the next report

Both call their report 2. The report descriptor tells which it is (`layout_in`), or the option `layout`. With `auto` the
contents tell: behind `len` bytes of data a report is zero, and that holds for one layout only. The length counts: data
may hold zeros. A text that a report says goes on is joined; where its rest does not come it was cut, and what comes of
it later is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import NOISE_LIMIT, Cut, Frame, FrameBuffer
from edge_agent.driver import CodecOutput, DriverSpec, Option
from edge_agent.model import DeviceEvent, Rejected, Scan

_REPORT: Final = 2
_LIMIT: Final = 8192
"""Bytes of all reports of one text."""
_REST_WITHIN: Final = 0.5
"""Seconds in which the next report of a text has to come."""
_AIM: Final = re.compile(rb"\][A-Za-z][0-9A-Za-z]")
_CONTINUED: Final = 0x01
_PAGE: Final = 0x8C
_SYMBOLOGY, _DATA, _DATA_CONTINUED = 0xFB, 0xFE, 0xFF
ENCODINGS: Final = ("auto", "utf-8", "gb18030", "latin-1")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a report stand, counted from its number. `aim` is None where the report has no identifier."""

    size: int
    aim: int | None
    data: int
    room: int
    zeros: int
    """Up to where bytes behind the data are zero."""
    flags: int

    def fits(self, raw: bytes) -> bool:
        """Whether a report can be of this layout: its padding, flags and identifier are as they must be."""
        if len(raw) != self.size:
            return False
        length = raw[1]
        if length > self.room or raw[self.flags] & ~_CONTINUED:
            return False
        if any(raw[self.data + length : self.zeros]):
            return False
        identifier = b"" if self.aim is None else raw[self.aim : self.aim + 3]
        return not any(identifier) or _AIM.fullmatch(identifier) is not None


HONEYWELL: Final = Layout(64, 2, 5, 56, 61, 63)
HONEYWELL_SHORT: Final = Layout(62, 2, 5, 56, 61, 61)
NEWLAND: Final = Layout(64, None, 2, 56, 62, 63)
LAYOUTS: Final[Mapping[str, tuple[Layout, ...]]] = MappingProxyType(
    {
        "auto": (NEWLAND, HONEYWELL, HONEYWELL_SHORT),
        "honeywell": (HONEYWELL,),
        "honeywell-62": (HONEYWELL_SHORT,),
        "newland": (NEWLAND,),
    }
)


def layout_in(descriptor: bytes) -> Layout | None:
    """The layout that a report descriptor describes; None where it describes no scanned data of report 2.

    Follows the items of HID 1.11, 6.2.2: an input field takes the usages before it, one for each of its count.
    """
    page = size = count = report = 0
    usages: list[int] = []
    at: dict[int, int] = {}
    room = 0
    bits = 8
    for tag, value, length in _items(descriptor):
        match tag:
            case 0x04:
                page = value
            case 0x74:
                size = value
            case 0x94:
                count = value
            case 0x84:
                report, bits = value, 8
            case 0x08:
                usages.append(value if length == 4 else page << 16 | value)
            case 0x80 if report == _REPORT:
                for index, usage in enumerate(usages[:count]):
                    if usage >> 16 == _PAGE and usage & 0xFFFF not in at:
                        at[usage & 0xFFFF] = bits + index * size
                        room = size * count // 8 if usage & 0xFFFF == _DATA else room
                bits += size * count
                usages = []
            case 0x80 | 0x90 | 0xB0 | 0xA0 | 0xC0:
                usages = []
        if report == _REPORT:
            total = bits // 8
    if _DATA not in at or _DATA_CONTINUED not in at or not room:
        return None
    aim = at[_SYMBOLOGY] // 8 if _SYMBOLOGY in at and at[_SYMBOLOGY] < at[_DATA] else None
    data = at[_DATA] // 8
    return Layout(total, aim, data, room, data + room, at[_DATA_CONTINUED] // 8)


def _items(descriptor: bytes) -> list[tuple[int, int, int]]:
    """Tag and type, value and its length of each short item; what is cut off is left out."""
    items = []
    at = 0
    while at < len(descriptor):
        length = (0, 1, 2, 4)[descriptor[at] & 3]
        value = descriptor[at + 1 : at + 1 + length]
        if len(value) == length:
            items.append((descriptor[at] & 0xFC, int.from_bytes(value, "little"), length))
        at += 1 + length
    return items


class _Reports:
    """Reports of any of some layouts; see `Framing`."""

    def __init__(self, layouts: tuple[Layout, ...]) -> None:
        self._layouts = layouts
        self._longest = max(layout.size for layout in layouts)

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        if data[at] != _REPORT:
            return self._noise(data, at, final=final)
        if len(data) - at < self._longest and not final:
            return None
        for layout in self._layouts:
            raw = data[at : at + layout.size]
            if layout.fits(raw) and (layout.size == self._longest or self._ends(data, at + layout.size)):
                return Cut(size=layout.size, body=raw)
        size = min(len(data) - at, self._longest)
        inner = data.find(bytes([_REPORT]), at + 1, at + size)
        reason = "malformed" if size == self._longest else "truncated"
        return Cut(size=inner - at if inner >= 0 else size, reason=reason, lost=True)

    @staticmethod
    def _ends(data: bytes, at: int) -> bool:
        """Whether a short report ends here: with the stream, or where the next begins."""
        return at == len(data) or data[at] == _REPORT

    @staticmethod
    def _noise(data: bytes, at: int, *, final: bool) -> Cut | None:
        found = data.find(bytes([_REPORT]), at, at + NOISE_LIMIT)
        if found >= 0:
            return Cut(size=found - at, reason="noise", lost=True)
        if len(data) - at < NOISE_LIMIT and not final:
            return None
        return Cut(size=min(len(data) - at, NOISE_LIMIT), reason="noise", lost=True)


class HidPosScannerCodec:
    """Reports to scans; see `edge_agent.driver.Codec`."""

    def __init__(self, layouts: tuple[Layout, ...], encoding: str) -> None:
        self._layouts = layouts
        self._encoding = encoding
        self._frames = FrameBuffer(_Reports(layouts))
        self._reports: list[bytes] = []
        self._refusing = False
        self._due = 0.0

    @property
    def deadline(self) -> float | None:
        """When the rest of a text is overdue."""
        return self._due if self._reports or self._refusing or self._frames.held else None

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs: list[CodecOutput] = []
        for piece in self._frames.feed(data):
            outputs += self._take(piece)
        self._due = now + _REST_WITHIN
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        if self.deadline is None or now < self._due:
            return []
        held = bool(self._reports or self._frames.held)
        outputs = self.close(now)
        self._refusing = held  # for one more wait: what comes so soon is the rest of what was cut
        self._due = now + _REST_WITHIN
        return outputs

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: a scanner has none."""
        raise ValueError(f"no command {name!r}; a scanner takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        outputs: list[CodecOutput] = []
        for piece in self._frames.finish():
            outputs += self._take(piece)
        return outputs + self._cut_off()

    def _take(self, piece: Frame | Rejected) -> list[DeviceEvent]:
        if isinstance(piece, Rejected):
            self._refusing = bool(self._reports) or self._refusing
            return [*self._cut_off(), piece]
        raw = piece.raw
        layout = self._layout(raw)
        goes_on = bool(raw[layout.flags] & _CONTINUED)
        if self._refusing:
            self._refusing = goes_on
            return [Rejected(reason="truncated", raw=raw)]
        self._reports.append(raw)
        whole = b"".join(self._reports)
        if goes_on and len(whole) + layout.size <= _LIMIT:
            return []
        self._reports = []
        if goes_on:
            self._refusing = True
            return [Rejected(reason="too-long", raw=whole)]
        return [self._scan(whole, layout)]

    def _cut_off(self) -> list[DeviceEvent]:
        reports, self._reports = self._reports, []
        return [Rejected(reason="truncated", raw=b"".join(reports))] if reports else []

    def _layout(self, raw: bytes) -> Layout:
        return next(layout for layout in self._layouts if layout.fits(raw))

    def _scan(self, whole: bytes, layout: Layout) -> DeviceEvent:
        reports = [whole[at : at + layout.size] for at in range(0, len(whole), layout.size)]
        if len(reports[-1]) != layout.size or not all(layout.fits(report) for report in reports):
            return Rejected(reason="malformed", raw=whole)
        data = b"".join(report[layout.data : layout.data + report[1]] for report in reports)
        symbology = b"" if layout.aim is None else reports[0][layout.aim : layout.aim + 3]
        if not any(symbology):
            leading = _AIM.match(data)
            symbology = leading[0] if leading else b""
            data = data[len(symbology) :]
        if not data:
            return Rejected(reason="empty", raw=whole)
        text, lossy = _decode(data, self._encoding)
        return Scan(text=text, symbology=symbology.decode("ascii") or None, lossy=lossy, raw=whole)


def _decode(data: bytes, encoding: str) -> tuple[str, bool]:
    """The text, and whether bytes had to be replaced. `auto`: UTF-8, then GB18030."""
    candidates = ("utf-8", "gb18030") if encoding == "auto" else (encoding,)
    for candidate in candidates:
        try:
            return data.decode(candidate), False
        except UnicodeDecodeError:
            continue
    return data.decode(candidates[0], errors="replace"), True


def _make(options: Mapping[str, Any]) -> HidPosScannerCodec:
    layouts = LAYOUTS[options.get("layout", "auto")]
    descriptor = options.get("descriptor") or ""
    if descriptor:
        described = layout_in(bytes.fromhex(descriptor))
        if described is None:
            raise ValueError("descriptor: it describes no scanned data (usage page 8C) in report 2")
        layouts = (described,)
    return HidPosScannerCodec(layouts, options.get("encoding", "auto"))


SPEC = DriverSpec(
    id="hid-pos-scanner",
    kind="scanner",
    title="USB HID point-of-sale barcode scanner",
    make=_make,
    models=(
        "Honeywell and Metrologic in HID-POS mode",
        "Newland HR, FM and EM in HID-POS mode",
        "Access-IS LSR118",
        "ID TECH 2DScan",
    ),
    source="USB-IF Point of Sale Usage Tables 1.02, page 8C; manuals of Honeywell, Access-IS, Newland, ID TECH",
    maturity="manual",
    interfaces=("memory",),
    options=(
        Option(
            name="layout",
            type="text",
            default="auto",
            choices=tuple(LAYOUTS),
            help="how a report is laid out; auto: told from its contents",
        ),
        Option(
            name="descriptor", type="text", default="", help="the report descriptor as hexadecimal: it tells the layout"
        ),
        Option(
            name="encoding",
            type="text",
            default="auto",
            choices=ENCODINGS,
            help="of texts that are not ASCII; auto: UTF-8, else GB18030",
        ),
    ),
    tells=("symbology",),
)
