"""HID input reports as a stream of bytes: the report descriptor first, then report after report.

    preamble    00 'H' 'I' 'D'  length  descriptor     once at each opening; the length counts the descriptor
    report      length  report                         one interrupt transfer, its report number first if it has one

Lengths are two bytes, low byte first. A transport that reads a HID interface speaks so (`edge_agent.driver.HID_MARK`),
and a capture of its port can be read again by itself. Zero never numbers a report, so a stream that does not begin
with the preamble is one of bare reports, as a vector or a plain hidraw device holds them, and a codec's own framing
cuts those.
"""

from __future__ import annotations

from typing import Final

from drivers.framing import NOISE_LIMIT, Cut, Frame, Framing
from drivers.hid_report import DESCRIPTOR_LIMIT, REPORT_LIMIT, Descriptor, parse_descriptor
from edge_agent.driver import HID_MARK

_COUNT: Final = 2
_HEADER: Final = len(HID_MARK) + _COUNT


def preamble(descriptor: bytes) -> bytes:
    """What a transport says at each opening. An empty descriptor: the device did not tell."""
    return HID_MARK + len(descriptor).to_bytes(_COUNT, "little") + descriptor


def packed(report: bytes) -> bytes:
    """One report as a transport says it."""
    return len(report).to_bytes(_COUNT, "little") + report


class HidStream:
    """The framing of a HID device; see `Framing`. `bare` cuts a stream that has no preamble.

    After a length that cannot be, nothing but the next preamble is believed.
    """

    def __init__(self, bare: Framing) -> None:
        self._bare = bare
        self._packed = False

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        if data.startswith(HID_MARK, at):
            return self._preamble(data, at, final=final)
        if len(data) - at < len(HID_MARK) and HID_MARK.startswith(data[at:]) and not final:
            return None
        if not self._packed:
            return self._bare.scan(data, at, final=final, lost=lost)
        return self._report(data, at, final=final, lost=lost)

    def _preamble(self, data: bytes, at: int, *, final: bool) -> Cut | None:
        size = int.from_bytes(data[at + len(HID_MARK) : at + _HEADER], "little")
        if len(data) - at >= _HEADER and size > DESCRIPTOR_LIMIT:
            return Cut(size=_HEADER, reason="malformed", lost=True)
        if len(data) - at < _HEADER + size or len(data) - at < _HEADER:
            return Cut(size=len(data) - at, reason="truncated", lost=True) if final else None
        self._packed = True
        return Cut(size=_HEADER + size, body=data[at + _HEADER : at + _HEADER + size])

    @staticmethod
    def _report(data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        if lost:
            return HidStream._to_preamble(data, at, final=final)
        if len(data) - at < _COUNT:
            return Cut(size=len(data) - at, reason="truncated", lost=True) if final else None
        size = int.from_bytes(data[at : at + _COUNT], "little")
        if not 0 < size <= REPORT_LIMIT:
            return Cut(size=_COUNT, reason="malformed", lost=True)
        if len(data) - at < _COUNT + size:
            return Cut(size=len(data) - at, reason="truncated", lost=True) if final else None
        return Cut(size=_COUNT + size, body=data[at + _COUNT : at + _COUNT + size])

    @staticmethod
    def _to_preamble(data: bytes, at: int, *, final: bool) -> Cut | None:
        found = data.find(HID_MARK, at + 1, at + NOISE_LIMIT)
        if found >= 0:
            return Cut(size=found - at, reason="noise", lost=True)
        if len(data) - at < NOISE_LIMIT:
            return Cut(size=len(data) - at, reason="noise", lost=True) if final else None
        for begun in range(len(HID_MARK) - 1, 0, -1):
            if data.startswith(HID_MARK[:begun], at + NOISE_LIMIT - begun):
                return Cut(size=NOISE_LIMIT - begun, reason="noise", lost=True)
        return Cut(size=NOISE_LIMIT, reason="noise", lost=True)


def is_preamble(frame: Frame) -> bool:
    """Whether a frame of a `HidStream` holds the descriptor rather than a report."""
    return frame.raw.startswith(HID_MARK)


def described(frame: Frame) -> tuple[Descriptor | None, str]:
    """The descriptor of a preamble; where there is none, why: it did not come, or cannot be read."""
    if not frame.body:
        return None, "the device gave no report descriptor"
    try:
        return parse_descriptor(frame.body), ""
    except ValueError as problem:
        return None, f"the report descriptor cannot be read: {problem}"
