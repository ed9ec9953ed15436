"""Label printers that speak TSPL: TSC, Gprinter, HPRT, Postek and most label printers and label scales of China.

Source: TSC TSPL/TSPL2 programming manual (SIZE, GAP, CLS, TEXT, QRCODE, BAR, PRINT, <ESC>!?); Gprinter label manual
for the Chinese font TSS24.BF2.

    SIZE 40 mm,30 mm    GAP 2 mm,0 mm    DIRECTION 1    CLS
    TEXT x,y,"TSS24.BF2",0,1,1,"…"       GB18030; 12 dots a narrow character, 24 high, at 8 dots a millimetre
    QRCODE x,y,M,4,A,0,"…"
    PRINT 1,1

`<ESC>!?` is answered by one byte: 0 ready, else bits: 1 head open, 2 jam, 4 no paper, 8 no ribbon, 10h pause, 20h
printing, 80h other. A quotation mark within a text is written `\\["]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import NOISE_LIMIT
from drivers.label import MARGIN, SIZE, lay_out
from drivers.printer_codec import STATUS, PrinterCodec
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent, Document, Rejected, Status

_TROUBLE: Final = (
    (0x01, "head open"),
    (0x02, "paper jam"),
    (0x04, "out of paper"),
    (0x08, "out of ribbon"),
    (0x10, "pause"),
    (0x80, "error"),
)


class TsplPrinter(PrinterCodec):
    """Documents to TSPL, and its status byte; see `edge_agent.driver.Printer`. Sizes of the label in millimetres."""

    def __init__(self, *, width: int, height: int, gap: int, status: bool) -> None:
        super().__init__(b"\x1b!?", status=status)
        self._width = width
        self._height = height
        self._gap = gap
        self._held = b""

    def render(self, document: Document, now: float) -> list[CodecOutput]:
        """See `Printer.render`. Raises ValueError where the parts do not fit on the label."""
        label = lay_out(document, self._width, self._height)
        lines = [f"SIZE {self._width} mm,{self._height} mm", f"GAP {self._gap} mm,0 mm", "DIRECTION 1", "CLS"]
        for line in label.lines:
            if line.text is None:
                lines.append(f"BAR {MARGIN},{line.y},{label.across},2")
            else:
                lines.append(f'TEXT {MARGIN},{line.y},"TSS24.BF2",0,{line.size},{line.size},"{_quoted(line.text)}"')
        if label.code is not None:
            code = label.code
            lines.append(f'QRCODE {code.x},{MARGIN},M,{code.module},A,0,"{_quoted(code.text)}"')
        lines.append("PRINT 1,1")
        return [Send(data="".join(f"{line}\r\n" for line in lines).encode("gb18030", errors="replace"))]

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`. Only the first byte after a question is an answer."""
        outputs: list[CodecOutput] = []
        if data and self._asked_at is not None:
            self._answered()
            outputs += self._noise(all_of_it=True)
            outputs.append(_stands(data[:1]))
            data = data[1:]
        self._held += data
        return outputs + self._noise()

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        self._answered()
        return self._noise(all_of_it=True)

    def _noise(self, *, all_of_it: bool = False) -> list[CodecOutput]:
        """What nobody asked for, in pieces of `NOISE_LIMIT`."""
        outputs: list[CodecOutput] = []
        while len(self._held) >= (1 if all_of_it else NOISE_LIMIT):
            outputs.append(Rejected(reason="noise", raw=self._held[:NOISE_LIMIT]))
            self._held = self._held[NOISE_LIMIT:]
        return outputs


def _stands(answer: bytes) -> DeviceEvent:
    if answer[0] & 0x40:
        return Rejected(reason="malformed", raw=answer)
    trouble = ", ".join(words for bits, words in _TROUBLE if answer[0] & bits)
    return Status(status="error" if trouble else "ack", detail=trouble, raw=answer)


def _quoted(text: str) -> str:
    return text.replace('"', '\\["]')


def _make(options: Mapping[str, Any]) -> TsplPrinter:
    return TsplPrinter(
        width=options.get("width", 60),
        height=options.get("height", 40),
        gap=options.get("gap", 2),
        status=options.get("status", True),
    )


SPEC = DriverSpec(
    id="tspl",
    kind="printer",
    title="Label printer, TSPL",
    make=_make,
    models=("TSC TTP-244, TE200, TDP-225", "Gprinter GP-1324, GP-3120", "HPRT, Postek, Xprinter label printers"),
    source="TSC TSPL/TSPL2 programming manual; Gprinter label programming manual",
    maturity="manual",
    interfaces=("serial", "rfc2217", "tcp", "lp", "memory"),
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        *SIZE,
        Option(name="gap", type="integer", default=2, minimum=0, maximum=10, help="between labels, in millimetres"),
        STATUS,
    ),
    dialogue=Dialogue(),
    tells=("state", "label"),
)
