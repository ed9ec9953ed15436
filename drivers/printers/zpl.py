"""Label printers that speak ZPL II: Zebra and those that copy it.

Source: Zebra ZPL II programming guide (^XA, ^CI28, ^PW, ^LL, ^FO, ^A@, ^FH, ^FD, ^BQ, ^GB, ^XZ, ~HS).

    ^XA ^CI28 ^PW480 ^LL320                 UTF-8; dots at 8 a millimetre
    ^FO12,12 ^A@N,24,24,E:SIMSUN.TTF ^FH ^FD…^FS
    ^FO300,12 ^BQN,2,4 ^FH ^FDMA,…^FS       QR code, model 2, correction M, mode automatic
    ^XZ

With ^FH an underscore and two hexadecimal digits stand for a byte: `^`, `~` and `_` within a text are written so.
`~HS` is answered by three lines in STX … ETX CR LF: in the first the second field is 1 without paper and the third
1 in pause; in the second the third is 1 with the head up and the fourth 1 without ribbon.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Frame, FrameBuffer, Marked
from drivers.label import DOTS_MM, HIGH, MARGIN, SIZE, lay_out
from drivers.printer_codec import STATUS, PrinterCodec
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent, Document, Rejected, Status

_FIELDS: Final = {12: ((1, "out of paper"), (2, "pause")), 11: ((2, "head open"), (3, "out of ribbon"))}
"""By the number of fields of a status line: which of them say what is wrong."""
_LAST_LINE: Final = 2


class ZplPrinter(PrinterCodec):
    """Documents to ZPL, and its status lines; see `edge_agent.driver.Printer`. Sizes of the label in millimetres."""

    def __init__(self, *, width: int, height: int, font: str, status: bool) -> None:
        super().__init__(b"~HS\r\n", status=status)
        self._width = width
        self._height = height
        self._font = font
        self._frames = FrameBuffer(Marked(start=b"\x02", end=b"\x03\r\n", limit=120))

    def render(self, document: Document, now: float) -> list[CodecOutput]:
        """See `Printer.render`. Raises ValueError where the parts do not fit on the label."""
        label = lay_out(document, self._width, self._height)
        fields = []
        for line in label.lines:
            if line.text is None:
                fields.append(f"^FO{MARGIN},{line.y}^GB{label.across},2,2^FS")
            else:
                high = HIGH * line.size
                fields.append(f"^FO{MARGIN},{line.y}^A@N,{high},{high},{self._font}^FH^FD{_escaped(line.text)}^FS")
        if label.code is not None:
            code = label.code
            fields.append(f"^FO{code.x},{MARGIN}^BQN,2,{code.module}^FH^FDMA,{_escaped(code.text)}^FS")
        page = f"^XA^CI28^PW{self._width * DOTS_MM}^LL{self._height * DOTS_MM}{''.join(fields)}^XZ\r\n"
        return [Send(data=page.encode("utf-8"))]

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        pieces = self._frames.feed(data)
        if any(isinstance(piece, Frame) and piece.body.count(b",") == _LAST_LINE - 1 for piece in pieces):
            self._answered()
        return [_told(piece) for piece in pieces]

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        self._answered()
        return [_told(piece) for piece in self._frames.finish()]


def _told(piece: Frame | Rejected) -> DeviceEvent:
    if isinstance(piece, Rejected):
        return piece
    fields = piece.body.decode("latin-1").split(",")
    if len(fields) == _LAST_LINE and all(field.isdigit() for field in fields):
        return Status(status="other", raw=piece.raw)
    if len(fields) not in _FIELDS or not all(field.isdigit() for field in fields):
        return Rejected(reason="malformed", raw=piece.raw)
    trouble = ", ".join(words for at, words in _FIELDS[len(fields)] if fields[at] == "1")
    return Status(status="error" if trouble else "ack", detail=trouble, raw=piece.raw)


def _escaped(text: str) -> str:
    return text.replace("_", "_5F").replace("^", "_5E").replace("~", "_7E")


def _make(options: Mapping[str, Any]) -> ZplPrinter:
    return ZplPrinter(
        width=options.get("width", 60),
        height=options.get("height", 40),
        font=options.get("font", "E:SIMSUN.TTF"),
        status=options.get("status", True),
    )


SPEC = DriverSpec(
    id="zpl",
    kind="printer",
    title="Label printer, ZPL II",
    make=_make,
    models=("Zebra GK888, ZD421, ZT231", "printers in ZPL emulation"),
    source="Zebra ZPL II programming guide",
    maturity="manual",
    interfaces=("serial", "rfc2217", "tcp", "lp", "memory"),
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        *SIZE,
        Option(name="font", type="text", default="E:SIMSUN.TTF", help="the printer's font that holds Chinese"),
        STATUS,
    ),
    dialogue=Dialogue(),
    tells=("state", "label"),
)
