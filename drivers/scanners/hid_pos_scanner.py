"""Barcode scanners as USB HID point-of-sale devices: reports of 62 or 64 bytes, in two layouts.

Source: USB-IF "Point of Sale Usage Tables" 1.02, page 8C; Honeywell report descriptor; Access-IS LSR118 manual p. 68;
Newland EM2028 and FM420 manual p. 47; ID TECH 2DScan manual p. 46.

    honeywell  02 | len | ] c m | data (56)             | code id (2) | flags       or 62 bytes, without the code id
    newland    02 | len |         data (56) | reserved (4)            | symbology | flags
                                                                        flags: bit 0 = continued in the next report

Both call their report 2. The report descriptor tells which it is where the port brings it, else the option `layout`.
With `auto` the contents tell: behind `len` bytes of data a report is zero, and that holds for one layout only. The
length counts: data may hold zeros. A text that a report says goes on is joined; where its rest does not come it was
cut, and what comes of it later is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import NOISE_LIMIT, Cut, Frame, FrameBuffer
from drivers.hid_report import Descriptor, Field, usage
from drivers.hid_stream import HidStream, described, is_preamble
from drivers.scanners._scanned_text import decode
from edge_agent.driver import CodecOutput, DriverSpec, Option
from edge_agent.model import DeviceEvent, Rejected, Scan, Status

_REPORT: Final = 2
_LIMIT: Final = 8192
"""Bytes of all reports of one text."""
_REST_WITHIN: Final = 0.5
"""Seconds in which the next report of a text has to come."""
_AIM: Final = re.compile(rb"\][A-Za-z][0-9A-Za-z]")
_SYMBOLOGY, _DATA, _CONTINUED = usage(0x8C, 0xFB), usage(0x8C, 0xFE), usage(0x8C, 0xFF)
ENCODINGS: Final = ("auto", "utf-8", "gb18030", "latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the parts of a report stand, counted in bytes from its first.

    `aim` is None where the report has no identifier. Of a layout that is `guessed` everything must be as it should:
    zeros behind the data up to `zeros`, an identifier that can be one, no flag but `continued`.
    """

    size: int
    length: int = 1
    aim: int | None
    data: int
    room: int
    zeros: int = 0
    flags: int
    continued: int = 0x01
    guessed: bool = True

    def fits(self, raw: bytes) -> bool:
        """Whether a report can be of this layout."""
        if len(raw) != self.size or raw[self.length] > self.room:
            return False
        if not self.guessed:
            return True
        if raw[self.flags] & ~self.continued or any(raw[self.data + raw[self.length] : self.zeros]):
            return False
        identifier = self.identifier(raw)
        return not identifier or _AIM.fullmatch(identifier) is not None

    def identifier(self, raw: bytes) -> bytes:
        """The AIM identifier of a report; empty where it has none."""
        told = b"" if self.aim is None else raw[self.aim : self.aim + 3]
        return told if any(told) else b""

    def goes_on(self, raw: bytes) -> bool:
        """Whether the text goes on in the next report."""
        return bool(raw[self.flags] & self.continued)


HONEYWELL: Final = Layout(size=64, aim=2, data=5, room=56, zeros=61, flags=63)
HONEYWELL_SHORT: Final = Layout(size=62, aim=2, data=5, room=56, zeros=61, flags=61)
NEWLAND: Final = Layout(size=64, aim=None, data=2, room=56, zeros=62, flags=63)
LAYOUTS: Final[Mapping[str, tuple[Layout, ...]]] = MappingProxyType(
    {
        "auto": (NEWLAND, HONEYWELL, HONEYWELL_SHORT),
        "honeywell": (HONEYWELL,),
        "honeywell-62": (HONEYWELL_SHORT,),
        "newland": (NEWLAND,),
    }
)


def layout_in(descriptor: Descriptor) -> tuple[int, Layout] | None:
    """The number of the report that carries scanned data, and its layout; None where there is none."""
    for report in descriptor.reports.values():
        at: dict[int, tuple[int, Field]] = {}
        for one in report.fields:
            for index in range(one.count):
                meaning = one.usage_of(index)
                if meaning is not None:
                    at.setdefault(meaning, (one.offset + index * one.size, one))
        if _DATA in at and _CONTINUED in at and at[_DATA][1].size == 8:
            first, whole = at[_DATA]
            aim = at[_SYMBOLOGY][0] if _SYMBOLOGY in at else first
            flag = at[_CONTINUED][0]
            return report.id, Layout(
                size=report.length,
                length=1 if descriptor.numbered else 0,
                aim=aim // 8 if aim < first else None,
                data=first // 8,
                room=whole.count,
                flags=flag // 8,
                continued=1 << flag % 8,
                guessed=False,
            )
    return None


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
        self._usual = self._layouts = layouts
        self._number: int | None = None
        self._encoding = encoding
        self._frames = FrameBuffer(HidStream(_Reports(layouts)))
        self._held: list[bytes] = []
        self._reports: list[tuple[bytes, Layout]] = []
        self._refusing = False
        self._due = 0.0

    @property
    def deadline(self) -> float | None:
        """When the rest of a text is overdue."""
        return self._due if self._held or self._refusing or self._frames.held else None

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
        held = bool(self._held or self._frames.held)
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
            return self._broken(piece)
        if is_preamble(piece):
            return [*self._cut_off(), self._learn(piece)]
        report = piece.body
        if self._number is not None and report[0] != self._number:
            return [*self._cut_off(), Status(status="other", detail=f"report {report[0]}", raw=piece.raw)]
        layout = next((each for each in self._layouts if each.fits(report)), None)
        if layout is None:
            return self._broken(Rejected(reason="malformed", raw=piece.raw))
        goes_on = layout.goes_on(report)
        if self._refusing:
            self._refusing = goes_on
            return [Rejected(reason="truncated", raw=piece.raw)]
        self._held.append(piece.raw)
        self._reports.append((report, layout))
        if goes_on and sum(map(len, self._held)) + len(piece.raw) <= _LIMIT:
            return []
        raw, reports = self._all_held()
        if goes_on:
            self._refusing = True
            return [Rejected(reason="too-long", raw=raw)]
        return [self._scan(raw, reports)]

    def _learn(self, frame: Frame) -> DeviceEvent:
        descriptor, why_not = described(frame)
        self._layouts, self._number, self._refusing = self._usual, None, False
        if descriptor is None:
            return Status(status="other", detail=f"{why_not}; the layout is told from the reports", raw=frame.raw)
        found = layout_in(descriptor)
        if found is None:
            return Status(status="error", detail="the device's report descriptor has no scanned data", raw=frame.raw)
        self._layouts = (found[1],)
        self._number = found[0] or None
        return Status(status="other", detail="report descriptor", raw=frame.raw)

    def _broken(self, piece: Rejected) -> list[DeviceEvent]:
        self._refusing = bool(self._held) or self._refusing
        return [*self._cut_off(), piece]

    def _cut_off(self) -> list[DeviceEvent]:
        raw, _ = self._all_held()
        return [Rejected(reason="truncated", raw=raw)] if raw else []

    def _all_held(self) -> tuple[bytes, list[tuple[bytes, Layout]]]:
        held, reports = self._held, self._reports
        self._held, self._reports = [], []
        return b"".join(held), reports

    def _scan(self, raw: bytes, reports: list[tuple[bytes, Layout]]) -> DeviceEvent:
        if len({layout for _, layout in reports}) > 1:
            return Rejected(reason="malformed", raw=raw)
        if len({told for report, each in reports if (told := each.identifier(report))}) > 1:
            return Rejected(reason="inconsistent", raw=raw)  # the rest was lost, and another code took its place
        data = b"".join(report[each.data : each.data + report[each.length]] for report, each in reports)
        symbology = reports[0][1].identifier(reports[0][0])
        if _AIM.fullmatch(symbology) is None:
            leading = _AIM.match(data)
            symbology = leading[0] if leading else b""
            data = data[len(symbology) :]
        if not data:
            return Rejected(reason="empty", raw=raw)
        text, lossy = decode(data, self._encoding)
        return Scan(text=text, symbology=symbology.decode("ascii") or None, lossy=lossy, raw=raw)


def _make(options: Mapping[str, Any]) -> HidPosScannerCodec:
    layouts = LAYOUTS[options.get("layout", "auto")]
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
    interfaces=("usb", "tcp", "memory"),
    options=(
        Option(
            name="layout",
            type="text",
            default="auto",
            choices=tuple(LAYOUTS),
            help="how a report is laid out where no report descriptor tells; auto: told from its contents",
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
